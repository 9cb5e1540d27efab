"""The connector as its tensors show it: which modules it has, in which order, and their widths where they are known."""

from __future__ import annotations

from porter.facts.layout_model import Layout, Part
from porter.facts.layout_rows import HOLE, Path, Row
from porter.facts.layout_units import NORM_WORDS, QUERIES, is_matrix
from porter.facts.model import Confidence, Evidence, Fact
from porter.jsontypes import JSON, JSONObject

MAX_LAYERS = 12
POOLING = (frozenset({"wq", "wk", "wv", "wo"}), frozenset({"q_proj", "k_proj", "v_proj", "o_proj"}))
IN_KEYS = ("input_dim", "in_dim", "mm_hidden_size", "vision_hidden_size", "input_size")
OUT_KEYS = ("n_embed", "output_dim", "out_dim", "proj_hidden_size", "text_hidden_size")


def connector_in(layout: Layout, config: JSONObject, text_width: int | None) -> Fact:
    """The connector without code: likely at most, unknown where the checkpoint shows none."""
    parts = layout.of("connector")
    if not parts:
        return Fact("connector", None, Confidence.UNKNOWN)
    prefix = _shared(parts)
    kinds = [kind_of(part) for part in parts]
    layers = [layer for part in parts for layer in layers_of(part, prefix)]
    if len(parts) == 1 and kinds[0] is None:
        _state_widths(layers, config, text_width)
        _state_activations(layers, config)
    shown = "+".join(str(layer["op"] or "?") for layer in layers) or None
    value: JSONObject = {
        "kind": "+".join(kind for kind in kinds if kind) or shown,
        "prefix": ".".join(prefix),
        "attr": prefix[-1] if prefix else None,
        "path": ".".join(prefix),
        "layers": list(layers),
    }
    held = tuple(Evidence(layout.file, part.name, f"{part.tensors} tensors between tower and language model")
                 for part in parts)  # fmt: skip
    return Fact("connector", value, Confidence.LIKELY, held, note="read from names and shapes, without its code")


def _shared(parts: tuple[Part, ...]) -> Path:
    """The one part's prefix; of several, the module that makes the last step."""
    return max(parts, key=lambda part: (not _attends(part), part.prefix)).prefix


def _attends(part: Part) -> bool:
    return kind_of(part) is not None


def kind_of(part: Part) -> str | None:
    """resampler: brings its own queries; attention_pooling: attends without them; None for plain layers."""
    if part.kind is not None:
        return part.kind
    modules = {piece for row in part.rows for piece in row.module}
    attends = any(names <= modules for names in POOLING) or any("attn" in piece for piece in modules)
    if any(row.path[-1] in QUERIES or row.module[-1] in QUERIES for row in part.rows):
        return "resampler"
    return "attention_pooling" if attends else None


def layers_of(part: Part, prefix: Path) -> list[JSONObject]:
    """The layers of a plain connector in the order of their names; none for one that attends."""
    if kind_of(part) is not None:
        return []
    modules: dict[Path, dict[str, Row]] = {}
    for row in part.rows:
        for module in _numbered(row):
            modules.setdefault(module, {})[row.parameter or row.path[-1]] = row
    if len(modules) > MAX_LAYERS:
        return []
    ordered = sorted(modules, key=_natural)
    return _with_gaps([_layer(module, modules, ordered, prefix) for module in ordered], ordered)


def _numbered(row: Row) -> list[Path]:
    """The modules that a row stands for, its holes filled, as far as they are a few."""
    found: list[Path] = [()]
    columns = iter(row.numbers)
    for piece in row.module:
        choices = [str(number) for number in next(columns)] if piece == HOLE else [piece]
        if len(found) * len(choices) > 4 * MAX_LAYERS:
            return []
        found = [(*path, choice) for path in found for choice in choices]
    return found


def _natural(path: Path) -> tuple[tuple[int, str], ...]:
    return tuple((int(piece), "") if piece.isdecimal() and piece.isascii() else (10**9, piece) for piece in path)


def _layer(module: Path, modules: dict[Path, dict[str, Row]], ordered: list[Path], prefix: Path) -> JSONObject:
    rows = modules[module]
    weight = rows.get("weight")
    shape = weight.shape if weight is not None else None
    op = _operation(module, rows, ordered)
    wide = shape is not None and len(shape) >= 2
    name = ".".join(module[len(prefix) :]) if module[: len(prefix)] == prefix else ".".join(module)
    return {
        "name": name or None,
        "op": op,
        "in": shape[1] if wide and shape is not None else shape[0] if shape else None,
        "out": shape[0] if shape else None,
        "bias": "bias" in rows,
        "eps": None,
    }


def _operation(module: Path, rows: dict[str, Row], ordered: list[Path]) -> str | None:
    weight = rows.get("weight")
    if weight is None:
        return None
    if weight.shape is not None:
        size = len(weight.shape)
        return ("LayerNorm" if "bias" in rows else "RMSNorm") if size == 1 else {2: "Linear", 4: "Conv2d"}.get(size)
    last = module[-1].lower()
    if any(word in last for word in NORM_WORDS) or last in ("ln", "norm"):
        return "LayerNorm" if "bias" in rows else "RMSNorm"
    return "LayerNorm" if _leads(module, ordered) and "bias" in rows else "Linear" if is_matrix(weight) else None


def _leads(module: Path, ordered: list[Path]) -> bool:
    """Whether it is `0` of a numbered chain whose `1` is stored too: two plain layers in a row make no sense, so
    the first is a norm."""
    chain = [path for path in ordered if path[:-1] == module[:-1]]
    numbers = [path[-1] for path in chain]
    return module[-1] == "0" and numbers[:2] == ["0", "1"] and len(numbers) > 2


def _with_gaps(layers: list[JSONObject], ordered: list[Path]) -> list[JSONObject]:
    """A number that is left out stands for a layer without parameters: an activation, which one is not known."""
    found: list[JSONObject] = []
    for index, layer in enumerate(layers):
        if index and _gap(ordered[index - 1], ordered[index]):
            found.append({"name": None, "op": None, "in": None, "out": None, "bias": None, "eps": None})
        found.append(layer)
    return found


def _gap(before: Path, after: Path) -> bool:
    numbered = before[:-1] == after[:-1] and before[-1].isdecimal() and after[-1].isdecimal()
    return numbered and int(after[-1]) > int(before[-1]) + 1


def _state_widths(layers: list[JSONObject], config: JSONObject, text_width: int | None) -> None:
    """Widths that follow without shapes: the last layer ends in the language model's, and what a projector's config
    block says."""
    linear = [layer for layer in layers if layer["op"] == "Linear"]
    if not linear:
        return
    if linear[-1]["out"] is None:
        linear[-1]["out"] = _stated(config, OUT_KEYS) or text_width
    if linear[0]["in"] is None and linear[0] is layers[0]:
        linear[0]["in"] = _stated(config, IN_KEYS)


def _state_activations(layers: list[JSONObject], config: JSONObject) -> None:
    """`mm_projector_type: mlp2x_gelu` beside two Linears with one gap: Linear, GELU, Linear, all of one width."""
    stated = config.get("mm_projector_type") or config.get("projector_type")
    linear = [layer for layer in layers if layer["op"] == "Linear"]
    if stated != f"mlp{len(linear)}x_gelu" or len(layers) != 2 * len(linear) - 1:
        return
    width = linear[-1]["out"]
    for layer in layers:
        if layer["op"] is None:
            layer["op"] = "GELU"
        if layer is not layers[0]:
            layer["in"] = layer["in"] if layer["in"] is not None else width
        layer["out"] = layer["out"] if layer["out"] is not None else width


def _stated(config: JSONObject, keys: tuple[str, ...]) -> JSON:
    """A number of the config's block for the connector, or of its top level."""
    blocks = [value for key, value in config.items() if isinstance(value, dict) and "proj" in key.lower()]
    for block in (*blocks, config):
        for key in keys:
            found = block.get(key)
            if isinstance(found, int) and not isinstance(found, bool) and found > 0:
                return found
    return None

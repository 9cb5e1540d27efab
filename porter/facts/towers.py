"""The vision tower: which module it is, what kind by its layers, and what shape its output has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isqrt, prod
from typing import Any

from porter.facts.radio import is_radio, rows_of, settings_of
from porter.facts.synonyms import HEADS, HIDDEN, IMAGE_SIZE, LAYERS, PATCH_SIZE
from porter.facts.tower_kinds import CLASS_TOKENS, class_token_of, kind_by_names, kind_by_word
from porter.facts.tower_shapes import KINDS, kind_by_shapes
from porter.source.attributes import attribute
from porter.source.inside import CONVOLUTIONS
from porter.source.interpreter import Frame, Interpreter, TowerShape
from porter.source.layers import children, parameters, patch_side
from porter.source.values import Instance, Layer, Src, Val, is_unknown, merge_sources, plain, unknown

NOMINAL_GRID = 16
GRID_WORDS = ("grid", "thw", "cu_seqlens", "image_sizes", "spatial_shapes", "tgt_sizes")
REGISTERS = ("register_tokens", "registers", "reg_token", "register_token")
RADIO_KEYS = {
    "hidden_size": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "patch_size": "patch_size",
}
HEAD_NAMES = (*HEADS, "nhead", "head_count", "nheads")


@dataclass(slots=True)
class TowerReading:
    """A tower module as read from code. `names` are its parameters, relative to it."""

    module: Instance | Layer
    attr: str
    class_name: str
    config: Val | None
    shape: TowerShape | None = None
    kind: str | None = None
    has_cls: bool | None = None
    names: dict[str, tuple[int, ...] | None] = field(default_factory=dict)
    values: dict[str, Val] = field(default_factory=dict)
    native: bool = False
    """Takes images of any size: its forward is told the grid of each."""


def config_of(module: Instance | Layer) -> Val | None:
    """The config object that a module was built with."""
    given = module.kwargs.get("config") or (module.args[0] if module.args else None)
    if given is not None:
        return given
    return module.attrs.get("config") if isinstance(module, Instance) else None


def read_value(run: Interpreter, config: Val | None, names: tuple[str, ...]) -> Val | None:
    """The first of several spellings of an attribute that the config object has."""
    import ast

    frame = Frame("", {}, None, None, 1)
    for name in names:
        if config is None:
            return None
        value = attribute(run, config, name, ast.Name(name), frame)
        if not is_unknown(value) and isinstance(plain(value), (int, float, str, bool, list)):
            return value
    return None


def read_tower(run: Interpreter, module: Instance | Layer, image_size: int | None) -> TowerReading:
    """Everything that code and config say about one tower."""
    config = config_of(module)
    tower = TowerReading(module, module.path, module.cls.name, config)
    found = {
        "hidden_size": HIDDEN,
        "layers": LAYERS,
        "heads": HEADS,
        "patch_size": PATCH_SIZE,
        "image_size": IMAGE_SIZE,
    }
    for name, spellings in found.items():
        value = read_value(run, config, spellings)
        if value is not None:
            tower.values[name] = value
    if is_radio(module, config):
        given = settings_of(config)
        tower.has_cls = given["num_cls_tokens"] != 0
        tower.values.update({name: Val(given[key]) for name, key in RADIO_KEYS.items() if name not in tower.values})
    if isinstance(module, Instance):
        tower.names = parameters(run, module)
        tower.native = takes_grid(run, module)
        _from_layers(run, tower)
    tower.kind = kind_of(tower)
    tower.has_cls = _class_token(tower) if tower.has_cls is None else tower.has_cls
    tower.shape = _shape(tower, image_size)
    return tower


def takes_grid(run: Interpreter, module: Instance) -> bool:
    """Whether the forward asks for the grid of each image beside the pixels."""
    found = run.find_method(module.cls, "forward")
    spec = found[1].args if found is not None else None
    names = [a.arg for a in [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]] if spec is not None else []
    return any(word in name.lower() for name in names for word in GRID_WORDS)


def _from_layers(run: Interpreter, tower: TowerReading) -> None:
    """Sizes from the layers themselves, which win over config keys that only look like theirs."""
    patch = patch_embedding(run, tower.module)
    if patch is not None:
        tower.values["patch_size"], tower.values["hidden_size"] = patch
    width = plain(tower.values.get("hidden_size"))
    lists = [m for m in _descend(run, tower.module, 4) if isinstance(m, Layer) and _is_stack(m)]
    blocks = max(lists, key=lambda layer: len(layer.items), default=None)
    if blocks is not None and len(blocks.items) > 1:
        stated = tower.values.get("layers")
        if stated is None or plain(stated) != len(blocks.items):
            tower.values["layers"] = Val(len(blocks.items), (blocks.place,))
    heads = _heads(run, blocks or tower.module, width)
    if heads is not None:
        tower.values["heads"] = heads
    side = plain(tower.values.get("patch_size"))
    grid = _grid(tower, width, [m for m in _before_blocks(run, tower.module, 4) if m.cls.name == "Embedding"])
    if grid is not None:
        tower.has_cls = bool(grid[1]) or any(_marks(name, CLASS_TOKENS) for name in tower.names)
    if grid is not None and isinstance(side, int):
        seen = tower.values.get("image_size")
        if seen is None or not isinstance(plain(seen), int) or plain(seen) // side != grid[0]:
            tower.values["image_size"] = Val(grid[0] * side, (Src(*_place(tower), "the number of positions"),))


def patch_embedding(run: Interpreter, module: object) -> tuple[Val, Val] | None:
    """(patch side, width) of the chain of convolutions before the blocks, or of a Linear over flattened patches."""
    chain: list[tuple[Val, Val]] = []
    for layer in _before_blocks(run, module, 4):
        side = patch_side(layer)
        if side is not None and not chain:
            return Val(side, (layer.place,)), argument_of(layer, 1, "out_features") or unknown("width")
        into, out = layer.argument(0, "in_channels"), argument_of(layer, 1, "out_channels")
        step = argument_of(layer, 3, "stride") or argument_of(layer, 2, "kernel_size")
        if layer.cls.name not in CONVOLUTIONS or out is None or step is None:
            continue
        if not isinstance(_single(step), int):
            return None
        if not chain or into == plain(chain[-1][1]):
            chain.append((step, out))
    if not chain:
        return None
    total = prod(_single(step) for step, _ in chain)
    return (chain[0][0] if len(chain) == 1 else Val(total, merge_sources(s for s, _ in chain))), chain[-1][1]


def _single(value: Val) -> Any:
    """The side of a square kernel or stride."""
    inner = plain(value)
    square = isinstance(inner, list) and len(inner) > 0 and len(set(map(str, inner[-2:]))) == 1
    return inner[-1] if square else inner


def argument_of(layer: Layer, index: int, keyword: str) -> Val | None:
    """What a layer is built with, by keyword or position."""
    return layer.kwargs.get(keyword) or (layer.args[index] if index < len(layer.args) else None)


def _before_blocks(run: Interpreter, module: object, depth: int) -> Iterator[Layer]:
    """The layers of a module in the order in which it makes them, without the lists of blocks."""
    for _, child in children(run, module):
        if isinstance(child, Layer) and _is_stack(child):
            continue
        if isinstance(child, Layer):
            yield child
        if depth:
            yield from _before_blocks(run, child, depth - 1)


def _is_stack(layer: Layer) -> bool:
    """A list of blocks: a ModuleList, or a Sequential of modules of the repo's own."""
    own = [item for item in layer.items if isinstance(item.value, Instance)]
    return layer.cls.name == "ModuleList" or (layer.cls.name == "Sequential" and len(own) == len(layer.items) > 1)


def _heads(run: Interpreter, module: object, width: object) -> Val | None:
    """The number of heads that the attention of a block is built with."""
    for child in _descend(run, module, 4):
        if isinstance(child, Layer) and child.cls.name == "MultiheadAttention":
            return argument_of(child, 1, "num_heads")
        if not isinstance(child, Instance):
            continue
        for name, value in child.attrs.items():
            count = value.value
            named = name.lower().strip("_") in HEAD_NAMES
            if named and isinstance(count, int) and isinstance(width, int) and count > 0 and width % count == 0:
                return value
    return None


def _grid(tower: TowerReading, width: object, tables_built: list[Layer]) -> tuple[int, int] | None:
    """The side of the patch grid, and 1 for a class token, from a table of learnt positions of the tower's width."""
    tables = [(name, shape) for name, shape in tower.names.items() if shape is not None and _is_table(name, shape)]
    sizes = [(m.argument(0, "num_embeddings"), m.argument(1, "embedding_dim")) for m in tables_built]
    tables += [("pos", size) for size in sizes if all(isinstance(side, int) for side in size)]
    for _, shape in sorted(tables, key=lambda item: "pos" not in item[0].lower()):
        count = shape[-2]
        for extra in (0, 1):
            side = isqrt(count - extra) if shape[-1] == width and count > extra else 0
            if side > 1 and side * side == count - extra:
                return side, extra
    return None


def _is_table(name: str, shape: tuple[int, ...]) -> bool:
    """A parameter beside the blocks that may hold one row per position; a Linear's weight may not."""
    beside = not any(part.isdigit() for part in name.split("."))
    named = "pos" in name.lower() or not name.endswith(".weight")
    whole = len(shape) >= 2 and all(isinstance(size, int) for size in shape) and prod(shape[:-2]) == 1
    return beside and named and whole


def _place(tower: TowerReading) -> tuple[str, str]:
    module = tower.module
    return (module.cls.file, f"line {module.cls.node.lineno}") if isinstance(module, Instance) else ("", "")


def _descend(run: Interpreter, module: object, depth: int) -> list[object]:
    found: list[object] = []
    for _, child in children(run, module):
        found.append(child)
        if depth:
            found.extend(_descend(run, child, depth - 1))
    return found


def kind_of(tower: TowerReading) -> str | None:
    """The kind by structure where the code is in the repo, by the library's class otherwise."""
    if tower.names:
        named, shaped = kind_by_names(tower.names), kind_by_shapes(tower.names)
        # A tower of this name with one parameter more or less is another tower.
        told_apart = named in KINDS and all(shape is not None for shape in tower.names.values())
        return shaped if told_apart else named or shaped
    name = tower.class_name
    if name in ("from_config", "_from_config", "from_pretrained") or name.startswith("AutoModel"):
        name = str(plain(tower.values["model_type"])) if "model_type" in tower.values else _model_type(tower.config)
    return kind_by_word(name)


def _model_type(config: Val | None) -> str:
    values = (
        getattr(config.value, "values", None) or getattr(config.value, "attrs", None) if config is not None else None
    )
    found = values.get("model_type") if isinstance(values, dict) else None
    return str(plain(found)) if found is not None else ""


def _class_token(tower: TowerReading) -> bool | None:
    if tower.names:
        return any(
            name.rsplit(".", 1)[-1] in CLASS_TOKENS or name.split(".")[-1].startswith("cls") for name in tower.names
        )
    return class_token_of(tower.kind)


def _rows_before(tower: TowerReading, width: int) -> int:
    """How many learnt rows stand before the patches: class tokens and registers."""
    tables = [shape for name, shape in tower.names.items() if shape and _marks(name, (*CLASS_TOKENS, *REGISTERS))]
    rows = [shape[:-1] for shape in tables if shape[-1] == width]
    return sum(prod(sizes) for sizes in rows if all(isinstance(size, int) for size in sizes)) if tower.has_cls else 0


def _marks(name: str, words: tuple[str, ...]) -> bool:
    """Whether a parameter is one of these, or stands in a module of its own that is called so."""
    return any(part in words for part in name.split(".")[-2:])


def _shape(tower: TowerReading, image_size: int | None) -> TowerShape | None:
    hidden, patch = plain(tower.values.get("hidden_size")), plain(tower.values.get("patch_size"))
    size = plain(tower.values.get("image_size", image_size))
    size = size[0] if isinstance(size, list) and size else size
    patch = patch[0] if isinstance(patch, list) and patch else patch
    if not isinstance(hidden, int) or not isinstance(patch, int) or patch <= 0:
        return None
    layers = plain(tower.values.get("layers"))
    depth = layers if isinstance(layers, int) else None
    extra = _rows_before(tower, hidden) or (1 if tower.has_cls else 0)
    if is_radio(tower.module, tower.config) and isinstance(size, int):
        return TowerShape(size // patch, rows_of(settings_of(tower.config)), hidden, depth, normalizes=True)
    if tower.native or not isinstance(size, int):
        return TowerShape(NOMINAL_GRID, extra, hidden, depth, nominal=True)
    return TowerShape(size // patch, extra, hidden, depth)

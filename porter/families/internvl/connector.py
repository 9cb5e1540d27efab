"""The connector: the repo's layers against the base's `_init_mlp1`, and the code lines of one that differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from porter.families.base import ReadingLike
from porter.families.internvl.anchors import Anchors
from porter.families.internvl.judgement import Notes, blocked, differs
from porter.families.internvl.sequence import ACTIVATIONS, TORCH_EPS, Layer, evaluate, fact_layers
from porter.families.internvl.sources import at, same
from porter.jsontypes import JSON
from porter.planning.names import is_name

WORDS = ("proj", "conn", "mlp", "adapt", "bridge", "merg", "inter", "align", "mid", "hidden", "width", "dim", "mm")
INNER = "intermediate_size"
MERGED, VISION, TEXT = "merged_size", "vit_hidden_size", "llm_hidden_size"


def judge_connector(reading: ReadingLike, anchors: Anchors, ratio: float) -> tuple[tuple[str, ...], Notes]:
    """(code lines when an override is needed, notes)."""
    code, notes = connector_code(reading, ratio)
    layers, widths = fact_layers(reading.facts.value("connector")), connector_widths(reading)
    if notes.blockers or widths is None or _equal(layers, anchors.connector, *widths, ratio):
        return (), notes
    shape = " -> ".join(layer.op for layer in layers)
    return code, differs("connector", " -> ".join(layer.op for layer in anchors.connector), shape, "_init_mlp1")


def connector_code(reading: ReadingLike, ratio: float) -> tuple[tuple[str, ...], Notes]:
    """(code lines, one per layer, blockers); `ratio` is that of the pixel shuffle before it, 1.0 without one."""
    layers = fact_layers(reading.facts.value("connector"))
    widths = connector_widths(reading)
    if not layers or widths is None:
        return (), blocked("connector", "its layers could not be read from the code")
    connector = reading.facts.value("connector")
    if isinstance(connector, dict) and connector.get("lost"):
        return (), blocked("connector", f"the code on the way to its layer {connector['lost']} could not be followed")
    unknown = [layer.op for layer in layers if layer.op not in ("LayerNorm", "RMSNorm", "Linear", *ACTIVATIONS)]
    if unknown:
        return (), blocked("connector", f"it has a layer that porter cannot write: {', '.join(unknown)}")
    sized = [layer for layer in layers if layer.op == "Linear" or "Norm" in layer.op]
    if any(not isinstance(layer.inner, int) or not isinstance(layer.outer, int) for layer in sized):
        return (), blocked("connector", "the width of one of its layers could not be read")
    namer = _Widths(reading, *widths, ratio)
    return tuple(
        _code(layer, namer, first=index == _first_linear(layers)) for index, layer in enumerate(layers)
    ), Notes()


def connector_widths(reading: ReadingLike) -> tuple[int, int] | None:
    towers, language = reading.facts.value("vision_tower"), reading.facts.value("language_model")
    tower = towers[0] if isinstance(towers, list) and towers else None
    vision = tower.get("hidden_size") if isinstance(tower, dict) else None
    text = language.get("hidden_size") if isinstance(language, dict) else None
    return (vision, text) if isinstance(vision, int) and isinstance(text, int) else None


def _equal(layers: Sequence[Layer], base: Sequence[Layer], vision: int, text: int, ratio: float) -> bool:
    if len(layers) != len(base):
        return False
    for mine, theirs in zip(layers, base, strict=True):
        if not mine.same_kind(theirs):
            return False
        expected = (theirs.inner, theirs.outer)
        sizes = tuple(
            evaluate(item, vision=vision, text=text, ratio=ratio) if item is not None else None for item in expected
        )
        if mine.op == "Linear" and sizes != (mine.inner, mine.outer):
            return False
    return True


def _first_linear(layers: Sequence[Layer]) -> int:
    return next((index for index, layer in enumerate(layers) if layer.op == "Linear"), 0)


class _Widths:
    """Widths as expressions that hold at other sizes too: of the parts first, then of a config key, then the number."""

    def __init__(self, reading: ReadingLike, vision: int, text: int, ratio: float) -> None:
        self.vision, self.text = vision, text
        self.merged = vision * int(1 / ratio) ** 2 if ratio else vision
        self.config = reading.snapshot.config()
        self.parts = {part: _part_key(reading, part) for part in ("text_config", "vision_config")}

    def inner(self, width: JSON, *, first: bool) -> str:
        known = [(self.merged, MERGED if self.merged != self.vision else VISION), (self.text, TEXT)]
        return self._name(width, known if first else known[::-1])

    def outer(self, width: JSON) -> str:
        return self._name(width, [(self.text, TEXT), (self.merged, MERGED if self.merged != self.vision else VISION)])

    def _name(self, width: JSON, known: Sequence[tuple[int, str]]) -> str:
        found = next((text for size, text in known if size == width), None)
        return found or _config_key(self.config, width) or self._multiple(width) or self._part(width) or repr(width)

    def _part(self, width: JSON) -> str | None:
        """The inner width of one of the parts, where only one has this one."""
        held = [part for part, key in self.parts.items() if same(at(self.config, f"{key}.{INNER}"), width)]
        return f"config.{held[0]}.{INNER}" if len(held) == 1 else None

    def _multiple(self, width: JSON) -> str | None:
        for factor in (2, 3, 4, 8):
            if width == self.text * factor:
                return f"{factor} * {TEXT}"
        return None


def _part_key(reading: ReadingLike, part: str) -> str:
    return str(reading.facts.value(f"{part}_key") or part)


def _config_key(config: Mapping[str, JSON], width: JSON) -> str | None:
    """A top-level key that holds the width and is called like one; None when there is none or more than one."""
    found = [key for key, value in config.items() if value == width and isinstance(value, int) and is_name(key)]
    named = [key for key in found if any(word in key.lower() for word in WORDS)]
    return f"config.{named[0]}" if len(named) == 1 else None


def _code(layer: Layer, widths: _Widths, *, first: bool) -> str:
    if layer.op == "Linear":
        arguments = [widths.inner(layer.inner, first=first), widths.outer(layer.outer)]
        return _call("nn.Linear", [*arguments, *([] if layer.bias else ["bias=False"])])
    if layer.op in ("LayerNorm", "RMSNorm"):
        return _norm(layer, widths)
    if layer.op.startswith("GELU") and layer.approximate == "tanh":
        return 'nn.GELU(approximate="tanh")'
    return ACTIVATIONS[layer.op]


def _norm(layer: Layer, widths: _Widths) -> str:
    arguments = [widths.inner(layer.inner, first=True)]
    if layer.op == "RMSNorm":
        return _call("RMSNorm", [*arguments, *([] if layer.eps is None else [f"eps={layer.eps!r}"])])
    if layer.eps is not None and layer.eps != TORCH_EPS:
        arguments.append(f"eps={layer.eps!r}")
    return _call("nn.LayerNorm", [*arguments, *([] if layer.bias else ["bias=False"])])


def _call(name: str, arguments: Sequence[str]) -> str:
    return f"{name}({', '.join(arguments)})"

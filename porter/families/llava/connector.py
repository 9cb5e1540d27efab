"""The connector: the repo's layers against Linear, activation, Linear; code lines where they are others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from porter.families.base import ReadingLike
from porter.families.internvl.connector import connector_code, connector_widths
from porter.families.internvl.judgement import Notes, differs
from porter.families.internvl.sequence import Layer, fact_layers

ACTS = {
    ("GELU", "none"): "gelu",
    ("GELU", "tanh"): "gelu_pytorch_tanh",
    ("SiLU", "none"): "silu",
    ("ReLU", "none"): "relu",
    ("QuickGELU", "none"): "quick_gelu",
}
"""Activations by the names that configs give them."""
BASE = "Linear -> activation -> Linear"


@dataclass(frozen=True, slots=True)
class Connector:
    """`code` is empty where the base's own class fits with this activation and bias."""

    code: tuple[str, ...] = ()
    act: str = "gelu"
    bias: bool = True


def judge_connector(reading: ReadingLike) -> tuple[Connector, Notes]:
    code, notes = connector_code(reading, 1.0)
    if notes.blockers:
        return Connector(), notes
    layers = fact_layers(reading.facts.value("connector"))
    own = _as_base(layers, connector_widths(reading))
    if own is not None:
        return own, Notes()
    shape = " -> ".join(layer.op for layer in layers)
    return Connector(code), differs("connector", BASE, shape, "__init__")


def _as_base(layers: Sequence[Layer], widths: tuple[int, int] | None) -> Connector | None:
    """The base's class with its arguments, where the layers are its layers."""
    if len(layers) != 3 or widths is None:
        return None
    first, act, last = layers
    vision, text = widths
    name = ACTS.get((act.op, act.approximate))
    sizes = [(layer.op, layer.inner, layer.outer) for layer in (first, last)]
    if name is None or sizes != [("Linear", vision, text), ("Linear", text, text)] or first.bias != last.bias:
        return None
    return Connector((), name, first.bias)

"""The module names of one network: those of a layer, and those beside the layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from porter.facts.layout_rows import HOLE, Path, Row


@dataclass(frozen=True, slots=True)
class Names:
    """The modules of one network: `layer` below a layer's number, `beside` relative to the network; biases as
    `name.bias`."""

    layer: frozenset[str]
    beside: tuple[Path, ...]
    biases: frozenset[str] = frozenset()


def names_of(root: Path, stack: Path, rows: Iterable[Row]) -> Names:
    """The names of the rows of one network whose main stack of layers is at `stack`."""
    layer, biases, beside = set[str](), set[str](), dict[Path, None]()
    inside = (*stack, HOLE)
    for row in rows:
        if row.path[: len(inside)] == inside:
            name = ".".join(row.module[len(inside) :])
            layer.add(name)
            if row.parameter == "bias":
                biases.add(f"{name}.bias")
        else:
            beside[row.module[len(root) :]] = None
    return Names(frozenset(layer), tuple(sorted(beside)), frozenset(biases))

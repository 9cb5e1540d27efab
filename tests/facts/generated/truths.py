"""What may stand as the truth of a fact beside a plain value."""

from __future__ import annotations

from dataclasses import dataclass

Value = object


@dataclass(frozen=True, slots=True)
class Maybe:
    """The files hint at `value` but do not settle it: that value, or openly unknown."""

    value: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """Several ways to say the same thing; None among them means that absent or unknown is right too."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Open:
    """The files do not settle it: only unknown (or absent) is right."""


@dataclass(frozen=True, slots=True)
class Layers:
    """A connector that is a plain chain: `(op, in, out, bias, eps)` per layer with weights, and the activations."""

    chain: tuple[tuple[str, int, int, bool, float | None], ...]
    acts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoChain:
    """A connector that is no plain chain of layers: a list of layers would be wrong, unless it shows the difference."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Truth by path into the facts (`vision_tower.0.heads`), with the words of the axes it was drawn on."""

    values: dict[str, Value]
    axes: dict[str, str]

"""Names grouped by pattern, for people: `layers.{0..23}.attn.qkv.weight`. Linear in the number of names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_HOLE = "\0"


@dataclass(frozen=True, slots=True)
class Group:
    """Names that differ in their layer numbers only, in the order in which they were given."""

    pattern: str
    names: tuple[str, ...]


def template_of(name: str) -> tuple[str, tuple[int, ...]]:
    """The name with its number components taken out (a hole each), and the numbers."""
    pieces = name.split(".")
    numbers = tuple(int(piece) for piece in pieces if piece.isdecimal())
    return ".".join(_HOLE if piece.isdecimal() else piece for piece in pieces), numbers


def group_names(names: Iterable[str]) -> tuple[Group, ...]:
    """Groups in order of first appearance."""
    members: dict[str, list[str]] = {}
    numbers: dict[str, list[tuple[int, ...]]] = {}
    for name in names:
        template, found = template_of(name)
        members.setdefault(template, []).append(name)
        numbers.setdefault(template, []).append(found)
    return tuple(Group(_render(template, numbers[template]), tuple(members[template])) for template in members)


def _render(template: str, rows: list[tuple[int, ...]]) -> str:
    shown = iter([ranges(sorted(set(column))) for column in zip(*rows, strict=True)])
    return ".".join(next(shown) if piece == _HOLE else piece for piece in template.split("."))


def ranges(values: list[int]) -> str:
    """Sorted numbers as people write them: `{0..3,7}`."""
    if len(values) == 1:
        return str(values[0])
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    if len(runs) > 4:
        return f"{{{values[0]}..{values[-1]}: {len(values)}}}"
    return "{" + ",".join(str(low) if low == high else f"{low}..{high}" for low, high in runs) + "}"

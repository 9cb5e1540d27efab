"""Names that repeat per layer, folded into one unit each: later work does not grow with a model's depth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Shape = tuple[int, ...]
Path = tuple[str, ...]

HOLE = "{}"
_SMALL_LIST = 8
_MAX_DEPTH = 48


@dataclass(frozen=True, slots=True)
class Unit:
    """Tensors of one name and shape in many layers. `segments` are the words around the layer numbers."""

    segments: tuple[Path, ...]
    rows: frozenset[tuple[int, ...]]
    shape: Shape | None
    example: str
    required: bool = True

    @property
    def head(self) -> Path:
        return self.segments[0]

    @property
    def inner(self) -> Path:
        """All words behind the first layer number, holes included."""
        words: list[str] = []
        for segment in self.segments[1:]:
            words += [*segment, HOLE]
        return tuple(words[:-1])

    @property
    def path(self) -> Path:
        return self.head if len(self.segments) == 1 else (*self.head, HOLE, *self.inner)

    @property
    def is_listed(self) -> bool:
        return len(self.segments) > 1

    def name_in(self, row: tuple[int, ...]) -> str:
        """The name that stands in the layers of a row."""
        words = list(self.head)
        for number, segment in zip(row, self.segments[1:], strict=True):
            words += [str(number), *segment]
        return ".".join(words)


@dataclass(frozen=True, slots=True)
class Item:
    """One tensor or target before folding."""

    name: str
    shape: Shape | None
    required: bool = True


def fold(items: Sequence[Item], *, shapes: bool) -> tuple[Unit, ...]:
    """Units in order of first appearance. Numbers that tell unlike modules apart (`mlp.0`, `mlp.1`) stay words."""
    split = [(item, *_split(item.name)) for item in items if item.name.count(".") < _MAX_DEPTH]
    words = _literal_lists(split) if shapes else frozenset()
    groups: dict[tuple[tuple[Path, ...], Shape | None, bool], list[tuple[Item, tuple[int, ...]]]] = {}
    for item, segments, numbers in split:
        kept, rest = _keep_words(segments, numbers, words)
        key = (kept, item.shape if shapes else None, item.required)
        groups.setdefault(key, []).append((item, rest))
    return tuple(
        Unit(segments, frozenset(row for _, row in members), shape, members[0][0].name, required)
        for (segments, shape, required), members in groups.items()
    )


def unfold(units: Iterable[Unit]) -> tuple[Unit, ...]:
    """Each tensor of the units on its own, its numbers as words."""
    single = []
    for unit in units:
        for row in sorted(unit.rows):
            path = list(unit.head)
            for number, segment in zip(row, unit.segments[1:], strict=True):
                path += [str(number), *segment]
            single.append(Unit((tuple(path),), frozenset({()}), unit.shape, ".".join(path), unit.required))
    return tuple(single)


def _split(name: str) -> tuple[tuple[Path, ...], tuple[int, ...]]:
    segments: list[list[str]] = [[]]
    numbers = []
    for word in name.split("."):
        # A number with a leading zero would not survive the way back.
        if word.isascii() and word.isdigit() and (word == "0" or word[0] != "0") and len(word) < 10:
            numbers.append(int(word))
            segments.append([])
        else:
            segments[-1].append(word)
    return tuple(map(tuple, segments)), tuple(numbers)


def _literal_lists(split: Sequence[tuple[Item, tuple[Path, ...], tuple[int, ...]]]) -> frozenset[tuple[Path, ...]]:
    """Short lists whose members do not look alike: a connector's `0`, `1`, `3` rather than layers."""
    shapes: dict[tuple[Path, ...], set[Shape | None]] = {}
    members: dict[tuple[Path, ...], set[int]] = {}
    for item, segments, numbers in split:
        if len(segments) == 2:
            shapes.setdefault(segments, set()).add(item.shape)
            members.setdefault(segments[:1], set()).add(numbers[0])
    mixed = Counter(segments[:1] for segments, seen in shapes.items() if len(seen) > 1)
    return frozenset(head for head in mixed if len(members[head]) <= _SMALL_LIST)


def _keep_words(
    segments: tuple[Path, ...], numbers: tuple[int, ...], words: frozenset[tuple[Path, ...]]
) -> tuple[tuple[Path, ...], tuple[int, ...]]:
    if len(segments) < 2 or segments[:1] not in words:
        return segments, numbers
    joined = (*segments[0], str(numbers[0]), *segments[1])
    return (joined, *segments[2:]), numbers[1:]

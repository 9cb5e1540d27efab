"""The fewest path renames that take every source path to its target: a shortest-cover over a tree of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from porter.weights.units import Path

_MAX_CANDIDATES = 8
_MISSED = 10_000
"""What a path that no edit can explain costs: more than any number of edits."""


@dataclass(frozen=True, slots=True)
class Move:
    """One path to place. `inner` when the path goes on (a layer number follows) and never ends a name."""

    path: Path
    place: Path
    inner: bool


@dataclass(frozen=True, slots=True)
class Edit:
    """Rename the words `old` at the start of a path; `whole` when `old` is a complete name rather than a module."""

    old: Path
    new: Path
    whole: bool


@dataclass(slots=True)
class _Node:
    path: Path
    children: dict[str, _Node] = field(default_factory=dict)
    place: Path | None = None
    inner: bool = False
    candidates: Counter[Path] = field(default_factory=Counter)
    memo: dict[Path, tuple[int, Path | None]] = field(default_factory=dict)

    def allowed(self, *, deep: bool, forbidden: frozenset[Path]) -> list[Path]:
        if not self.path or self.path in forbidden:
            return []
        if deep and any(child.children for child in self.children.values()):
            return []
        return [place for place, _ in self.candidates.most_common(_MAX_CANDIDATES)]


def fewest_edits(moves: Iterable[Move], *, deep: bool = False, forbidden: frozenset[Path] = frozenset()) -> list[Edit]:
    """Edits, more specific ones first. `deep` renames single modules only; no edit starts at a `forbidden` path."""
    root = _grow(moves)
    _cost(root, (), deep, forbidden)
    found: list[Edit] = []
    stack: list[tuple[_Node, Path]] = [(root, ())]
    while stack:
        node, place = stack.pop()
        _, chosen = node.memo[place]
        if chosen is not None:
            found.append(Edit(node.path, chosen, whole=not node.children and not node.inner))
            place = chosen
        stack += [(child, (*place, word)) for word, child in node.children.items()]
    return sorted(found, key=lambda edit: (-len(edit.old), edit.old))


def _grow(moves: Iterable[Move]) -> _Node:
    root = _Node(())
    for move in moves:
        node = root
        _suggest(node, move)
        for depth, word in enumerate(move.path, 1):
            node = node.children.setdefault(word, _Node(move.path[:depth]))
            _suggest(node, move)
        node.place, node.inner = move.place, move.inner
    return root


def _suggest(node: _Node, move: Move) -> None:
    """The place at which this node would sit if everything below it kept its name."""
    below = move.path[len(node.path) :]
    cut = len(move.place) - len(below)
    if cut >= 0 and move.place[cut:] == below and (cut or below):
        node.candidates[move.place[:cut]] += 1


def _cost(node: _Node, place: Path, deep: bool, forbidden: frozenset[Path]) -> int:
    """Least number of edits below `node` when what leads to it has been renamed to `place`."""
    known = node.memo.get(place)
    if known is not None:
        return known[0]
    best, chosen = _kept(node, place, deep, forbidden), None
    if best > 0:
        for candidate in node.allowed(deep=deep, forbidden=forbidden):
            cost = 1 + _kept(node, candidate, deep, forbidden)
            if cost < best or (cost == best and chosen is None):
                best, chosen = cost, candidate
    node.memo[place] = (best, chosen)
    return best


def _kept(node: _Node, place: Path, deep: bool, forbidden: frozenset[Path]) -> int:
    missed = _MISSED if node.place is not None and node.place != place else 0
    return missed + sum(_cost(child, (*place, word), deep, forbidden) for word, child in node.children.items())

"""Which checkpoint unit is which parameter: by shape, layer numbers, place and words, the surest first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from porter.weights.similar import path_similarity
from porter.weights.units import Path, Shape, Unit, unfold

Pair = tuple[Unit, Unit]
Bucket = tuple[Shape | None, frozenset[tuple[int, ...]], Path | None]

_ENOUGH_OVERLAP = 0.3
_ENOUGH_LIKENESS = 0.2
_MAX_BUCKET = 400
_MAX_LISTS = 200
_MAX_UNFOLDED = 4000


class Matching:
    """Pairs found so far and what they say about the pairs still to find."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self._parents: dict[Path, Path] = {}
        self._taken: dict[Path, Path] = {}
        self._votes: dict[Path, Counter[Path]] = defaultdict(Counter)

    def add(self, source: Unit, target: Unit) -> None:
        self.pairs.append((source, target))
        self._parents.setdefault(source.path[:-1], target.path[:-1])
        self._taken.setdefault(target.path[:-1], source.path[:-1])
        self.vote(source.path[:-1], target.path[:-1])

    def vote(self, source: Path, target: Path) -> None:
        """`source` sits at `target`; so, less surely, do the modules around them."""
        for depth in range(1, len(source) + 1):
            for height in range(1, len(target) + 1):
                self._votes[source[:depth]][target[:height]] += 1

    def score(self, source: Unit, target: Unit) -> float:
        """Likeness of names, plus agreement with the pairs already found."""
        left, right = source.path[:-1], target.path[:-1]
        score = path_similarity(source.path, target.path) + 0.05 * target.required
        if left and right:
            known, taker = self._parents.get(left), self._taken.get(right)
            score += (0.6 if known == right else -0.3) if known else 0.0
            score -= 0.3 if taker is not None and taker != left else 0.0
        return score + 0.5 * self._agreement(left, right)

    def _agreement(self, left: Path, right: Path) -> float:
        """How much of the source's surroundings is already known to sit around the target."""
        for depth in range(len(left), 0, -1):
            votes = self._votes.get(left[:depth])
            if votes:
                best = max(votes.values())
                deepest = max((len(place) for place, count in votes.items() if count == best), default=0)
                shared = [n for n in range(1, len(right) + 1) if votes[right[:n]] == best]
                return depth / len(left) * len(shared) / max(deepest, 1) if shared else -0.5
        return 0.0


def match_units(sources: Sequence[Unit], targets: Sequence[Unit]) -> tuple[Pair, ...]:
    """One target at most per source and the reverse. What finds no counterpart is left out."""
    matching = Matching()
    sources, targets = _same_names(sources, targets, matching)
    lists = _match_lists(sources, targets)
    for left, right in lists.items():
        matching.vote(left, right)
    sources, targets = _in_lists(sources, targets, lists, matching)
    sources, targets = _by_bucket(sources, targets, matching)
    if sum(len(unit.rows) for unit in (*sources, *targets)) <= _MAX_UNFOLDED:
        _by_bucket(unfold(sources), unfold(targets), matching)
    return tuple(matching.pairs)


def _same_names(sources: Sequence[Unit], targets: Sequence[Unit], matching: Matching) -> tuple[list[Unit], list[Unit]]:
    known = {(unit.segments, unit.rows, unit.shape): unit for unit in targets}
    used = set()
    left = []
    for source in sources:
        target = known.get((source.segments, source.rows, source.shape))
        if target is None:
            left.append(source)
        else:
            matching.add(source, target)
            used.add(id(target))
    return left, [unit for unit in targets if id(unit) not in used]


def _match_lists(sources: Sequence[Unit], targets: Sequence[Unit]) -> dict[Path, Path]:
    """Which stack of layers is which, by what their layers hold."""
    left, right = _list_contents(sources), _list_contents(targets)
    if len(left) > _MAX_LISTS or len(right) > _MAX_LISTS:
        return {}
    scored = [
        (overlap + 0.3 * path_similarity(head, place), head, place)
        for head, content in left.items()
        for place, other in right.items()
        if (overlap := _overlap(content, other)) >= _ENOUGH_OVERLAP
    ]
    found: dict[Path, Path] = {}
    taken = set()
    for _, head, place in sorted(scored, key=lambda row: -row[0]):
        if head not in found and place not in taken:
            found[head] = place
            taken.add(place)
    return found


def _list_contents(units: Iterable[Unit]) -> dict[Path, Counter[tuple[Shape | None, int]]]:
    contents: dict[Path, Counter[tuple[Shape | None, int]]] = {}
    for unit in units:
        if unit.is_listed:
            contents.setdefault(unit.head, Counter())[(unit.shape, len(unit.rows))] += 1
    return contents


def _overlap(left: Counter[tuple[Shape | None, int]], right: Counter[tuple[Shape | None, int]]) -> float:
    return (left & right).total() / max(min(left.total(), right.total()), 1)


def _in_lists(
    sources: Sequence[Unit], targets: Sequence[Unit], lists: dict[Path, Path], matching: Matching
) -> tuple[list[Unit], list[Unit]]:
    def key_of(unit: Unit, head: Path | None) -> Bucket | None:
        return None if head is None else (unit.shape, unit.rows, head)

    places = set(lists.values())
    return _assign(
        [(key_of(unit, lists.get(unit.head) if unit.is_listed else None), unit) for unit in sources],
        [(key_of(unit, unit.head if unit.is_listed and unit.head in places else None), unit) for unit in targets],
        matching,
    )


def _by_bucket(sources: Sequence[Unit], targets: Sequence[Unit], matching: Matching) -> tuple[list[Unit], list[Unit]]:
    return _assign(
        [((unit.shape, unit.rows, None), unit) for unit in sources],
        [((unit.shape, unit.rows, None), unit) for unit in targets],
        matching,
    )


def _assign(
    sources: Sequence[tuple[Bucket | None, Unit]], targets: Sequence[tuple[Bucket | None, Unit]], matching: Matching
) -> tuple[list[Unit], list[Unit]]:
    """Units of one key are alternatives for each other; keys with few of them are settled first."""
    buckets: dict[Bucket, tuple[list[Unit], list[Unit]]] = {}
    for side, rows in enumerate((sources, targets)):
        for key, unit in rows:
            if key is not None:
                buckets.setdefault(key, ([], []))[side].append(unit)
    used: set[int] = set()
    for left, right in sorted(buckets.values(), key=lambda pair: len(pair[0]) * len(pair[1])):
        if left and right and max(len(left), len(right)) <= _MAX_BUCKET:
            used |= _settle(left, right, matching)
    return (
        [unit for _, unit in sources if id(unit) not in used],
        [unit for _, unit in targets if id(unit) not in used],
    )


def _settle(left: list[Unit], right: list[Unit], matching: Matching) -> set[int]:
    """Greedy: the best pair of a bucket first; each pair that is found informs the scores of the next round."""
    used: set[int] = set()
    while True:
        open_left = [unit for unit in left if id(unit) not in used]
        open_right = [unit for unit in right if id(unit) not in used]
        scored = [
            (matching.score(source, target), -abs(i - j), -i, source, target)
            for i, source in enumerate(open_left)
            for j, target in enumerate(open_right)
        ]
        scored = [row for row in scored if row[0] >= _ENOUGH_LIKENESS]
        if not scored:
            return used
        scored.sort(key=lambda row: row[:3], reverse=True)
        floor = scored[0][0] - 0.15
        fresh: set[int] = set()
        for score, _, _, source, target in scored:
            if score >= floor and id(source) not in fresh and id(target) not in fresh:
                matching.add(source, target)
                fresh |= {id(source), id(target)}
        used |= fresh

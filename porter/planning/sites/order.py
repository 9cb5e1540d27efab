"""Where a name goes in a list that is sorted only loosely."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

_FAMILY = 4


def insertion_index(names: Sequence[str], new: str) -> int:
    """The index beside the names that share the longest start with the new one, else where fewest names are misplaced.

    Of several such places the one that leaves the fewest names on the wrong side; a few names out of order elsewhere
    therefore do not draw the new one to them.
    """
    key, keys = new.casefold(), [name.casefold() for name in names]
    costs = _misplaced(keys, key)
    shared = [_shared(other, key) for other in keys]
    longest = max(shared, default=0)
    if longest < _FAMILY:
        return min(range(len(costs)), key=costs.__getitem__)
    near = (index + (keys[index] < key) for index, length in enumerate(shared) if length == longest)
    return min(near, key=costs.__getitem__)


def _misplaced(keys: Sequence[str], key: str) -> list[int]:
    """For each index, how many names would stand on the wrong side of the new one."""
    wrong = sum(other < key for other in keys)
    costs = [wrong]
    for other in keys:
        wrong += 1 if other > key else -1
        costs.append(wrong)
    return costs


def _shared(left: str, right: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))

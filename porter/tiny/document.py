"""A set of JSON documents under edit: every change is recorded as (path, old, new)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from porter.jsontypes import JSON, JSONObject, as_int

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """`path` is `FILE:dotted.path`; `old` is None when the key was not there."""

    path: str
    old: JSON
    new: JSON

    def to_json(self) -> JSON:
        return [self.path, self.old, self.new]


@dataclass(slots=True)
class Documents:
    """Deep copies of JSON files, edited through `set` only, so that the list of changes is complete."""

    files: dict[str, JSONObject]
    changes: list[Change] = field(default_factory=list)

    @classmethod
    def of(cls, files: Mapping[str, JSONObject]) -> Documents:
        return cls({name: copy.deepcopy(value) for name, value in files.items()})

    def get(self, file: str, path: Sequence[str]) -> JSON:
        """The value at `path`, None when any step of it is missing."""
        value: JSON = self.files.get(file)
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
                value = value[int(step)]
            else:
                return None
        return value

    def set(self, file: str, path: Sequence[str], new: JSON) -> None:
        """Put `new` at `path`; parents must exist. Nothing is recorded when the value is already there."""
        parent = self.get(file, path[:-1])
        old = self.get(file, path)
        if type(old) is type(new) and old == new:
            return
        if isinstance(parent, dict):
            parent[path[-1]] = new
        elif isinstance(parent, list):
            parent[int(path[-1])] = new
        else:
            return
        self.changes.append(Change(f"{file}:{'.'.join(path)}", old, new))

    def remove(self, file: str, path: Sequence[str]) -> None:
        parent = self.get(file, path[:-1])
        if isinstance(parent, dict) and path[-1] in parent:
            self.changes.append(Change(f"{file}:{'.'.join(path)}", parent.pop(path[-1]), None))


def walk(value: JSON, path: Path = ()) -> Iterator[tuple[Path, JSON]]:
    """Every (path, value) below `value`, parents first, over a snapshot of the keys."""
    items: list[tuple[str, JSON]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = [(str(index), item) for index, item in enumerate(value)]
    for key, item in items:
        yield (*path, key), item
        yield from walk(item, (*path, key))


def pair(value: JSON) -> tuple[int, int] | None:
    """Two whole numbers above 0, such as a resolution; None for anything else."""
    sides = [as_int(side) or 0 for side in value] if isinstance(value, list) else []
    return (sides[0], sides[1]) if len(sides) == 2 and min(sides) > 0 else None

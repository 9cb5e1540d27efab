"""Whether names that a comparison took as one and the same were met as such where they are given."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Renames:
    """A one-to-one map from the library's names to the repo's."""

    there: dict[str, str] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)

    def fits(self, ours: str, theirs: str) -> bool:
        """Takes the pair unless it contradicts an earlier one."""
        return self.there.setdefault(ours, theirs) == theirs and self.back.setdefault(theirs, ours) == ours


@dataclass(frozen=True, slots=True)
class Used:
    """A pair of names met where something else than `self` is asked by name: `kind` is what asks."""

    kind: str
    ours: str
    theirs: str
    where: tuple[str, str, str]
    """Class and function of the library, file of the repo."""
    node: ast.AST


ATTRIBUTE, KEYWORD, STRING = "attribute", "keyword", "string"


@dataclass(slots=True)
class Given:
    """Pairs of names met where the code gives them: attributes of self and fields of configs, and parameters."""

    attributes: set[tuple[str, str]] = field(default_factory=set)
    parameters: set[tuple[str, str]] = field(default_factory=set)
    used: list[Used] = field(default_factory=list)

    def contradicted(self, own: tuple[frozenset[str], frozenset[str]]) -> Iterable[Used]:
        """What was used under another name than it was given, by the names that are each side's own."""
        tables = {
            ATTRIBUTE: _sides(self.attributes),
            KEYWORD: _sides(self.parameters),
            STRING: _sides(self.attributes | self.parameters),
        }
        every = self.attributes | self.parameters
        for item in self.used:
            pair = (item.ours, item.theirs)
            given = pair in tables[item.kind].pairs or (pair in every and item.ours not in tables[item.kind].ours)
            if not given and _doubtful(item, tables[item.kind], own):
                yield item


@dataclass(frozen=True, slots=True)
class _Table:
    pairs: frozenset[tuple[str, str]]
    ours: frozenset[str]
    theirs: frozenset[str]


def _sides(pairs: Iterable[tuple[str, str]]) -> _Table:
    held = frozenset(pairs)
    return _Table(held, frozenset(mine for mine, _ in held), frozenset(other for _, other in held))


def _doubtful(item: Used, table: _Table, own: tuple[frozenset[str], frozenset[str]]) -> bool:
    """A name that is given under other names alone; a new name where both sides have both."""
    if item.ours == item.theirs:
        return item.ours in table.ours and item.theirs in table.theirs
    return item.ours in table.ours or item.theirs in own[0] or item.ours in own[1]


def config_key(text: str, cls: str, types: Mapping[tuple[str, str], str]) -> str | None:
    """Which config object an expression such as `self.config.text_config` stands for, None for anything else."""
    last = text.rpartition(".")[2]
    if not last.endswith("config"):
        return None
    return types.get((cls, last), f"{cls} {last}") if last == "config" and cls else last if cls else None

"""The weight mapper as a value of its own, before it is lowered to the fields that a tree's WeightsMapper has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from porter.jsontypes import JSON, JSONObject

Rewrite = Callable[[str, str, str], str]

SHARD = "@"
"""`attn.qkv@q.weight` is the part of `attn.qkv.weight` that vLLM calls shard "q"; no module name holds this sign."""


@dataclass(frozen=True, slots=True)
class RuleUse:
    """One rule and what it moves; `touched` are positions in the names that were given."""

    kind: str
    old: str
    new: str | None
    count: int
    example: str
    touched: tuple[int, ...] = ()

    def to_json(self) -> JSONObject:
        return {"kind": self.kind, "old": self.old, "new": self.new, "count": self.count, "example": self.example}


@dataclass(frozen=True, slots=True)
class Trace:
    """Results in the order of the names given, and the use of each rule in the order of application."""

    results: tuple[str | None, ...]
    uses: tuple[RuleUse, ...]


@dataclass(frozen=True, slots=True)
class NameRules:
    """Renames in vLLM's own order of application: regex, substr, stacked, prefix, suffix; None drops the tensor.

    Semantics are WeightsMapper's: each rule sees the result of the one before, only the first occurrence is replaced
    (a regex replaces every match). A regex is the last resort, where no literal text can tell two places apart. A
    stacked rule's new text names the shard behind the SHARD sign: `.q_proj.` to `.qkv@q.`.
    """

    KINDS: ClassVar = ("regex", "substr", "stacked", "prefix", "suffix")

    substr: Mapping[str, str | None] = field(default_factory=dict)
    prefix: Mapping[str, str | None] = field(default_factory=dict)
    suffix: Mapping[str, str | None] = field(default_factory=dict)
    regex: Mapping[str, str | None] = field(default_factory=dict)
    stacked: Mapping[str, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(True for _ in self.steps())

    def steps(self) -> Iterator[tuple[str, str, str | None]]:
        """(field, old, new) in order of application."""
        for name in _FIELDS:
            for old, new in getattr(self, name).items():
                yield name, old, new

    def apply(self, name: str) -> str | None:
        """The target name of a checkpoint tensor, None when it is dropped on purpose."""
        for kind, old, new in self.steps():
            matches, rewrite = _FIELDS[kind]
            if matches(old, name):
                if new is None:
                    return None
                name = rewrite(old, new, name)
        return name

    def apply_all(self, names: Sequence[str]) -> Trace:
        """`apply` for many names at once, with what each rule changed."""
        results: list[str | None] = list(names)
        uses: list[RuleUse] = []
        for kind, old, new in self.steps():
            matches, rewrite = _FIELDS[kind]
            hit = [i for i, name in enumerate(results) if name is not None and matches(old, name)]
            changed = []
            for i in hit:
                after = None if new is None else rewrite(old, new, str(results[i]))
                if after != results[i]:
                    changed.append(i)
                    results[i] = after
            uses.append(RuleUse(kind, old, new, len(changed), names[changed[0]] if changed else "", tuple(changed)))
        return Trace(tuple(results), tuple(uses))

    def to_json(self) -> JSONObject:
        tables: dict[str, JSON] = {name: dict(getattr(self, name)) for name in _FIELDS}
        return {**tables, "stacked": {old: list(sharded(str(new))) for old, new in self.stacked.items()}}


def sharded(text: str) -> tuple[str, str | int]:
    """The name without its shard, and the shard as vLLM writes it: a letter, or the number of an output.

    `.attn.qkv@q.` gives (`.attn.qkv.`, "q").
    """
    before, _, rest = text.partition(SHARD)
    shard, dot, after = rest.partition(".")
    return before + dot + after, int(shard) if shard.isdecimal() else shard


def mapper_field(kind: str) -> str:
    """The argument of vLLM's WeightsMapper that takes rules of a kind."""
    return f"orig_to_new_{kind}"


_FIELDS: Mapping[str, tuple[Callable[[str, str], object], Rewrite]] = {
    "regex": (re.search, re.sub),
    "substr": (lambda old, name: old in name, lambda old, new, name: name.replace(old, new, 1)),
    "stacked": (lambda old, name: old in name, lambda old, new, name: name.replace(old, new, 1)),
    "prefix": (lambda old, name: name.startswith(old), lambda old, new, name: new + name[len(old) :]),
    "suffix": (lambda old, name: name.endswith(old), lambda old, new, name: name[: len(name) - len(old)] + new),
}

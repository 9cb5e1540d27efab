"""A repo against the class that the tree registers for it: stored names against the modules that the class sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from porter.families.base import Difference
from porter.families.held import Held, children_of, own_class
from porter.families.view import View
from porter.vllm_tree.registry import Architecture
from porter.vllm_tree.tree import Tree

DEPTH = 3
LEVELS = 4
SHOWN = 3
STRANGERS = 8
QUIET = ("inv_freq", "position_ids")
"""Buffers that vLLM's loaders pass over by themselves."""
COMMON_PARTS = frozenset({"weight", "bias", "model"})
Below = Held | Mapping[str, bool] | None


@dataclass(frozen=True, slots=True)
class Names:
    """Stored names that differ in their first or last levels → how many of each; `source` is checkpoint or code."""

    counts: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    total: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """How the names fit a class. `explained` is the share of tensors that have a place; `readable` is False when the
    class's names cannot be told from its source."""

    differences: tuple[Difference, ...] = ()
    explained: float = 1.0
    names: Names = Names()
    readable: bool = True


def stored_names(view: View) -> Names:
    """The checkpoint's names; where its layout was not seen, those of the parameters that the repo's code builds."""
    if "stored_names" not in view.memo:
        view.memo["stored_names"] = _stored_names(view)
    found: Names = view.memo["stored_names"]
    return found


def _stored_names(view: View) -> Names:
    tensors = [tensor.name for tensor in view.reading.snapshot.tensors.tensors]
    if tensors:
        return Names(_levels(tensors), "checkpoint", len(tensors))
    return Names(_levels(view.built_names), "code", len(view.built_names))


def _levels(names: Iterable[str]) -> dict[str, int]:
    """One name for all that share their first levels and their end: a hundred thousand tensors are a few hundred."""
    first: dict[tuple[str, ...], str] = {}
    counts: Counter[str] = Counter()
    for name in names:
        if name.endswith(QUIET):
            continue
        parts = name.split(".")
        key = (*parts[:LEVELS], *parts[-2:])
        counts[first.setdefault(key, name)] += 1
    return dict(counts)


def place(view: View, entry: Architecture) -> Placement:
    """The repo's names in the modules of the registered class, both ways."""
    file = entry.file(view.tree)
    held = own_class(view.tree, file, entry.class_name) if file is not None else None
    names = stored_names(view)
    if held is None or held.open or not held.sites:
        return Placement(names=names, readable=False)
    return _Placer(view.tree, held).place(names)


@dataclass(slots=True)
class _Placer:
    tree: Tree
    held: Held
    known: dict[tuple[str, str, str], Below] = field(default_factory=dict)

    def place(self, names: Names) -> Placement:
        strange: Counter[str] = Counter()
        taken: set[tuple[str, ...]] = set()
        for name, count in names.counts.items():
            target = self.held.rules.apply(name)
            if target is None:
                continue
            parts = tuple(target.split("."))
            taken.add(parts)
            where = self.stranger(self.held, parts, 0)
            if where is not None:
                strange[where] += count
        found = [*self.strangers(strange, names.source), *self.absent(taken, names.source)]
        total = sum(names.counts.values()) or 1
        return Placement(tuple(found), 1.0 - sum(strange.values()) / total, names)

    def below(self, held: Held, name: str) -> Below:
        key = (held.cls.file, held.cls.name, name)
        if key not in self.known:
            self.known[key] = children_of(self.tree, held, name)
        return self.known[key]

    def stranger(self, held: Held, parts: tuple[str, ...], depth: int) -> str | None:
        """The prefix at which a name leaves what a class holds; None: it has a place, or that cannot be told."""
        head, rest = parts[0], parts[1:]
        if held.open or _mentions(held, parts):
            return None
        if head not in held.sites:
            return head
        below = self.below(held, head) if rest and depth < DEPTH - 1 else None
        if below is None:
            return None
        if isinstance(below, Held):
            inner = below.rules.apply(".".join(rest))
            where = self.stranger(below, tuple(inner.split(".")), depth + 1) if inner else None
        else:
            where = None if below.get(rest[0], False) else rest[0]
        return f"{head}.{where}" if where is not None else None

    def strangers(self, strange: Counter[str], source: str) -> Iterator[Difference]:
        unit = "tensors" if source == "checkpoint" else "parameters of the repo's code"
        listed = sorted(strange.items(), key=lambda item: (-item[1], item[0]))
        for where, count in sorted(listed[:STRANGERS]):
            base = f"{self.held.cls.name} has no place for {where}"
            yield Difference("weights", base, f"{count} {unit} under {where}", "")
        if len(listed) > STRANGERS:
            base = f"{self.held.cls.name} has no place for {len(listed) - STRANGERS} more names"
            yield Difference("weights", base, f"{sum(count for _, count in listed[STRANGERS:])} {unit}", "")

    def absent(self, taken: set[tuple[str, ...]], source: str) -> Iterator[Difference]:
        """Modules with weights that the class always builds and for which nothing is stored."""
        tops = {parts[0] for parts in taken}
        for name, sites in self.held.sites.items():
            if not taken or not all(site.always for site in sites) or _mentions(self.held, (name,)):
                continue
            below = self.below(self.held, name)
            lacking = [name] if below and name not in tops and source == "checkpoint" else []
            if name in tops and below is not None and not isinstance(below, Held):
                stored = {parts[1] for parts in taken if parts[0] == name and len(parts) > 1}
                lacking = [f"{name}.{item}" for item, weighs in below.items() if weighs and item not in stored]
            if lacking:
                shown = ", ".join(lacking[:SHOWN])
                what = "tensor" if source == "checkpoint" else "parameter"
                yield Difference("weights", f"{self.held.cls.name} builds {shown}", f"no {what} under {shown}", "")


def _mentions(held: Held, parts: tuple[str, ...]) -> bool:
    """Whether a class's own loading code names a part: then it may be renamed there, and no stranger."""
    return any(part in held.mentioned for part in parts if not part.isdigit() and part not in COMMON_PARTS)

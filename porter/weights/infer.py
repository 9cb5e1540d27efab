"""The smallest declarative mapper that takes a checkpoint's names to the names that a model accepts.

Pure, and linear in the number of tensors: names are folded per layer first. Nothing is matched on a name alone where
shapes are known, and no two tensors are ever sent to one place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from porter.hub.snapshot import TensorInfo
from porter.jsontypes import JSONObject
from porter.weights.join import RUN_TIME, Parameter
from porter.weights.mapper import NameRules
from porter.weights.match import match_units
from porter.weights.rules import rules_for
from porter.weights.units import Item, Unit, fold

_DROPPED_BY_VLLM = ("inv_freq", "cos_cached", "sin_cached")


@dataclass(frozen=True, slots=True)
class Target:
    """A name that the model accepts. `fills` names the parameter when that has several names or parts."""

    name: str
    shape: tuple[int, ...] | None = None
    required: bool = True
    fills: str | None = None


@dataclass(frozen=True, slots=True)
class RuleUse:
    """One rule and what it moves."""

    kind: str
    old: str
    new: str | None
    count: int
    example: str

    def to_json(self) -> JSONObject:
        return {"kind": self.kind, "old": self.old, "new": self.new, "count": self.count, "example": self.example}


@dataclass(frozen=True, slots=True)
class Inferred:
    """`unmapped` source names reach no target, `missing` targets get no tensor, under exactly these rules."""

    rules: NameRules = NameRules()
    unmapped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    moves: tuple[RuleUse, ...] = field(default=())

    @property
    def complete(self) -> bool:
        return not self.unmapped and not self.missing


def targets_of(parameters: Iterable[Parameter]) -> tuple[Target, ...]:
    """The names that a worker's parameter table accepts: a fused parameter whole or in parts, a tied one optionally."""
    found = []
    for parameter in parameters:
        if not parameter.loadable:
            continue
        needed = parameter.tied_to is None
        found.append(Target(parameter.name, parameter.stored_shape, needed and not parameter.parts, parameter.name))
        found += [Target(name, shape, needed, parameter.name) for name, shape in parameter.parts]
    return tuple(found)


def infer_mapper(source: Sequence[TensorInfo], target: Sequence[Target]) -> Inferred:
    """Rules from names, shapes and layer numbers; shapes are used when every tensor and target has one."""
    source = list({tensor.name: tensor for tensor in source}.values())
    shapes = all(tensor.shape is not None for tensor in source) and all(t.shape is not None for t in target)
    left = fold([Item(tensor.name, tensor.shape) for tensor in source], shapes=shapes)
    right = fold([Item(t.name, t.shape, t.required) for t in target], shapes=shapes)
    pairs = match_units(left, right)
    matched = {_member_key(unit) for unit, _ in pairs}
    extras = [unit for unit in left if _member_key(unit) not in matched]
    rules = _with_drops(rules_for(pairs, extras), extras, target)
    return _judged(_without_clashes(rules, source, target), source, target)


def _member_key(unit: Unit) -> str:
    return unit.example


def _with_drops(rules: NameRules, extras: Sequence[Unit], target: Sequence[Target]) -> NameRules:
    """Left-over tables that are computed at run time are dropped by name, unless vLLM does so itself."""
    leaves = {unit.path[-1] for unit in extras} & set(RUN_TIME) - set(_DROPPED_BY_VLLM)
    wanted = {t.name.rpartition(".")[2] for t in target}
    drops: dict[str, str | None] = {f".{leaf}": None for leaf in sorted(leaves - wanted)}
    return NameRules(rules.substr, rules.prefix, {**drops, **rules.suffix}, rules.regex)


def _without_clashes(rules: NameRules, source: Sequence[TensorInfo], target: Sequence[Target]) -> NameRules:
    """Takes out rules until no two tensors reach one place."""
    names = [tensor.name for tensor in source]
    places = {t.name for t in target}
    while True:
        results = [rules.apply(name) for name in names]
        counts = Counter(result for result in results if result in places)
        clashing = [name for name, result in zip(names, results, strict=True) if result and counts[result] > 1]
        culprits = {step for name in clashing for step in _steps_taken(rules, name)}
        if not culprits:
            return rules
        rules = _remove(rules, culprits)


def _steps_taken(rules: NameRules, name: str) -> Iterator[tuple[str, str]]:
    for kind, old, new in rules.steps():
        after = NameRules(**{kind: {old: new}}).apply(name)
        if after is None:
            return
        if after != name:
            yield kind, old
        name = after


def _remove(rules: NameRules, culprits: set[tuple[str, str]]) -> NameRules:
    tables = {
        kind: {old: new for old, new in getattr(rules, kind).items() if (kind, old) not in culprits}
        for kind in ("substr", "prefix", "suffix", "regex")
    }
    return NameRules(**tables)


def _judged(rules: NameRules, source: Sequence[TensorInfo], target: Sequence[Target]) -> Inferred:
    """What the rules leave over, found by applying them to every name."""
    accepted = {t.name: t for t in target}
    filled: set[str] = set()
    unmapped = []
    for tensor in source:
        result = rules.apply(tensor.name)
        place = accepted.get(result) if result is not None else None
        if place is not None and _fits(tensor, place):
            filled.add(place.name)
        elif result is not None and tensor.name.rpartition(".")[2] not in RUN_TIME:
            unmapped.append(tensor.name)
    whole = {t.fills for t in target if t.name in filled and t.fills == t.name}
    missing = tuple(t.name for t in target if t.required and t.name not in filled and t.fills not in whole)
    return Inferred(rules, tuple(unmapped), missing, tuple(_uses(rules, source)))


def _fits(tensor: TensorInfo, place: Target) -> bool:
    return tensor.shape is None or place.shape is None or tuple(tensor.shape) == tuple(place.shape)


def _uses(rules: NameRules, source: Sequence[TensorInfo]) -> Iterator[RuleUse]:
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for tensor in source:
        name: str | None = tensor.name
        for kind, old, new in rules.steps():
            if name is None:
                break
            after = NameRules(**{kind: {old: new}}).apply(name)
            if after != name:
                counts[kind, old] += 1
                examples.setdefault((kind, old), tensor.name)
            name = after
    for kind, old, new in rules.steps():
        yield RuleUse(kind, old, new, counts[kind, old], examples.get((kind, old), ""))

"""The smallest declarative mapper that takes a checkpoint's names to the names that a model accepts.

Pure, and linear in the number of tensors: names are folded per layer first. Nothing is matched on a name alone where
shapes are known, and no two tensors are ever sent to one place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from porter.hub.snapshot import TensorInfo
from porter.weights.join import RUN_TIME, Parameter
from porter.weights.mapper import SHARD, NameRules, RuleUse, Trace
from porter.weights.match import Pair, match_units
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
class Inferred:
    """`unmapped` source names reach no target, `missing` targets get no tensor, under exactly these rules."""

    rules: NameRules = field(default_factory=NameRules)
    unmapped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    moves: tuple[RuleUse, ...] = ()

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
        spelled = [name for name, _ in parameter.parts if SHARD not in name]
        found.append(Target(parameter.name, parameter.stored_shape, needed and not spelled, parameter.name))
        found += [Target(name, shape, needed and name in spelled, parameter.name) for name, shape in parameter.parts]
    return tuple(found)


def infer_mapper(source: Sequence[TensorInfo], target: Sequence[Target]) -> Inferred:
    """Rules from names, shapes and layer numbers; shapes are used when every tensor and target has one."""
    source = list({tensor.name: tensor for tensor in source}.values())
    shapes = all(tensor.shape is not None for tensor in source) and all(t.shape is not None for t in target)
    left = fold([Item(tensor.name, tensor.shape) for tensor in source], shapes=shapes)
    right = fold([Item(t.name, t.shape, t.required) for t in target], shapes=shapes)
    pairs = _pairs(left, right)
    matched = {unit.example for unit, _ in pairs}
    extras = [unit for unit in left if unit.example not in matched]
    rules = _with_drops(rules_for(pairs, extras), extras, target)
    rules, trace = _without_clashes(rules, source, target)
    return _judged(rules, trace, source, target)


def rules_from(places: Mapping[str, str]) -> NameRules | None:
    """The fewest rules that take each name to its known place; None when no rules say it for all of them."""
    left = fold([Item(name, None) for name in places], shapes=False)
    right = fold([Item(place, None) for place in dict.fromkeys(places.values())], shapes=False)
    holders = {unit.name_in(row): unit for unit in right for row in unit.rows}
    pairs = [(unit, holders[places[unit.example]]) for unit in left]
    rules = rules_for(pairs, ())
    return rules if all(rules.apply(name) == place for name, place in places.items()) else None


def _pairs(left: Sequence[Unit], right: Sequence[Unit]) -> tuple[Pair, ...]:
    """Fused parameters whole first; the shards only of those that no tensor fills whole."""
    whole = [unit for unit in right if not _is_shard(unit)]
    pairs = match_units(left, whole)
    if len(whole) == len(right):
        return pairs
    filled = {target.name_in(row) for _, target in pairs for row in target.rows}
    shards = [part for unit in right if _is_shard(unit) for part in _unfilled(unit, filled)]
    if not shards:
        return pairs
    return match_units(
        left, [unit for unit in whole if unit.path not in {_whole(part).path for part in shards}] + shards
    )


def _is_shard(unit: Unit) -> bool:
    return SHARD in unit.example


def _whole(unit: Unit) -> Unit:
    """The fused parameter of a shard."""
    segments = tuple(tuple(word.partition(SHARD)[0] for word in segment) for segment in unit.segments)
    return replace(unit, segments=segments)


def _unfilled(unit: Unit, filled: set[str]) -> Iterator[Unit]:
    """The shard in those layers whose fused parameter is still empty."""
    whole = _whole(unit)
    rows = frozenset(row for row in unit.rows if whole.name_in(row) not in filled)
    if rows:
        yield replace(unit, rows=rows, example=unit.name_in(min(rows)))


def _with_drops(rules: NameRules, extras: Sequence[Unit], target: Sequence[Target]) -> NameRules:
    """Left-over tables that are computed at run time are dropped by name, unless vLLM does so itself."""
    leaves = {unit.path[-1] for unit in extras} & set(RUN_TIME) - set(_DROPPED_BY_VLLM)
    wanted = {t.name.rpartition(".")[2] for t in target}
    drops: dict[str, str | None] = {f".{leaf}": None for leaf in sorted(leaves - wanted)}
    return replace(rules, suffix={**drops, **rules.suffix})


def _without_clashes(
    rules: NameRules, source: Sequence[TensorInfo], target: Sequence[Target]
) -> tuple[NameRules, Trace]:
    """Takes out rules until no two tensors reach one place."""
    names = [tensor.name for tensor in source]
    places = {t.name for t in target}
    while True:
        trace = rules.apply_all(names)
        counts: Counter[str | None] = Counter(result for result in trace.results if result in places)
        clashing = {position for position, result in enumerate(trace.results) if counts[result] > 1}
        culprits = {(use.kind, use.old) for use in trace.uses if not clashing.isdisjoint(use.touched)}
        if not culprits:
            return rules, trace
        rules = _remove(rules, culprits)


def _remove(rules: NameRules, culprits: set[tuple[str, str]]) -> NameRules:
    tables = {
        kind: {old: new for old, new in getattr(rules, kind).items() if (kind, old) not in culprits}
        for kind in NameRules.KINDS
    }
    return NameRules(**tables)


def judge(rules: NameRules, source: Sequence[TensorInfo], target: Sequence[Target]) -> Inferred:
    """What given rules leave over on either side."""
    return _judged(rules, rules.apply_all([tensor.name for tensor in source]), source, target)


def _judged(rules: NameRules, trace: Trace, source: Sequence[TensorInfo], target: Sequence[Target]) -> Inferred:
    """What the rules leave over, from where they take every name."""
    accepted = {t.name: t for t in target}
    filled: set[str] = set()
    unmapped = []
    for tensor, result in zip(source, trace.results, strict=True):
        place = accepted.get(result) if result is not None else None
        if place is not None and _fits(tensor, place):
            filled.add(place.name)
        elif result is not None and tensor.name.rpartition(".")[2] not in RUN_TIME:
            unmapped.append(tensor.name)
    return Inferred(rules, tuple(unmapped), tuple(_missing(target, filled)), trace.uses)


def _missing(target: Sequence[Target], filled: set[str]) -> Iterator[str]:
    """Required names that nothing fills; of a parameter that is filled by shards, the shards that are not there."""
    whole = {t.fills for t in target if t.name in filled and t.fills == t.name}
    begun = {t.fills for t in target if t.name in filled and SHARD in t.name}
    for t in target:
        wanted = SHARD in t.name if t.fills in begun else t.required
        if wanted and t.name not in filled and t.fills not in whole:
            yield t.name


def _fits(tensor: TensorInfo, place: Target) -> bool:
    return tensor.shape is None or place.shape is None or tuple(tensor.shape) == tuple(place.shape)

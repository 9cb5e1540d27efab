"""The names that a port takes, kept in porter.json: what `--names-only` holds a checkpoint against without a vLLM."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import cast

from porter.errors import TargetError
from porter.hub.snapshot import TensorTable
from porter.jsontypes import JSON, JSONObject
from porter.ports import Port
from porter.weights.infer import Target, judge
from porter.weights.mapper import NameRules
from porter.weights.patterns import group_names
from porter.weights.report import Bytes, Finding, Totals, WeightsReport

KEY = "parameters"
NOTE = "no vLLM here: names were held against those that the port had when it was written; shapes were not looked at"
_RANGE = re.compile(r"\{([\d.,]+)\}")
_MOST = 1_000_000


def to_records(targets: Iterable[Target]) -> list[JSON]:
    """One record per pattern of names that fill the same patterns; `fills` only where it is another name."""
    alike: dict[tuple[str, bool, bool], list[Target]] = {}
    for target in targets:
        place = group_names([target.fills or target.name])[0].pattern
        own = target.fills in (None, target.name)
        alike.setdefault((_holes(target.name) + " " + _holes(place), target.required, own), []).append(target)
    return [_record(group) for group in alike.values()]


def _holes(name: str) -> str:
    return ".".join("*" if word.isdecimal() else word for word in name.split("."))


def _record(group: Sequence[Target]) -> JSONObject:
    names = _patterns([target.name for target in group])
    fills = _patterns([target.fills or target.name for target in group])
    record: JSONObject = {"names": list(names), "required": group[0].required}
    return record if fills == names else {**record, "fills": list(fills)}


def _patterns(names: Sequence[str]) -> list[str]:
    """One pattern when it stands for exactly these names in this order, else the names."""
    pattern = group_names(names)[0].pattern
    return [pattern] if list(_expand(pattern)) == list(names) else list(names)


def _expand(pattern: str) -> Iterator[str]:
    """The names of a pattern: `layers.{0..2,5}.norm`."""
    pieces = _RANGE.split(pattern)
    numbers = [list(_numbers(text)) for text in pieces[1::2]]
    for chosen in islice(product(*numbers), _MOST):
        words = [*pieces]
        words[1::2] = [str(number) for number in chosen]
        yield "".join(words)


def _numbers(text: str) -> Iterator[int]:
    for part in text.split(","):
        low, _, high = part.partition("..")
        if low.isdecimal() and (high or low).isdecimal() and len(high or low) < 7:
            yield from range(int(low), int(high or low) + 1)


def from_records(value: JSON) -> tuple[Target, ...]:
    """The inverse of `to_records`; what is no record of that form is left out."""
    found = []
    for record in value if isinstance(value, list) else []:
        names = record.get("names") if isinstance(record, dict) else None
        if isinstance(record, dict) and isinstance(names, list):
            places = record.get("fills")
            listed = [name for pattern in names for name in _expand(str(pattern))]
            filled = [n for p in places for n in _expand(str(p))] if isinstance(places, list) else listed
            found += [Target(n, None, record.get("required") is True, p) for n, p in zip(listed, filled, strict=False)]
    return tuple(found)


def check_names(port: Port, table: TensorTable) -> WeightsReport:
    """Checkpoint names against a port's recorded ones. Raises TargetError when the port has none."""
    targets = from_records(port.manifest.get(KEY))
    spec = port.manifest.get("spec")
    rules = spec.get("rules") if isinstance(spec, dict) else None
    if not targets or not isinstance(rules, dict):
        raise TargetError(
            f"{port.spec} has no recorded parameter names, and there is no vLLM to ask",
            hint="give an interpreter that has vLLM: --python",
        )
    fields = {kind: cast("Mapping[str, str | None]", rules.get(kind) or {}) for kind in NameRules.KINDS}
    found = judge(NameRules(**fields), table.stored(), targets)
    return _report(found.unmapped, found.missing, table, targets, NameRules(**fields))


def _report(
    unmapped: Sequence[str], missing: Sequence[str], table: TensorTable, targets: Sequence[Target], rules: NameRules
) -> WeightsReport:
    names = [tensor.name for tensor in table.stored()]
    dropped = [name for name in names if rules.apply(name) is None]
    return WeightsReport(
        Totals(len(names), len({t.fills for t in targets}), 0, 0, len(names) - len(unmapped) - len(dropped)),
        unmapped=tuple(Finding(name, f"{rules.apply(name)} is no name that the port takes") for name in unmapped),
        missing=tuple(Finding(name, "no checkpoint tensor has this name") for name in missing),
        dropped=tuple(Finding(name, "dropped by the mapper") for name in dropped),
        bytes=Bytes(table.bytes_fetched, table.bytes_total),
        names_only=True,
        notes=(*table.notes, NOTE),
    )

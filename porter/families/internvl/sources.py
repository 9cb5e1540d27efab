"""Where a value stands, as generated code would read it: proved against the JSON, a constant where nothing matches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

from porter.facts.model import Fact
from porter.facts.synonyms import HIDDEN
from porter.families.base import ReadingLike, Scope
from porter.jsontypes import JSON, JSONObject
from porter.planning.spec import Source

PREPROCESSOR = "preprocessor_config.json"
FACTORS_OF = frozenset(HIDDEN)
"""The sizes that a stored ratio may be a ratio of."""
RATIO_WORDS = ("ratio", "mult", "factor", "expan")


def at(document: JSON, path: str) -> JSON:
    """The value at a dotted path, None when there is none."""
    current = document
    for part in path.split(".") if path else []:
        if not isinstance(current, dict) or part not in current:
            return None
        current = current[part]
    return current


def resolved(reading: ReadingLike, scope: Scope, attribute: str, value: JSON = None) -> Source | None:
    """Where an attribute stands; `value` is what it must be when a fact settled it. None when the repo is silent."""
    fact = reading.resolve(scope, attribute)
    found = fact.value if isinstance(fact.value, dict) else {}
    wanted = value if value is not None else found.get("value")
    if wanted is None:
        return None
    path = found.get("path")
    config = reading.snapshot.config()
    if isinstance(path, str):
        stated = at(config, path)
        if same(stated, wanted):
            return Source("config", wanted, path)
        derived = _derived(config, path, stated, wanted)
        if derived is not None:
            return derived
    return _from_evidence(reading, fact, wanted) or Source("constant", wanted)


def same(left: JSON, right: JSON) -> bool:
    """Equal as JSON, with True and 1 kept apart."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _derived(config: JSONObject, path: str, stated: JSON, wanted: JSON) -> Source | None:
    """One over the number at the path, or a stored ratio times a width that stands beside it."""
    if not _is_number(wanted):
        return None
    if isinstance(stated, (int, float)) and stated and not isinstance(stated, bool) and abs(1 / stated - wanted) < 1e-9:
        return Source("inverse", wanted, path)
    head = path.rpartition(".")[0]
    inside = at(config, head)
    siblings = {key: value for key, value in inside.items() if _is_number(value)} if isinstance(inside, dict) else {}
    ratios = [key for key in siblings if any(word in key.lower() for word in RATIO_WORDS)]
    for ratio in ratios:
        for factor in sorted(FACTORS_OF & siblings.keys()):
            if int(siblings[factor] * siblings[ratio]) == wanted:
                return Source("product", wanted, f"{head}.{ratio}" if head else ratio, factor)
    return None


def _is_number(value: JSON) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _from_evidence(reading: ReadingLike, fact: Fact, wanted: JSON) -> Source | None:
    """A top-level key of the preprocessor's JSON that the evidence names and that holds the value."""
    document: Mapping[str, JSON] = reading.snapshot.json.get(PREPROCESSOR, {})
    for item in fact.evidence:
        if (item.origin, item.file) != ("repo", PREPROCESSOR):
            continue
        if item.where in document and same(document[item.where], wanted):
            return Source("processor", wanted, item.where)
    return None

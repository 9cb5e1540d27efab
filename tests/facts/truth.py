"""Truth files: what a person read in a repo, and how porter's facts are held against it.

A file says of one repo: `facts` (stated by its files: certain or likely, and right), `inferred` (follows from them by
one step: right, and never certain), `may` (right when stated, unknown is as good), `unknown` (the files cannot settle
it: at most a guess), and the verdict. In a value, `{"one_of": [...]}` allows several readings and `{"mentions":
[...]}` asks for words.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from porter.facts.model import Confidence, Fact, ModelFacts
from tests.facts.compare import agrees

FOLDER = Path(__file__).resolve().parents[1] / "truth"
STATED = (Confidence.CERTAIN, Confidence.LIKELY)


@dataclass(frozen=True, slots=True)
class Truth:
    """One truth file. `verdict`: levels, levels_without (trees that lack the architecture), confidence, reasons."""

    repo: str
    facts: dict[str, object]
    inferred: dict[str, object]
    may: dict[str, object]
    unknown: tuple[str, ...]
    verdict: dict[str, object]
    notes: str

    @property
    def names(self) -> list[str]:
        return sorted({*self.facts, *self.inferred, *self.may, *self.unknown})


def read_truth(path: Path) -> Truth:
    data = json.loads(path.read_text(encoding="utf-8"))
    return Truth(**{**data, "unknown": tuple(data["unknown"])})


def truths() -> list[Truth]:
    return [read_truth(path) for path in sorted(FOLDER.glob("*.json"))]


def says(expected: object, found: object) -> bool:
    """Whether the found value says what the truth says, for truths with alternatives and words."""
    if isinstance(expected, dict) and "one_of" in expected:
        return any(says(option, found) for option in expected["one_of"])
    if isinstance(expected, dict) and "mentions" in expected:
        return all(word in json.dumps(found, ensure_ascii=False) for word in expected["mentions"])
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(says(value, found.get(key)) for key, value in expected.items())
    if isinstance(expected, list) and any(isinstance(item, dict) for item in expected):
        return isinstance(found, list) and len(found) == len(expected) and _in_any_order(expected, found)
    return agrees(expected, found)


def _in_any_order(expected: list[object], found: list[object]) -> bool:
    return any(all(says(a, b) for a, b in zip(expected, order, strict=True)) for order in permutations(found))


def code_files(expected: object, found: object) -> bool:
    """Every entry of every auto_map, whatever keys porter gives them, and nothing beside them."""
    if not isinstance(expected, list) or not isinstance(found, dict):
        return expected is found
    keys = ("repo", "file", "class", "found")

    def entries(values: object) -> set[tuple[object, ...]]:
        rows = values if isinstance(values, list) else []
        return {tuple(_bare(row.get(key)) for key in keys) for row in rows if isinstance(row, dict)}

    return entries(expected) == entries([*found.values()])


def _bare(value: object) -> object:
    """A file of another repo by its own name: the repo stands beside it."""
    return value.rpartition("--")[2] if isinstance(value, str) else value


def layout(expected: object, found: object) -> bool:
    """The source, how many tensors there are, and how many play each role; `a+b` counts two roles together."""
    if not isinstance(expected, dict) or not isinstance(found, dict) or found.get("source") != expected["source"]:
        return False
    counted: Counter[str] = Counter()
    for group in found.get("groups") or []:
        counted[group["role"]] += group["tensors"]
    total = expected.get("tensors", 0)
    roles = expected.get("roles", {})
    right = all(sum(counted[part] for part in role.split("+")) == count for role, count in roles.items())
    return found.get("tensors", 0) == total and sum(counted.values()) == total and right


COMPARE = {"auto_map": code_files, "weights_layout": layout}


def wrong(truth: Truth, name: str, facts: ModelFacts) -> str | None:
    """What is wrong with one fact, or None."""
    fact = facts[name]
    shown = f"{truth.repo}: {name} is {fact.value!r} ({fact.confidence.value}; {fact.note})"
    return next((f"{shown}, but {fault}" for fault in _faults(truth, name, fact)), None)


def _faults(truth: Truth, name: str, fact: Fact) -> Iterator[str]:
    same = COMPARE.get(name, says)
    if name in truth.unknown:
        if states(fact):
            yield "the files do not settle it"
        return
    expected = next(part[name] for part in (truth.facts, truth.inferred, truth.may) if name in part)
    if name in truth.may and not states(fact):
        return
    if not same(expected, fact.value):
        yield f"the repo says {expected!r}"
    elif fact.value is not None and fact.confidence not in STATED:
        yield "the files settle it"
    elif name in truth.inferred and fact.confidence is Confidence.CERTAIN:
        yield "it is inferred, not stated"


def states(fact: Fact) -> bool:
    """Whether porter claims something: a value that is more than a guess, in any of its parts."""
    return fact.confidence in STATED and not _empty(fact.value)


def _empty(value: object) -> bool:
    if isinstance(value, dict):
        return all(_empty(inner) for inner in value.values())
    return value is None or (isinstance(value, list) and all(_empty(inner) for inner in value))

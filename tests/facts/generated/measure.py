"""How porter's facts compare with the truth of generated repos: the figures of `make bench` and of the test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isclose

from porter.facts import RepoReading
from tests.facts.generated.truths import Layers, Maybe, NoChain, OneOf, Open, Truth, Value

PLAIN = ("layernorm", "linear", "gelu", "silu", "identity", "dropout", "rmsnorm")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One fact of one repo. `kind`: right, open (porter says that it does not know), wrong, certain (and wrong)."""

    repo: str
    batch: str
    fact: str
    kind: str
    expected: Value
    found: Value
    confidence: str
    axes: dict[str, str]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts over repos and facts."""

    right: int
    open: int
    wrong: int
    certain: int

    @property
    def total(self) -> int:
        return self.right + self.open + self.wrong + self.certain

    @property
    def sound(self) -> float:
        """Share of facts that are right or openly unknown."""
        return (self.right + self.open) / max(self.total, 1)

    @property
    def unknown(self) -> float:
        return self.open / max(self.total, 1)


def figures(outcomes: Iterable[Outcome]) -> Figures:
    counts = Counter(one.kind for one in outcomes)
    return Figures(counts["right"], counts["open"], counts["wrong"], counts["certain"])


def same(expected: Value, found: Value) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, (int, float)) and isinstance(found, (int, float)):
        return isclose(expected, found, rel_tol=1e-9)
    if isinstance(expected, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(expected) == len(found) and all(same(a, b) for a, b in zip(expected, found, strict=True))
    return expected == found


def chain_agrees(expected: Layers, found: Value) -> bool:
    """Layers with weights one by one, and the kinds of activation between them."""
    if not isinstance(found, list) or not all(isinstance(layer, dict) for layer in found):
        return False
    held = [layer for layer in found if layer.get("op") in ("LayerNorm", "Linear")]
    acts = [str(layer.get("op")).lower() for layer in found if layer not in held]
    chain = tuple((x["op"], x.get("in"), x.get("out"), x.get("bias"), x.get("eps")) for x in held)
    return (
        same(expected.chain, chain)
        and len(acts) == len(expected.acts)
        and all(act.startswith(word) for act, word in zip(acts, expected.acts, strict=True))
    )


def shows_no_chain(found: Value) -> bool:
    if not isinstance(found, list):
        return True
    return any(str(layer.get("op")).lower() not in PLAIN for layer in found if isinstance(layer, dict)) or not found


def agrees(expected: Value, found: Value) -> bool:
    """Whether `found` says what the truth says; None stands for unknown and for absent."""
    if isinstance(expected, Maybe):
        return found is None or agrees(expected.value, found)
    if isinstance(expected, OneOf):
        return any(agrees(value, found) for value in expected.values)
    if isinstance(expected, Open):
        return found is None
    if isinstance(expected, Layers):
        return chain_agrees(expected, found)
    if isinstance(expected, NoChain):
        return shows_no_chain(found)
    return same(expected, found)


def value_at(reading: RepoReading, path: str) -> tuple[Value, str]:
    """The value at a path such as `vision_tower.0.heads` (`#` counts), and the confidence of its fact."""
    name, *steps = path.split(".")
    fact = reading.facts[name]
    value: Value = fact.value
    for step in steps:
        if step == "#":
            value = len(value) if isinstance(value, list) else None
        elif isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value, fact.confidence.value


def judged(expected: Value, found: Value, confidence: str) -> str:
    """`absent` (known not to exist) where there is a value is a wrong statement, not an open one."""
    if agrees(expected, found):
        return "right"
    if found is None and confidence != "absent":
        return "open"
    return "certain" if confidence == "certain" else "wrong"


def outcomes(name: str, batch: str, truth: Truth, reading: RepoReading) -> Iterator[Outcome]:
    for path, expected in truth.values.items():
        found, confidence = value_at(reading, path)
        kind = judged(expected, found, confidence)
        note = reading.facts[path.split(".")[0]].note
        yield Outcome(name, batch, path, kind, expected, found, confidence, truth.axes, note)


def per_axis(all_outcomes: Iterable[Outcome]) -> dict[tuple[str, str], Figures]:
    """Figures by (axis, value of the axis)."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for one in all_outcomes:
        for axis, value in one.axes.items():
            for part in value.split(", "):
                groups.setdefault((axis, part), []).append(one)
    return {key: figures(group) for key, group in sorted(groups.items())}


def per_fact(all_outcomes: Iterable[Outcome]) -> dict[str, Figures]:
    groups: dict[str, list[Outcome]] = {}
    for one in all_outcomes:
        groups.setdefault(one.fact, []).append(one)
    return {key: figures(group) for key, group in sorted(groups.items())}

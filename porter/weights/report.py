"""What became of every checkpoint tensor and every parameter element."""

from __future__ import annotations

from dataclasses import dataclass, field

from porter.jsontypes import JSON, JSONObject
from porter.weights.mapper import NameRules
from porter.weights.patterns import group_names

FAULTS = ("unmapped", "missing", "shape", "duplicate", "partial", "prefix")
LISTS = (*FAULTS, "index", "dropped")


@dataclass(frozen=True, slots=True)
class Finding:
    """One tensor or parameter, and why it stands in its list. `detail` holds what a script may want."""

    name: str
    reason: str
    detail: JSONObject = field(default_factory=dict)

    def to_json(self) -> JSONObject:
        return {"name": self.name, "reason": self.reason, **self.detail}


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts; `elements` are parameter elements that a checkpoint must fill, `filled` those that it does."""

    tensors: int
    parameters: int
    elements: int
    filled: int
    mapped: int


@dataclass(frozen=True, slots=True)
class Bytes:
    """`fetched` from the Hub to know this, beside the size of the whole checkpoint when it is known."""

    fetched: int = 0
    checkpoint: int | None = None


@dataclass(frozen=True, slots=True)
class WeightsReport:
    """A checkpoint against a port. `names_only`: shapes were not known, or the port was not built.

    `index` are tensors about which index and headers disagree although vLLM loads them: no fault of the port.
    `prefix` are layers built under another name than their own, and quantiser entries that name no layer.
    `vllm_error` is what vLLM's own loading says to the same tensors, None when it would load them without an error.
    """

    totals: Totals
    unmapped: tuple[Finding, ...] = ()
    missing: tuple[Finding, ...] = ()
    shape: tuple[Finding, ...] = ()
    duplicate: tuple[Finding, ...] = ()
    partial: tuple[Finding, ...] = ()
    dropped: tuple[Finding, ...] = ()
    prefix: tuple[Finding, ...] = ()
    index: tuple[Finding, ...] = ()
    errors: tuple[str, ...] = ()
    suggested_mapper: NameRules | None = None
    bytes: Bytes = Bytes()
    names_only: bool = False
    notes: tuple[str, ...] = ()
    vllm_error: str | None = None

    @property
    def ok(self) -> bool:
        """Nothing is left over on either side; what was dropped on purpose does not count."""
        return not self.errors and not any(self.findings(name) for name in FAULTS)

    def findings(self, name: str) -> tuple[Finding, ...]:
        found: tuple[Finding, ...] = getattr(self, name)
        return found

    def to_json(self) -> JSONObject:
        lists: JSONObject = {name: [f.to_json() for f in self.findings(name)] for name in LISTS}
        totals = self.totals
        return {
            "ok": self.ok,
            "totals": {
                "tensors": totals.tensors,
                "parameters": totals.parameters,
                "elements": totals.elements,
                "filled": totals.filled,
                "mapped": totals.mapped,
                **{name: len(self.findings(name)) for name in LISTS},
            },
            **lists,
            "suggested_mapper": self.suggested_mapper.to_json() if self.suggested_mapper else {},
            "bytes": {"fetched": self.bytes.fetched, "checkpoint": self.bytes.checkpoint},
            "names_only": self.names_only,
            "vllm_error": self.vllm_error,
            "errors": _json_list(self.errors),
            "notes": _json_list(self.notes),
        }


def _json_list(lines: tuple[str, ...]) -> JSON:
    return list(lines)


@dataclass(frozen=True, slots=True)
class Line:
    """One line for people: a pattern, how many names it stands for, and the reason they share."""

    pattern: str
    count: int
    reason: str


SEPARATE = 4
"""As many patterns with one reason are shown each; more are told by what they have in common."""


def summary(findings: tuple[Finding, ...]) -> tuple[Line, ...]:
    """Findings grouped by pattern; many of one reason by the module that holds them.

    A reason that names its tensor is shown for the first of a group.
    """
    by_name = {finding.name: finding for finding in findings}
    by_reason: dict[str, list[Line]] = {}
    for group in group_names(finding.name for finding in findings):
        reason = by_name[group.names[0]].reason
        by_reason.setdefault(reason, []).append(Line(group.pattern, len(group.names), reason))
    return tuple(line for lines in by_reason.values() for line in _merged(lines))


def in_a_line(report: WeightsReport) -> str:
    """What is left over, each list with its first pattern; or how much is accounted for."""
    lists = [(name, report.findings(name)) for name in FAULTS]
    faults = [f"{len(found)} {name} ({_first(found)})" for name, found in lists if found]
    totals = report.totals
    accounted = f"{totals.mapped} of {totals.tensors} tensors fill {totals.filled} of {totals.elements} elements"
    dropped = f", {len(report.dropped)} dropped on purpose" if report.dropped else ""
    return "; ".join([*report.errors, ", ".join(faults) or f"{accounted}{dropped}", *report.notes])


def _first(found: tuple[Finding, ...]) -> str:
    line, *others = summary(found)
    return f"{line.pattern}: {line.reason}" + (", ..." if others else "")


def _merged(lines: list[Line]) -> list[Line]:
    if len(lines) <= SEPARATE:
        return lines
    modules: dict[str, list[Line]] = {}
    for line in lines:
        modules.setdefault(_module(line.pattern), []).append(line)
    found = []
    for module, inside in modules.items():
        count = sum(line.count for line in inside)
        found += inside if len(inside) == 1 else [Line(f"{module}.*", count, inside[0].reason)]
    return found


def _module(pattern: str) -> str:
    """Up to the first number or range (`{0..3}` is one word), else the first word."""
    words: list[str] = []
    for piece in pattern.split("."):
        if words and words[-1].count("{") > words[-1].count("}"):
            words[-1] += f".{piece}"
        else:
            words.append(piece)
    end = next((at for at, word in enumerate(words) if word[:1] == "{" or word.isdecimal()), 0)
    return ".".join(words[: end + 1])

"""Facts: one thing known about the model each, with where it was read and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from porter.jsontypes import JSON, JSONObject

About = Literal["repo", "tree"]
Origin = Literal["repo", "given", "derived"]


class Confidence(str, Enum):
    """How sure a fact is, most sure first; see the design's section Verdicts."""

    CERTAIN = "certain"
    LIKELY = "likely"
    GUESS = "guess"
    UNKNOWN = "unknown"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Evidence:
    """`file` of the repo (or tree), `where` in it (a JSON path or a line), and the `text` that stands there.

    `origin` tells a file of the repo from what a person gave under the same name, and from what follows from that.
    """

    file: str
    where: str
    text: str
    origin: Origin = "repo"

    def to_json(self) -> JSONObject:
        return {"file": self.file, "where": self.where, "text": self.text}


@dataclass(frozen=True, slots=True)
class Fact:
    """`value` is None when the fact is unknown or known to be absent."""

    name: str
    value: JSON
    confidence: Confidence
    evidence: tuple[Evidence, ...] = ()
    about: About = "repo"
    note: str = ""

    @property
    def usable(self) -> bool:
        """A plan may use it: at least likely, or known to be absent."""
        return self.confidence in (Confidence.CERTAIN, Confidence.LIKELY, Confidence.ABSENT)

    @property
    def given(self) -> bool:
        """A person said so."""
        return bool(self.evidence) and self.evidence[0].origin == "given"

    def to_json(self) -> JSONObject:
        return {
            "value": self.value,
            "confidence": self.confidence.value,
            "about": self.about,
            "evidence": [e.to_json() for e in self.evidence],
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class ModelFacts(Mapping[str, Fact]):
    """All facts by name; a name that nobody established reads as unknown."""

    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Fact:
        return self.facts.get(name) or Fact(name, None, Confidence.UNKNOWN)

    def __iter__(self) -> Iterator[str]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)

    def value(self, name: str) -> JSON:
        return self[name].value

    def with_fact(self, fact: Fact) -> ModelFacts:
        return ModelFacts({**self.facts, fact.name: fact})

    def to_json(self) -> JSONObject:
        return {name: fact.to_json() for name, fact in self.facts.items()}

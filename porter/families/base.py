"""What a family is: porter's judgement about one shape that a vLLM tree already has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from porter.facts.configs import Configs
from porter.facts.model import Confidence, Evidence, Fact, ModelFacts
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON, JSONObject
from porter.planning.spec import Prompt, Spec
from porter.vllm_tree.registry import Architecture
from porter.vllm_tree.tree import Tree
from porter.weights.mapper import NameRules

Scope = Literal["model", "vision", "text"]
Level = Literal["supported", "transformers-backend", "inherit", "compose", "refuse"]
State = Literal["holds", "fails", "unknown"]


class ReadingLike(Protocol):
    """What `porter.facts.infer` gives."""

    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def facts(self) -> ModelFacts: ...
    @property
    def configs(self) -> Configs: ...
    def resolve(self, scope: Scope, attribute: str) -> Fact: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that this repo has in another way than the family's base, and the override that answers it."""

    what: str
    base: str
    repo: str
    answer: str

    def to_json(self) -> JSONObject:
        return {"what": self.what, "base": self.base, "repo": self.repo, "answer": self.answer}


@dataclass(frozen=True, slots=True)
class Blocker:
    """Something that the family cannot answer."""

    what: str
    why: str
    evidence: tuple[Evidence, ...] = ()

    def to_json(self) -> JSONObject:
        return {"what": self.what, "why": self.why, "evidence": [item.to_json() for item in self.evidence]}


@dataclass(frozen=True, slots=True)
class Match:
    """How a family fits the facts. `score` is the explained share, 0 to 1.

    `uses` names the facts that a port would be built from; `judgement` is the family's own frozen reading.
    """

    family: str
    module: str
    model_class: str
    processor_class: str
    score: float
    differences: tuple[Difference, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    uses: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    """What was taken as alike without having been read through: no port of it is certain before its proof."""
    advice: str = ""
    """A way to serve the repo without a port."""
    judgement: Any = None

    @property
    def fits(self) -> bool:
        return not self.blockers

    def to_json(self) -> JSONObject:
        return {
            "name": self.family,
            "module": self.module,
            "class": self.model_class,
            "processor": self.processor_class,
            "score": round(self.score, 3),
            "differences": [item.to_json() for item in self.differences],
            "blockers": [item.to_json() for item in self.blockers],
        }


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the Transformers backend: `unknown` is what source cannot tell; `why` says what was found."""

    name: str
    state: State
    why: str
    evidence: tuple[Evidence, ...] = ()

    def to_json(self) -> JSONObject:
        shown: list[JSON] = [item.to_json() for item in self.evidence]
        return {"name": self.name, "state": self.state, "why": self.why, "evidence": shown}

    def line(self) -> str:
        place = f" ({self.evidence[0].file}: {self.evidence[0].where})" if self.evidence else ""
        return f"{self.name}: {self.why}{place}"


@dataclass(frozen=True, slots=True)
class Nearest:
    """One class of the tree. `score` is the share of the repo's telling words that its file knows, rare ones counting
    more; `shared` and `lacking` are the heaviest of them."""

    entry: Architecture
    file: str
    score: float
    shared: tuple[str, ...]
    lacking: tuple[str, ...]

    def to_json(self) -> JSONObject:
        return {
            "architecture": self.entry.name,
            "module": self.entry.module,
            "class": self.entry.class_name,
            "score": round(self.score, 3),
            "shared": list(self.shared),
            "lacking": list(self.lacking),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What porter would do with a repo, and why.

    `backend` are the conditions of the Transformers backend, `nearest` the tree's own classes next to the repo,
    `config_map` the map for the class that the verdict names; `runner_up` is the next best family.
    """

    level: Level
    confidence: Confidence
    reasons: tuple[str, ...]
    overruled: Level | None = None
    runner_up: str | None = None
    match: Match | None = None
    backend: tuple[Condition, ...] = ()
    nearest: tuple[Nearest, ...] = ()
    config_map: Fact | None = None
    trust: bool = False
    """Serving runs code of the repo."""

    def to_json(self) -> JSONObject:
        return {
            "level": self.level,
            "confidence": self.confidence.value,
            "reasons": list(self.reasons),
            "overruled": self.overruled,
            "backend": [item.to_json() for item in self.backend],
            "nearest": [item.to_json() for item in self.nearest],
        }


class Family(Protocol):
    """A module's worth of judgement, listed in `porter.families.FAMILIES`; it takes back only its own specs."""

    @property
    def name(self) -> str: ...
    def anchors(self, tree: Tree) -> Any:
        """What the family's base is in this tree, read from its source. Raises TreeError when the tree lacks it."""

    def match(self, reading: ReadingLike, tree: Tree) -> Match: ...
    def spec(self, match: Match, reading: ReadingLike, tree: Tree, *, rules: NameRules | None = None) -> Spec:
        """The port as a frozen spec. Raises Refused when the match has blockers."""

    def draft_rules(self, match: Match, reading: ReadingLike) -> NameRules:
        """Renames from the facts alone, for a port whose parameters nobody has built yet."""

    def model_file(self, spec: Spec, *, relative: bool, own_config: bool) -> str:
        """The model file; `relative`: it stands beside the base. Raises Refused without an own config it needs."""

    def config_file(self, spec: Spec) -> str: ...
    def prompt(self, spec: Spec, tile: int) -> Prompt:
        """What the generated tests expect of a prompt; `tile` is the side of a tile of the tiny twin, in pixels."""

    def remote_obstacle(self, reading: ReadingLike, spec: Spec, tree: Tree) -> str | None:
        """Why the repo's own config class cannot be adapted by assignments in the model file; None when it can."""


def used_guesses(match: Match, facts: Mapping[str, Fact]) -> tuple[Fact, ...]:
    """The facts that a port of this match would use although nothing in the repo settles them."""
    found = (facts[name] for name in match.uses if name in facts)
    return tuple(fact for fact in found if not fact.usable)

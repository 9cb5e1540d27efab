"""The steps that `inspect` and `new-model` share: repo, facts, what a person said, tree, verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from porter.commands.session import Result, Settings, Talk
from porter.facts.model import Fact, ModelFacts
from porter.jsontypes import JSON, JSONObject
from porter.overrides import KINDS, load_facts, parse_set, with_given
from porter.planning.plan import FileChange, OpenItem, Plan

if TYPE_CHECKING:
    from porter.facts import RepoReading
    from porter.families.base import Verdict
    from porter.vllm_tree import Tree


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the way; `status` is a status word of the design, `seconds` as measured."""

    name: str
    status: str
    detail: str = ""
    seconds: float | None = None

    def to_json(self) -> JSONObject:
        seconds = None if self.seconds is None else round(self.seconds, 2)
        return {"name": self.name, "status": self.status, "detail": self.detail, "seconds": seconds}

    def record(self) -> JSONObject:
        """What porter.json keeps: `detail` may hold figures of this run and paths of this machine."""
        return {"name": self.name, "status": self.status}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResult(Result):
    """What is known about one repo, and what was or would be written for it."""

    reading: RepoReading | None = None
    verdict: Verdict | None = None
    about_tree: Sequence[Fact] = ()
    plan: Plan | None = None
    written: bool = False
    backups: Sequence[str] = ()
    todo: Sequence[OpenItem] = ()
    checks: Sequence[Check] = ()
    weights: JSONObject | None = None
    smoke: JSONObject | None = None
    diff: str = ""

    @property
    def facts(self) -> ModelFacts:
        """Every fact that the design names, those about the tree included."""
        known = self.reading.facts if self.reading else ModelFacts()
        facts = ModelFacts({name: known[name] for name in (*KINDS, *known)} | {f.name: f for f in self.about_tree})
        mapped = self.verdict.config_map if self.verdict else None
        return facts.with_fact(mapped) if mapped is not None else facts

    def to_json(self) -> JSONObject:
        return {
            "repo": self._repo(),
            "verdict": self.verdict.to_json() if self.verdict else None,
            "family": self._family(),
            "facts": self.facts.to_json() if self.reading else None,
            "files": [file_json(change) for change in (self.plan.changes if self.plan else ())],
            "todo": [{"what": item.what, "why": item.why, "where": item.where} for item in self.todo],
            "checks": [check.to_json() for check in self.checks],
            "weights": self.weights or self._checkpoint(),
            "smoke": self.smoke,
        }

    def _checkpoint(self) -> JSON:
        """What was read of the weights, where nothing was there to hold them against."""
        if self.reading is None:
            return None
        table = self.reading.snapshot.tensors
        return {
            "bytes": {"fetched": table.bytes_fetched, "checkpoint": table.bytes_total},
            "files": list(table.files),
            "errors": list(table.problems),
            "notes": list(table.notes),
        }

    def _repo(self) -> JSON:
        if self.reading is None:
            return None
        repo = self.reading.snapshot.repo
        return {"id": repo.id, "commit": repo.commit, "local": repo.local}

    def _family(self) -> JSON:
        if self.verdict is None or self.verdict.match is None:
            return None
        return {**self.verdict.match.to_json(), "runner_up": self.verdict.runner_up}


def file_json(change: FileChange) -> JSONObject:
    digest = hashlib.sha256(change.new.encode("utf-8", errors="surrogateescape")).hexdigest()
    return {"path": change.path, "action": change.action, "sha256": digest}


def read_repo(repo: str, settings: Settings, talk: Talk, commit: str | None = None) -> RepoReading:
    """A repo's facts, at `commit` when no revision was asked for. Raises HubError or RepoError."""
    from porter.facts import infer
    from porter.hub import snapshot_of

    talk.note(f"reading {repo}")
    snapshot = snapshot_of(repo, revision=settings.revision or commit, offline=settings.offline)
    talk.detail(f"{snapshot.repo.folder or snapshot.repo.id}, commit {snapshot.repo.commit or 'none'}")
    talk.detail(f"{len(snapshot.python)} Python files, {len(snapshot.tensors.tensors)} tensors")
    return infer(snapshot)


def read_tree(target: Path | None, settings: Settings, talk: Talk) -> Tree:
    """The vLLM that is compared with; `target` is a source tree to write into. Raises TreeError."""
    from porter.vllm_tree import locate

    tree = locate(target, settings.vllm, settings.python)
    talk.detail(f"vLLM {tree.version} ({tree.layout}) in {tree.package}")
    return tree


def settled(reading: RepoReading, facts_file: Path | None, options: Sequence[str]) -> RepoReading:
    """The facts with what a person said about them: `--set` wins over `--facts`. Raises UsageError."""
    said = parse_set(options)
    if facts_file is not None:
        from_file = load_facts(facts_file, reading.facts)
        place = f"--facts {facts_file.name}"
        reading = reading.with_facts(with_given(reading.facts, reading.snapshot, from_file, place))
    return reading.with_facts(with_given(reading.facts, reading.snapshot, said, "--set")) if said else reading


def open_questions(verdict: Verdict | None, facts: ModelFacts) -> tuple[Fact, ...]:
    """The facts that a port would use although nothing settles them; none where there is nothing to port."""
    if verdict is None or verdict.match is None or verdict.level not in ("inherit", "compose"):
        return ()
    return tuple(facts[name] for name in verdict.match.uses if not facts[name].usable)

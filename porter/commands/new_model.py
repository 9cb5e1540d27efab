"""From a repo to a port: read, decide, plan, show, write, then check what was written."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from porter.commands.reading import ModelResult, open_questions, read_repo, read_tree, settled
from porter.commands.session import Scratch, Settings, Silent, Talk, scratch
from porter.errors import PorterError, Refused, TargetError, UsageError
from porter.facts.model import Fact
from porter.jsontypes import JSON
from porter.overrides import load_facts, parse_set, with_given
from porter.planning.names import names_for
from porter.planning.plan import Plan

if TYPE_CHECKING:
    from porter.commands.proving import Bench
    from porter.facts import RepoReading
    from porter.families.base import Verdict
    from porter.families.verdict import Wish
    from porter.vllm_tree import Tree

PORTABLE = ("inherit", "compose")
NO_COMPOSE = "no family fits whole (verdict compose), and this porter writes subclasses only; inspect names the parts"


@dataclass(frozen=True, slots=True)
class NewModelRequest:
    """`plugin` and `tree` are targets, at most one; `facts` and `sets` are what a person says about the model.

    `family` and `level` choose a port: see `porter.families.verdict.Wish`.
    """

    repo: str
    settings: Settings
    plugin: Path | None = None
    tree: Path | None = None
    facts: Path | None = None
    sets: Sequence[str] = ()
    dry_run: bool = False
    yes: bool = False
    force: bool = False
    smoke: bool = True
    family: str | None = None
    level: str | None = None
    own_config: bool | None = None
    repo_id: str | None = None
    seed: int = 0
    trust: bool = False


def new_model(request: NewModelRequest, talk: Talk | None = None) -> ModelResult:
    """The whole way. An expected failure comes back in the result, beside everything that was known by then."""
    from porter.families.verdict import Wish

    parse_set(request.sets)
    wish = Wish.of(request.level, request.family)
    if request.plugin is not None and request.tree is not None:
        raise UsageError("--plugin and --tree are two targets: give one")
    with scratch(request.settings) as room:
        way = Way(request, talk or Silent(), room, wish)
        try:
            way.walk()
        except PorterError as error:
            return replace(way.found, error=error)
        return way.found


@dataclass(slots=True)
class Way:
    """One run of `new-model`: each step adds what it found to `found`, which is the result at any time."""

    request: NewModelRequest
    talk: Talk
    room: Scratch
    wish: Wish
    found: ModelResult = field(default_factory=ModelResult)
    given: dict[str, JSON] = field(default_factory=dict)
    guesses: tuple[Fact, ...] = ()

    def walk(self) -> None:
        reading = self.read()
        tree = read_tree(self.request.tree, self.request.settings, self.talk)
        verdict = self.decide(reading, tree)
        if verdict.level == "refuse":
            raise Refused(f"{reading.snapshot.repo.id}: {'; '.join(verdict.reasons[:2])}")
        if verdict.level == "compose":
            raise Refused(f"{reading.snapshot.repo.id}: {NO_COMPOSE}")
        if verdict.level not in PORTABLE:
            return
        self.ask_for_trust(reading)
        reading, verdict = self.ask(reading, tree, verdict)
        plan = self.settle(self.draw_plan(reading, verdict, tree))
        if self.agreed(plan):
            self.write(plan)
            self.check(reading, tree, plan)

    def read(self) -> RepoReading:
        request = self.request
        inferred = read_repo(request.repo, request.settings, self.talk)
        from_file = load_facts(request.facts, inferred.facts) if request.facts is not None else {}
        self.given = {**from_file, **parse_set(request.sets)}
        reading = settled(inferred, request.facts, request.sets)
        self.found = replace(self.found, reading=reading)
        return reading

    def decide(self, reading: RepoReading, tree: Tree) -> Verdict:
        from porter.families.needs import tree_facts
        from porter.families.verdict import decide
        from porter.ports import ported_architectures

        ported = ported_architectures(tree.root) if tree.root is not None else frozenset()
        verdict = decide(reading, tree, ported, self.wish)
        about_tree = tree_facts(reading.facts, tree)
        self.found = replace(self.found, reading=reading, verdict=verdict, about_tree=about_tree)
        return verdict

    def ask_for_trust(self, reading: RepoReading) -> None:
        """Once, on a terminal: the comparison needs the repo's code, and only a person can trust it."""
        files = sorted(reading.snapshot.python)
        if self.request.trust or not self.talk.interactive or not files or not self.request.smoke:
            return
        question = f"The comparison runs the repo's own code ({', '.join(files[:4])}) in a child process. Trust it?"
        self.request = replace(self.request, trust=self.talk.confirm(question))

    def ask(self, reading: RepoReading, tree: Tree, verdict: Verdict) -> tuple[RepoReading, Verdict]:
        """Settles what nothing in the repo settles: on a terminal by asking, else by a proof."""
        questions = open_questions(verdict, reading.facts)
        answers = {fact.name: answer for fact in questions if (answer := self.answer(fact)) is not None}
        if answers:
            self.given |= answers
            reading = reading.with_facts(with_given(reading.facts, reading.snapshot, answers, "asked"))
            verdict = self.decide(reading, tree)
        self.guesses = open_questions(verdict, reading.facts)
        unproven = [fact for fact in self.guesses if fact.value is None or not self.proves]
        if unproven:
            raise Refused(
                f"{reading.snapshot.repo.id}: nothing in the repo settles {', '.join(fact.name for fact in unproven)}",
                hint=" ".join(f"--set {set_option(fact)}" for fact in unproven),
            )
        return reading, verdict

    def answer(self, fact: Fact) -> JSON:
        """What a person says about one fact; None where nobody is asked or nothing is said."""
        if not self.talk.interactive:
            return None
        shown = "" if fact.value is None else f" [{json.dumps(fact.value)}]"
        text = self.talk.ask(f"{fact.name} is not settled by the repo{shown}. Its value: ")
        if not text:
            return fact.value
        return parse_set([f"{fact.name}={text}"])[fact.name]

    @property
    def proves(self) -> bool:
        """Whether a comparison with the repo's own code will follow, which can settle a guess."""
        return self.request.trust and self.request.smoke and not self.request.dry_run

    def draw_plan(self, reading: RepoReading, verdict: Verdict, tree: Tree) -> Plan:
        from porter.commands.proving import inferred_rules
        from porter.planning.build import PortOptions, plan_port
        from porter.weights import recorded
        from porter.weights.mapper import NameRules

        request = self.request
        options = PortOptions("tree" if request.tree else "plugin", request.own_config, request.repo_id, self.given)
        target = self.target(reading, tree)
        # Long before anything is built: a target that cannot be written, or holds something else, ends the run here.
        check_target(plan_port(reading, verdict, tree, target, options, NameRules()), target, force=request.force)
        room = self.room.folder / "provisional"
        provisional = plan_port(reading, verdict, tree, room, PortOptions("plugin"), NameRules())
        self.talk.note("inferring the weight mapper from the checkpoint's names and the port's own parameters")
        rules, targets = inferred_rules(provisional, reading, self.bench())
        plan = plan_port(reading, verdict, tree, target, options, rules)
        return replace(plan, manifest={**plan.manifest, recorded.KEY: recorded.to_records(targets)})

    def target(self, reading: RepoReading, tree: Tree) -> Path:
        if self.request.tree is not None:
            return tree.root or self.request.tree
        if self.request.plugin is not None:
            return self.request.plugin
        return Path(names_for(str(reading.facts.value("architecture"))).dist)

    def settle(self, plan: Plan) -> Plan:
        """The plan against what stands in the target now, and its diff."""
        from porter.changes import diff, settle
        from porter.proof.signed import carried

        plan = carried(settle(plan, Path(plan.root), force=self.request.force))
        self.found = replace(self.found, plan=plan, todo=plan.todo, diff=diff(plan))
        return plan

    def agreed(self, plan: Plan) -> bool:
        """Whether to write. Raises UsageError in a script without --yes, Refused when a person says no."""
        if self.request.dry_run:
            return False
        if self.request.yes or not self.found.diff:
            return True
        if not self.talk.interactive:
            raise UsageError("nothing was written: in a script or with --json, writing needs --yes", hint="add --yes")
        self.talk.show_plan(self.found.diff)
        if not self.talk.confirm(f"Write {len(plan.changes)} files to {plan.root}?"):
            raise Refused("nothing was written: not confirmed")
        return True

    def write(self, plan: Plan) -> None:
        from porter.changes import apply

        done = apply(plan, Path(plan.root), force=self.request.force)
        self.talk.note(f"wrote {plan.root}" if done.changed else f"{plan.root} is as planned already")
        self.found = replace(self.found, written=True, backups=done.backups, failed=bool(plan.todo))

    def check(self, reading: RepoReading, tree: Tree, plan: Plan) -> None:
        """check-weights, then the ladder; what came out is kept in the port's porter.json and PORT.md."""
        from porter.changes import apply
        from porter.commands.proving import check_port
        from porter.proof.signed import signed

        request = self.request
        proof = check_port(reading, plan, tree, self.bench(), smoke=request.smoke, seed=request.seed)
        settled_now = {fact.name for fact in self.guesses} if proof.proven else set()
        todo = tuple(item for item in plan.todo if item.what not in settled_now)
        failed = bool(todo) or proof.failed(strict=request.settings.strict)
        self.found = replace(
            self.found, checks=proof.checks, weights=proof.weights, smoke=proof.smoke, todo=todo, failed=failed
        )
        checks: JSON = [check.record() for check in proof.checks]
        manifest = {**plan.manifest, "checks": checks, "proof": proof.record()}
        whole, edit = signed(plan, proof.section())
        apply(replace(edit, manifest=manifest), Path(plan.root), force=request.force)
        self.found = replace(self.found, plan=whole)

    def bench(self) -> Bench:
        from porter.commands.proving import Bench

        return Bench(self.request.settings, self.room, self.talk, self.request.trust)


def check_target(plan: Plan, target: Path, *, force: bool) -> None:
    """Raises TargetError when the plan could not be written there."""
    from porter.changes import settle

    settle(plan, target, force=force)
    existing = next(folder for folder in (target.absolute(), *target.absolute().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise TargetError(f"{target} cannot be written: {existing} is no folder that porter may write to")


def set_option(fact: Fact) -> str:
    """`NAME=VALUE` as it can be typed after --set."""
    value = "VALUE" if fact.value is None else fact.value if isinstance(fact.value, str) else json.dumps(fact.value)
    return shlex.quote(f"{fact.name}={value}")

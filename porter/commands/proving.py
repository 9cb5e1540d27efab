"""The checks that follow a port, shared by `new-model`, `check-weights` and `smoke-test`."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from porter.commands.reading import Check
from porter.commands.session import Scratch, Settings, Talk
from porter.errors import RepoError, TreeError, WorkerError
from porter.facts import RepoReading
from porter.hub.snapshot import Snapshot, TensorInfo
from porter.jsontypes import JSONObject
from porter.planning.plan import Plan
from porter.weights.infer import Target, infer_mapper, targets_of
from porter.weights.join import parameters_of
from porter.weights.mapper import NameRules

if TYPE_CHECKING:
    from porter.process import WorkerSettings
    from porter.smoke.report import SmokeReport
    from porter.smoke.subject import SmokeOptions
    from porter.vllm_tree import Tree
    from porter.weights.report import WeightsReport


@dataclass(frozen=True, slots=True)
class Placed:
    """A port as a worker sees it: `plugin` (folder, module), an overlay of a source tree, or vLLM's own class."""

    plugin: tuple[Path, str] | None = None
    overlay: tuple[Path, ...] = ()

    @property
    def own_config(self) -> bool:
        """Whether the port brings a config class (a tree port's own stands in its tree)."""
        return self.plugin is not None and (self.plugin[0] / self.plugin[1] / "configuration.py").is_file()


@dataclass(frozen=True, slots=True)
class Bench:
    """Where checks run: the interpreter, its scratch folder, and whether workers may run the repo's code."""

    settings: Settings
    room: Scratch
    talk: Talk
    trust: bool = False
    timeout: float = 600.0

    def worker(self, placed: Placed | None = None) -> WorkerSettings:
        from porter.process import plugin_path

        path = placed.overlay if placed else ()
        if placed is not None and placed.plugin is not None:
            path = (*plugin_path(*placed.plugin, self.room.folder), *path)
        return self.room.worker(self.settings.python, timeout=self.timeout, path=path)


def inferred_rules(
    provisional: Plan, reading: RepoReading, bench: Bench
) -> tuple[NameRules | None, tuple[Target, ...]]:
    """The weight mapper of a port, and the names that the port takes: its provisional form is built on the meta device.

    A checkpoint that nobody has seen is stood in for by what the repo's own code would save, if that is trusted; else
    None: the facts alone have to do.
    """
    from porter.changes import apply
    from porter.planning.build import inferable
    from porter.weights.check import Against, targets_for

    folder = bench.room.folder / "provisional"
    apply(provisional, folder)
    plugin = (folder, provisional.module)
    snapshot = reading.snapshot
    if snapshot.tensors.tensors:
        table = replace(snapshot.tensors, tensors=inferable(snapshot.tensors.tensors, reading))
        against = Against(plugin, trust=bench.trust)
        targets = targets_for(snapshot, bench.worker(), against)
        return infer_mapper(table.stored(), targets).rules, targets
    if not bench.trust:
        return None, ()
    model = tiny_folder(reading, bench)
    saved = inferable(saved_by_code(model, reading, bench), reading)
    return infer_mapper(saved, accepted(model, Placed(plugin), bench)).rules, ()


def accepted(model: Path, placed: Placed, bench: Bench) -> tuple[Target, ...]:
    """The names and shapes that a port takes, asked of the port itself."""
    from porter.process import run_worker

    payload: JSONObject = {"model": str(model), "trust_remote_code": bench.trust, "dtype": "float32"}
    settings = limited(bench.worker(placed), bench)
    return targets_of(parameters_of(run_worker("parameters", payload, settings=settings)))


def limited(settings: WorkerSettings, bench: Bench) -> WorkerSettings:
    """The limits of a worker that may run the repo's code."""
    from porter.process import REMOTE_CODE_LIMITS

    return replace(settings, limits=REMOTE_CODE_LIMITS) if bench.trust else settings


def saved_by_code(model: Path, reading: RepoReading, bench: Bench) -> tuple[TensorInfo, ...]:
    """What the repo's own code would save for this config: names and shapes."""
    from porter.process import run_worker

    payload: JSONObject = {"model": str(model), "native": not reading.snapshot.auto_map}
    answer = run_worker("checkpoint", payload, settings=limited(bench.worker(), bench))
    rows = cast("list[tuple[str, list[int]]]", answer["tensors"])
    return tuple(TensorInfo(name, "", "F32", tuple(shape)) for name, shape in rows)


def tiny_folder(reading: RepoReading, bench: Bench) -> Path:
    from porter.tiny.materialise import materialise
    from porter.tiny.model import tiny_model

    files = tiny_model(reading).files
    return materialise(reading.snapshot, files, bench.room.folder / "twin", trust=bench.trust)


def placed(layout: str, root: Path, module: str, tree: Tree, bench: Bench) -> Placed:
    """A port on disk as a worker sees it. Raises TreeError when its tree cannot run under this interpreter."""
    if layout == "plugin":
        return Placed(plugin=(root, module))
    return Placed(overlay=(overlay_of(tree, bench),))


def overlay_of(tree: Tree, bench: Bench) -> Path:
    from porter.vllm_tree import locate
    from porter.vllm_tree.overlay import make_overlay

    installed = locate(None, None, bench.settings.python)
    return make_overlay(tree, installed, bench.room.folder).path


def weights(snapshot: Snapshot, place: Placed, bench: Bench) -> WeightsReport:
    """Every checkpoint tensor against every parameter of the port."""
    from porter.weights.check import Against, check_weights

    settings = bench.worker(Placed(overlay=place.overlay))
    ported = place.plugin is not None or bool(place.overlay)
    return check_weights(snapshot, settings, Against(place.plugin, ported, trust=bench.trust))


def weights_check(report: WeightsReport, seconds: float) -> Check:
    from porter.weights.report import in_a_line

    return Check("check-weights", "passed" if report.ok else "failed", in_a_line(report), seconds)


def smoke(reading: RepoReading, placed: Placed, tree: Tree, bench: Bench, options: SmokeOptions) -> SmokeReport:
    """The ladder over a tiny twin of the repo."""
    from porter.smoke.ladder import smoke_test
    from porter.smoke.subject import Subject
    from porter.vllm_tree import read_contract

    method = read_contract(tree).text("embed_method")
    root = tree.root if placed.overlay else None
    silent = puts_images_in(placed, reading, tree)
    subject = Subject(reading, placed.plugin, placed.overlay, method, placed.own_config, root, silent)
    return smoke_test(subject, bench.worker(Placed(overlay=placed.overlay)), options)


def puts_images_in(placed: Placed, reading: RepoReading, tree: Tree) -> bool:
    """Whether the class that serves puts images into a prompt by itself, so that nothing stands for them there."""
    from porter.vllm_tree.prompts import port_inserts, registered_inserts

    architecture = str(reading.facts.value("architecture"))
    if placed.plugin is None:
        return registered_inserts(tree, architecture)
    module = placed.plugin[0] / placed.plugin[1] / "modeling.py"
    try:
        return port_inserts(tree, ast.parse(module.read_bytes()), architecture)
    except (OSError, SyntaxError, ValueError):
        return False


def rung_checks(report: SmokeReport) -> tuple[Check, ...]:
    return tuple(Check(rung.name, rung.status, rung.detail, rung.seconds) for rung in report.rungs)


@dataclass(frozen=True, slots=True)
class Proof:
    """What the checks of a port gave. `proven`: the comparison with the repo's own code passed."""

    checks: tuple[Check, ...]
    weights: JSONObject | None = None
    smoke: JSONObject | None = None
    proven: bool = False

    def failed(self, *, strict: bool) -> bool:
        bad = ("failed", "error", "skipped", "unproven") if strict else ("failed", "error")
        return any(check.status in bad for check in self.checks)

    def record(self) -> JSONObject:
        """What porter.json keeps of the proof: seeds, versions and limits, no times."""
        from porter.proof.signed import PACKAGES

        parity = (self.smoke or {}).get("parity")
        engine = (self.smoke or {}).get("engine")
        kept = ("status", "weights", "seeds", "tolerance", "not_proven")
        return {
            "parity": {key: parity.get(key) for key in kept} if isinstance(parity, dict) else None,
            "versions": {name: engine.get(name) for name in PACKAGES} if isinstance(engine, dict) else None,
        }

    def section(self) -> str | None:
        """The signed-off table for PORT.md; None where nothing was compared."""
        from porter.proof.signed import signed_off

        parity, engine = ((self.smoke or {}).get(name) for name in ("parity", "engine"))
        known = engine if isinstance(engine, dict) else {}
        return signed_off(parity, known) if isinstance(parity, dict) else None


def check_port(reading: RepoReading, plan: Plan, tree: Tree, bench: Bench, *, smoke: bool, seed: int) -> Proof:
    """check-weights and the ladder on a port that was just written. What cannot run is a check that says so."""
    try:
        place = placed(plan.layout, Path(plan.root), plan.module, tree, bench)
    except TreeError as error:
        return Proof((Check("check-weights", "skipped", error.message), Check("smoke-test", "skipped", error.message)))
    report, check = checked_weights(reading.snapshot, place, bench)
    found = Proof((check,), report.to_json() if report else None)
    return with_smoke(found, reading, place, tree, bench, seed) if smoke else found


def checked_weights(snapshot: Snapshot, place: Placed, bench: Bench) -> tuple[WeightsReport | None, Check]:
    if not snapshot.tensors.tensors and not snapshot.tensors.problems:
        return None, Check("check-weights", "skipped", "weights layout not seen: the repo has no header and no index")
    bench.talk.note("check-weights: every checkpoint tensor against every parameter")
    start = time.monotonic()
    try:
        report = weights(snapshot, place, bench)
    except WorkerError as error:
        return None, Check("check-weights", "error", error.message, time.monotonic() - start)
    except RepoError as error:
        return None, Check("check-weights", "failed", error.message, time.monotonic() - start)
    return report, weights_check(report, time.monotonic() - start)


def with_smoke(found: Proof, reading: RepoReading, place: Placed, tree: Tree, bench: Bench, seed: int) -> Proof:
    from porter.smoke.rungs import DEFAULT, OWN_RUNGS, WEIGHTS_RUNGS
    from porter.smoke.subject import SmokeOptions

    own = OWN_RUNGS if place.overlay else ()
    rungs = tuple(name for name in (*DEFAULT, *own) if name not in WEIGHTS_RUNGS)
    options = SmokeOptions(rungs=rungs, trust=bench.trust, seed=seed, on_event=rung_notes(bench.talk))
    report = smoke(reading, place, tree, bench, options)
    proven = report.parity is not None and report.parity.status == "passed"
    return replace(found, checks=(*found.checks, *rung_checks(report)), smoke=report.to_json(), proven=proven)


def rung_notes(talk: Talk) -> Callable[[JSONObject], None]:
    """A worker's events as progress lines."""

    def on_event(event: JSONObject) -> None:
        if event.get("event") == "start":
            talk.note(f"smoke-test: {event.get('rung')}")
        elif "stage" in event:
            talk.note(f"smoke-test: {event['stage']} {event.get('set', '')}".rstrip())

    return on_event

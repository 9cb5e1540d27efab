"""The ladder: a reference worker and an engine worker over a tiny twin of the repo, and the comparison of the two."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from porter.errors import UsageError, WorkerError
from porter.facts.model import Confidence, ModelFacts
from porter.facts.reading import RepoReading
from porter.jsontypes import JSON, JSONObject
from porter.process import ENGINE_LIMITS, REMOTE_CODE_LIMITS, WorkerSettings, plugin_path, run_worker
from porter.proof.compare import NEVER_PROVEN, Parity, Row, judge
from porter.smoke.explain import advice
from porter.smoke.inputs import prompts, tiling
from porter.smoke.report import Rung, RungStatus, SmokeReport
from porter.smoke.sweep import sweep_sizes
from porter.tiny.document import as_int
from porter.tiny.materialise import materialise
from porter.tiny.model import TinyModel, plain_facts, tiny_model

ENGINE_RUNGS: Mapping[str, tuple[str, ...]] = {
    "config": (),
    "registry": ("config",),
    "processor": ("registry",),
    "tokens": ("processor",),
    "load": ("registry",),
    "text": ("load",),
    "image": ("load",),
    "batch": ("text", "image"),
}
RUNGS: Mapping[str, tuple[str, ...]] = {**ENGINE_RUNGS, "parity": ("text", "image")}
"""Every rung with its prerequisites, in order. The command adds `weights` (porter.weights) between them."""
TRUST_HINT = "needs the repo's own code as reference (--trust-remote-code)"
ASKS_FOR_TRUST = ("trust_remote_code", "trust-remote-code", "requires you to execute")
SETS = ("normal", "stress")
STEPS = 8

Progress = Callable[[JSONObject], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is run: a reading of the repo, and the port that serves it.

    `plugin` is (folder that contains the package, module), `path` are further entries for the worker's module path (an
    overlay of a source tree); neither: vLLM's own class. `embed_method` is the tree's name for it (its contract).
    `own_config`: the plugin brings a config class, so that vLLM itself never needs the repo's code.
    """

    reading: RepoReading
    plugin: tuple[Path, str] | None = None
    path: tuple[Path, ...] = ()
    embed_method: str = "embed_multimodal"
    own_config: bool = True


@dataclass(frozen=True, slots=True)
class SmokeOptions:
    """`rungs` empty = all. `trust`: workers may execute the repo's code. `seed` draws the first set of weights."""

    rungs: tuple[str, ...] = ()
    trust: bool = False
    parity: bool = True
    seed: int = 0
    image: Path | None = None
    on_event: Progress | None = None
    env: Mapping[str, str] = field(default_factory=dict)


def smoke_test(subject: Subject, settings: WorkerSettings, options: SmokeOptions) -> SmokeReport:
    """Run the ladder in `settings.scratch`. Raises UsageError for an unknown rung; a worker's failure is a rung's."""
    wanted = with_prerequisites(options.rungs or tuple(RUNGS))
    run = _Run(subject, settings, options)
    proves = "parity" in wanted and options.parity
    reference = run.reference() if proves else None
    rungs, answer = run.engine(tuple(name for name in wanted if name in ENGINE_RUNGS), reference)
    parity = None
    if proves:
        start = time.monotonic()
        parity = run.parity(rungs, reference, answer)
        seconds = time.monotonic() - start + (reference.seconds if reference else 0.0)
        rungs = (*rungs, Rung("parity", parity.status, parity.detail, seconds))
    engine = answer.get("engine")
    return SmokeReport(
        device=str(answer["device"]) if answer.get("device") else None,
        engine=engine if isinstance(engine, dict) else {},
        rungs=rungs,
        parity=parity,
        shrunk=tuple((change.path, change.old, change.new) for change in run.tiny.changes),
    )


def without_trust(rung: Rung) -> Rung:
    """A rung that failed only because vLLM would have to run the repo's code is one that was not run."""
    if rung.status != "failed" or not any(words in rung.detail for words in ASKS_FOR_TRUST):
        return rung
    return replace(rung, status="skipped", detail="vLLM runs the repo's own config class here (--trust-remote-code)")


def advised(rung: Rung) -> Rung:
    """A rung that failed in a known way also says why, and what to change."""
    words = advice(rung.detail) if rung.status in ("failed", "error") else ""
    return replace(rung, detail=f"{rung.detail} -> {words}") if words else rung


def with_prerequisites(names: Iterable[str]) -> tuple[str, ...]:
    """The rungs asked for and all they need, in the ladder's order."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in RUNGS:
            raise UsageError(f"there is no rung {name!r}", hint=f"rungs: {', '.join(RUNGS)}")
        if name not in found:
            found.add(name)
            waiting.extend(RUNGS[name])
    return tuple(name for name in RUNGS if name in found)


@dataclass(frozen=True, slots=True)
class Reference:
    """What the repo's own code gave: `answer` None when it could not run, and then `why`."""

    answer: JSONObject | None
    status: RungStatus
    why: str
    seconds: float = 0.0

    def sets(self) -> list[JSONObject]:
        found = self.answer.get("sets") if self.answer else None
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


class _Run:
    """One smoke test: the tiny folder is written once, workers run one after the other."""

    def __init__(self, subject: Subject, settings: WorkerSettings, options: SmokeOptions) -> None:
        self.subject = subject
        self.settings = settings
        self.options = options
        self.tiny: TinyModel = tiny_model(subject.reading)
        self.folder = settings.scratch / "tiny"
        self.out = settings.scratch / "results"
        for folder in (self.folder, self.out):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self.native = not subject.reading.snapshot.auto_map
        materialise(subject.reading.snapshot, self.tiny.files, self.folder / "model", trust=options.trust)
        facts = subject.reading.facts
        self.placeholder = str(facts.value("image_placeholder") or "<image>")
        self.prompts: JSON = [*prompts(self.tiny.tile, self.placeholder, options.image)]
        self.names = [str(prompt["name"]) for prompt in cast("list[JSONObject]", self.prompts)]

    def reference(self) -> Reference:
        """Draw the weights and run the repo's own code on them."""
        if not self.options.trust and not self.native:
            return Reference(None, "skipped", TRUST_HINT)
        facts = self.subject.reading.facts
        known: JSONObject = {**plain_facts(facts), "tiling": tiling(facts, self.tiny.tile), "native": self.native}
        known["image_placeholder"] = self.placeholder
        known["tokens_per_tile"] = self.tiny.tokens_per_tile
        payload: JSONObject = {
            "model": str(self.folder / "model"),
            "out": str(self.out),
            "native": self.native,
            "trust_remote_code": self.options.trust,
            "facts": known,
            "sets": [{"name": name, "seed": self.options.seed + index} for index, name in enumerate(SETS)],
            "steps": STEPS,
            "prompts": self.prompts,
        }
        settings = replace(self.settings, limits=REMOTE_CODE_LIMITS)
        start = time.monotonic()
        try:
            answer = run_worker("reference", payload, settings=settings, on_event=self.options.on_event)
        except WorkerError as error:
            return Reference(
                None, "unproven", f"the reference could not run: {error.message}", time.monotonic() - start
            )
        return Reference(answer, "passed", "", time.monotonic() - start)

    def engine(self, wanted: tuple[str, ...], reference: Reference | None) -> tuple[tuple[Rung, ...], JSONObject]:
        """Run vLLM's rungs; a worker that dies fails the rung it was in."""
        sets: list[JSON] = (
            [{"name": item["name"], "weights": item["weights"]} for item in reference.sets()] if reference else []
        )
        payload: JSONObject = {
            "model": str(self.folder / "model"),
            "out": str(self.out),
            "architecture": str(self.subject.reading.facts.value("architecture")),
            "rungs": [*wanted],
            "sets": sets or [{"name": "dummy", "weights": None}],
            "prompts": self.prompts,
            "steps": STEPS,
            "banned": (reference.answer or {}).get("banned") if reference else None,
            "max_model_len": self.tiny.max_model_len,
            "max_images": 2,
            "embed_method": self.subject.embed_method,
            "trust_remote_code": self._runs_repo_code,
            "own_modules": [self.subject.plugin[1]] if self.subject.plugin else [],
            **self._sweep(),
        }
        seen = _Seen(self.options.on_event)
        try:
            answer = run_worker("engine", payload, settings=self._engine_settings(), on_event=seen)
        except WorkerError as error:
            return tuple(map(advised, seen.after_crash(wanted, error))), {}
        rungs = [_rung(item) for item in _dicts(answer.get("rungs"))]
        return tuple(advised(rung if self.options.trust else without_trust(rung)) for rung in rungs), answer

    def _sweep(self) -> JSONObject:
        """What the rung `tokens` needs; what the repo states binds a port, not a class of vLLM's own."""
        facts, tile = self.subject.reading.facts, self.tiny.tile
        ported = self.subject.plugin is not None or bool(self.subject.path)
        stated = {name: facts.value(name) for name in ("image_context_token", "modalities") if _settled(facts, name)}
        least, most = (as_int(facts.value(name)) or 1 for name in ("min_tiles", "max_tiles"))
        return {
            "placeholder": self.placeholder,
            "context_token": stated.get("image_context_token") if ported else None,
            "modalities": stated.get("modalities") if ported else None,
            "sizes": [[width, height] for width, height in sweep_sizes(tile, least, most)],
            "pair": [[tile, tile], [2 * tile, tile]],
        }

    @property
    def _runs_repo_code(self) -> bool:
        """Whether vLLM itself executes the repo's code, for its config class."""
        return self.options.trust and (self.subject.plugin is None or not self.subject.own_config)

    def _engine_settings(self) -> WorkerSettings:
        path = self.subject.path
        if self.subject.plugin is not None:
            path = (*plugin_path(*self.subject.plugin, self.settings.scratch), *path)
        limits = ENGINE_LIMITS if self._runs_repo_code else self.settings.limits
        return replace(self.settings, path=(*path, *self.settings.path), limits=limits)

    def parity(self, rungs: tuple[Rung, ...], reference: Reference | None, answer: JSONObject) -> Parity:
        """The comparison, or why there is none."""
        not_proven = (*NEVER_PROVEN, *self.tiny.notes)
        if reference is None or reference.answer is None:
            why = reference.why if reference else "no reference"
            skipped = reference is not None and reference.status == "skipped"
            return Parity("skipped" if skipped else "unproven", why, not_proven=not_proven)
        blocked = [rung.name for rung in rungs if rung.name in RUNGS["parity"] and rung.status != "passed"]
        if blocked or not rungs:
            return Parity("skipped", f"needs {', '.join(blocked) or 'the engine'}", not_proven=not_proven)
        engine_sets = {str(item["name"]): item for item in _dicts(answer.get("sets"))}
        failed = [f"{name} weights: {item['error']}" for name, item in engine_sets.items() if item.get("error")]
        if failed:
            return Parity("failed", failed[0], not_proven=not_proven)
        pairs: list[JSON] = [
            {"set": item["name"], "reference": item["results"], "engine": engine_sets[str(item["name"])]["results"]}
            for item in reference.sets()
            if str(item["name"]) in engine_sets
        ]
        try:
            rows = run_worker("compare", {"pairs": pairs, "prompts": [*self.names]}, settings=self.settings).get("rows")
        except WorkerError as error:
            return Parity("unproven", error.message, not_proven=not_proven)
        seeds = {str(item["name"]): self.options.seed + index for index, item in enumerate(reference.sets())}
        parts = {key: value for key, value in reference.answer.items() if key != "sets"}
        more = (*self.tiny.notes, *_unproven_parts(self.subject.reading, reference.answer))
        return judge([Row.from_json(row) for row in _dicts(rows)], seeds=seeds, not_proven=more, reference=parts)


def _unproven_parts(reading: RepoReading, answer: JSONObject) -> Iterable[str]:
    if not answer.get("proven_preprocessing"):
        yield "preprocessing: the repo has no code for it, it was rewritten from facts"
        if reading.facts.value("image_mean") is None:
            yield "image mean and std: the repo states none, those of ImageNet were assumed"


def _settled(facts: ModelFacts, name: str) -> bool:
    return name in facts and facts[name].confidence in (Confidence.CERTAIN, Confidence.LIKELY)


class _Seen:
    """Rungs as their events come in, so that a crash can be laid at the rung it happened in."""

    def __init__(self, sink: Progress | None) -> None:
        self.sink = sink
        self.done: list[Rung] = []
        self.current: str | None = None

    def __call__(self, event: JSONObject) -> None:
        if event.get("event") == "start":
            self.current = str(event["rung"])
        elif event.get("event") == "finish":
            self.done.append(_rung(event))
            self.current = None
        if self.sink is not None:
            self.sink(event)

    def after_crash(self, wanted: tuple[str, ...], error: WorkerError) -> tuple[Rung, ...]:
        """What had finished, the rung that was running as an error, the others skipped."""
        known = {rung.name: rung for rung in self.done}
        at = self.current or next((name for name in wanted if name not in known), None)
        rungs = [known.get(name) or Rung(name, "skipped", f"needs {at}") for name in wanted]
        crash = Rung(str(at), "error", error.message)
        return tuple(crash if rung.name == at else rung for rung in rungs)


def _rung(item: JSONObject) -> Rung:
    seconds = item.get("seconds")
    return Rung(
        str(item["name"]),
        cast(RungStatus, item["status"]),
        str(item["detail"]),
        float(seconds) if isinstance(seconds, (int, float)) else 0.0,
    )


def _dicts(value: JSON) -> list[JSONObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

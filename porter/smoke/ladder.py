"""The ladder: a reference worker and an engine worker over one model folder, and the comparison of the two."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from porter.errors import WorkerError
from porter.facts.reading import RepoReading
from porter.jsontypes import JSON, JSONObject, items, objects
from porter.process import REMOTE_CODE_LIMITS, WorkerSettings, run_worker
from porter.proof.causes import TINY_TILE
from porter.proof.compare import NEVER_PROVEN, Parity, Row, judge
from porter.smoke.engine import EngineRun
from porter.smoke.fitting import Fitting, fitting
from porter.smoke.inputs import prompts, shown, tiling
from porter.smoke.model import ModelFolder, model_folder
from porter.smoke.own_tests import own_rungs
from porter.smoke.reference import checked, with_pictures
from porter.smoke.report import Rung, RungStatus, SmokeReport
from porter.smoke.rungs import DEFAULT, ENGINE_RUNGS, RUNGS, in_order, with_prerequisites
from porter.smoke.subject import SmokeOptions, Subject
from porter.smoke.weights import Saved, weights_rungs
from porter.tiny.model import plain_facts

TRUST_HINT = "needs the repo's own code as reference (--trust-remote-code)"
AT_TINY_SIZE = "the proof compares at tiny size: --weights tiny"
SETS = ("normal", "stress")
STEPS = 8


def smoke_test(subject: Subject, settings: WorkerSettings, options: SmokeOptions) -> SmokeReport:
    """Run the ladder in `settings.scratch`. Raises UsageError for an unknown rung; a worker's failure is a rung's."""
    wanted = with_prerequisites(options.rungs or DEFAULT)
    run = _Run(subject, settings, options)
    fit = fitting(subject.reading, settings, options.choice, run.model)
    proves = "parity" in wanted and options.parity
    reference = run.reference() if proves else None
    rungs, answer = run.engine([name for name in wanted if name in ENGINE_RUNGS], reference, fit)
    saved = run.saved(reference) if reference else None
    rungs = (*rungs, *weights_rungs(subject, settings, options, wanted, saved))
    rungs = (*rungs, *own_rungs(subject, settings, options, run.model.folder, wanted))
    parity = None
    if proves:
        start = time.monotonic()
        parity = run.parity(rungs, reference, answer)
        seconds = time.monotonic() - start + (reference.seconds if reference else 0.0)
        rungs = (*rungs, Rung("parity", parity.status, parity.detail, seconds))
    return SmokeReport(
        device=str(answer["device"]) if answer.get("device") else fit.device,
        engine={**cast(JSONObject, answer.get("engine") or {}), **fit.to_json()},
        rungs=in_order(rungs),
        parity=parity,
        shrunk=run.model.shrunk,
    )


@dataclass(frozen=True, slots=True)
class Reference:
    """What the repo's own code gave: `answer` None when it could not run, and then `why`."""

    answer: JSONObject | None
    status: RungStatus
    why: str
    seconds: float = 0.0

    def sets(self) -> list[JSONObject]:
        return objects(self.answer.get("sets")) if self.answer else []


class _Run:
    """One smoke test: the model folder is written once, workers run one after the other."""

    def __init__(self, subject: Subject, settings: WorkerSettings, options: SmokeOptions) -> None:
        self.subject = subject
        self.settings = settings
        self.options = options
        self.out = settings.scratch / "results"
        folder = settings.scratch / "tiny"
        for path in (folder, self.out):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        reading = subject.reading
        self.native = not reading.snapshot.auto_map
        self.model: ModelFolder = model_folder(reading, options.choice.weights, folder / "model", trust=options.trust)
        self.prompts = prompts(self.model.tile, subject.sign, options.image)

    def reference(self) -> Reference:
        """Draw the weights and run the repo's own code on them."""
        if self.options.choice.weights != "tiny":
            return Reference(None, "skipped", AT_TINY_SIZE)
        if not self.options.trust and not self.native:
            return Reference(None, "skipped", TRUST_HINT)
        settings = replace(self.settings, limits=REMOTE_CODE_LIMITS, writable=(self.out,))
        start = time.monotonic()
        try:
            answer = run_worker("reference", self._asked(), settings=settings, on_event=self.options.on_event)
            answer = checked(answer, SETS, self.out)
            self.prompts = with_pictures(self.prompts, answer.get("telling_pictures"))
        except WorkerError as error:
            why = f"the reference could not run: {error.message}"
            return Reference(None, "unproven", why, time.monotonic() - start)
        return Reference(answer, "passed", "", time.monotonic() - start)

    def saved(self, reference: Reference) -> Saved | None:
        """The first checkpoint that the repo's own code wrote."""
        files = [Path(str(item["weights"])) for item in reference.sets()]
        return Saved(self.model.folder, files[0]) if files else None

    def _asked(self) -> JSONObject:
        facts, tile = self.subject.reading.facts, self.model.tile
        known: JSONObject = {**plain_facts(facts), "tiling": tiling(facts, tile), "native": self.native}
        known["image_placeholder"] = self.subject.sign.text
        known["tokens_per_tile"] = self.model.tokens_per_tile
        return {
            "model": str(self.model.folder),
            "out": str(self.out),
            "native": self.native,
            "trust_remote_code": self.options.trust,
            "facts": known,
            "sets": [{"name": name, "seed": self.options.seed + index} for index, name in enumerate(SETS)],
            "steps": STEPS,
            "prompts": [*self.prompts],
        }

    def engine(
        self, wanted: Collection[str], reference: Reference | None, fit: Fitting
    ) -> tuple[tuple[Rung, ...], JSONObject]:
        """vLLM's rungs on the weights that the reference drew, else on drawn or given ones."""
        sets: list[JSON] = (
            [{"name": item["name"], "weights": item["weights"]} for item in reference.sets()] if reference else []
        )
        asked: JSONObject = {
            "sets": sets or [{"name": self.options.choice.weights, "weights": None}],
            "prompts": [*self.prompts],
            "steps": STEPS,
            "banned": (reference.answer or {}).get("banned") if reference else None,
        }
        run = EngineRun(self.subject, self.settings, self.options, self.model, fit.blocked)
        return run.climb(wanted, asked)

    def parity(self, rungs: tuple[Rung, ...], reference: Reference | None, answer: JSONObject) -> Parity:
        """The comparison, or why there is none."""
        not_proven = (*NEVER_PROVEN, *self.model.notes)
        if reference is None or reference.answer is None:
            why = reference.why if reference else "no reference"
            skipped = reference is not None and reference.status == "skipped"
            return Parity("skipped" if skipped else "unproven", why, not_proven=not_proven)
        blocked = [rung.name for rung in rungs if rung.name in RUNGS["parity"] and rung.status != "passed"]
        if blocked or not rungs:
            return Parity("skipped", f"needs {', '.join(blocked) or 'the engine'}", not_proven=not_proven)
        engine_sets = {str(item["name"]): item for item in objects(answer.get("sets"))}
        failed = [f"{name} weights: {item['error']}" for name, item in engine_sets.items() if item.get("error")]
        without = [str(item["name"]) for item in reference.sets() if str(item["name"]) not in engine_sets]
        if without and not failed:
            lost = f": {answer['lost']}" if "lost" in answer else ""
            why = f"vLLM gave no answers for {', '.join(without)} weights{lost}"
            return Parity("error" if lost else "unproven", why, not_proven=not_proven)
        if failed:
            return Parity("failed", failed[0], not_proven=not_proven)
        return self._compared(reference, reference.answer, engine_sets, answer)

    def _compared(
        self, reference: Reference, answer: JSONObject, engine: Mapping[str, JSONObject], told: JSONObject
    ) -> Parity:
        """`told` names prompts with more images than the class takes: compared by nobody."""
        lost = {str(name) for name in items(told.get("left_out"))}
        pairs: list[JSON] = [
            {"set": item["name"], "reference": item["results"], "engine": engine[str(item["name"])]["results"]}
            for item in reference.sets()
        ]
        run = [prompt for prompt in self.prompts if prompt["name"] not in lost]
        asked: JSONObject = {"pairs": pairs, "prompts": [prompt["name"] for prompt in run]}
        try:
            compared = run_worker("compare", asked, settings=self.settings)
        except WorkerError as error:
            return Parity("unproven", error.message, not_proven=(*NEVER_PROVEN, *self.model.notes))
        seeds = {str(item["name"]): self.options.seed + index for index, item in enumerate(reference.sets())}
        parts = {key: value for key, value in answer.items() if key != "sets"}
        beside = [f"{name}: the class takes fewer images a prompt" for name in sorted(lost)]
        beside += [str(told["stood_in"])] if told.get("stood_in") else []
        more = (*self.model.notes, *beside, *_unproven_parts(self.subject.reading, answer))
        found = judge(
            [Row.from_json(row) for row in objects(compared.get("rows"))],
            seeds=seeds,
            not_proven=more,
            reference=parts,
            places=objects(compared.get("places")),
            facts={**plain_facts(self.subject.reading.facts), TINY_TILE: self.model.tokens_per_tile},
        )
        return replace(found, prompts=shown(run))


def _unproven_parts(reading: RepoReading, answer: JSONObject) -> Iterable[str]:
    if not answer.get("proven_image_text"):
        yield "the tokens around an image: the repo's code does not show them, they were taken from facts"
    if not answer.get("proven_preprocessing"):
        yield "preprocessing: the repo has no code for it, it was rewritten from facts"
        if reading.facts.value("image_mean") is None:
            yield "image mean and std: the repo states none, those of ImageNet were assumed"

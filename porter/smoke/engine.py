"""The engine worker: what it is asked, and what becomes of its rungs when it dies in one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import cast

from porter.errors import WorkerError
from porter.facts.model import Confidence, ModelFacts
from porter.jsontypes import JSONObject, as_int, objects
from porter.process import ENGINE_LIMITS, WorkerSettings, plugin_path, run_worker
from porter.smoke.devices import UTILISATION
from porter.smoke.explain import advice
from porter.smoke.model import ModelFolder
from porter.smoke.report import Rung, RungStatus
from porter.smoke.rungs import RUNGS, dependents, with_prerequisites, without_trust
from porter.smoke.subject import Progress, SmokeOptions, Subject
from porter.smoke.sweep import sweep_sizes

IMAGES_PER_PROMPT = 2
ANSWERS = ("text", "image")
MAX_STARTS = 4


@dataclass(frozen=True, slots=True)
class EngineRun:
    """The engine on one model folder. `blocked` are rungs that this machine cannot run, with the reason."""

    subject: Subject
    settings: WorkerSettings
    options: SmokeOptions
    model: ModelFolder
    blocked: Mapping[str, str]

    def climb(self, wanted: Collection[str], asked: JSONObject) -> tuple[tuple[Rung, ...], JSONObject]:
        """Every rung of `wanted`, and the worker's answer: {"lost": why} when it died. `asked`: sets, prompts, ...

        A worker that dies fails the rung it was in; those that do not need that rung run in another one. The answers to
        text and image are what the proof compares: where a later rung took them along, they are asked for again.
        """
        done = {name: Rung(name, "skipped", why) for name, why in self._blocked(wanted).items()}
        answer: JSONObject = {}
        for _ in range(MAX_STARTS):
            left = [name for name in wanted if name not in done]
            if not left:
                break
            rungs, last = self._start([name for name in with_prerequisites(left) if name in wanted], asked)
            done |= {rung.name: rung for rung in rungs if rung.name not in done}
            answer = last if "sets" in last or not answer else answer
        if "sets" not in answer and all(name in done and done[name].status == "passed" for name in ANSWERS):
            _, answer = self._start([name for name in with_prerequisites(ANSWERS) if name in wanted], asked)
        gone = f"the engine worker ended {MAX_STARTS} times before this rung"
        return tuple(done.get(name) or Rung(name, "skipped", gone) for name in wanted), answer

    def _blocked(self, wanted: Collection[str]) -> dict[str, str]:
        """The rungs that cannot run here, and those that need one of them."""
        found = {name: why for name, why in self.blocked.items() if name in wanted}
        needing = {other: f"needs {name}" for name in found for other in dependents(name, wanted)}
        return {**needing, **found}

    def _start(self, names: list[str], asked: JSONObject) -> tuple[tuple[Rung, ...], JSONObject]:
        """The rungs that came to an end, those that a crash takes with it among them."""
        seen = Seen(self.options.on_event)
        payload: JSONObject = {**self._payload(), "rungs": {name: [*RUNGS[name]] for name in names}, **asked}
        try:
            answer = run_worker("engine", payload, settings=self._settings(), on_event=seen)
        except WorkerError as error:
            return tuple(map(advised, seen.after_crash(names, error))), {"lost": error.message}
        rungs = [rung_of(item) for item in objects(answer.get("rungs"))]
        untold = self.subject.untold(self.options)
        return tuple(advised(without_trust(rung) if untold else rung) for rung in rungs), answer

    def _payload(self) -> JSONObject:
        subject, choice = self.subject, self.options.choice
        full = choice.weights != "tiny"
        return {
            "model": str(self.model.folder),
            "out": str(self.settings.scratch / "results"),
            "architecture": str(subject.reading.facts.value("architecture")),
            "max_model_len": self.model.max_model_len,
            "max_images": IMAGES_PER_PROMPT,
            "embed_method": subject.embed_method,
            "trust_remote_code": self._runs_repo_code,
            "own_modules": [subject.plugin[1]] if subject.plugin else [],
            "weights": choice.weights,
            "arguments": replace(choice, lora=False).arguments() if full else {},
            "parallel": {"tp": choice.tp, "pp": choice.pp, "executor": choice.executor},
            "gpu_share": UTILISATION[choice.weights],
            **self._sweep(),
        }

    def _sweep(self) -> JSONObject:
        """What the rung `tokens` needs; what the repo states binds a port, not a class of vLLM's own."""
        facts, tile = self.subject.reading.facts, self.model.tile
        stated = {name: facts.value(name) for name in ("image_context_token", "modalities") if _settled(facts, name)}
        least, most = (as_int(facts.value(name)) or 1 for name in ("min_tiles", "max_tiles"))
        ported = self.subject.ported
        return {
            "placeholder": self.subject.sign.text,
            "after": self.subject.sign.after,
            "context_token": stated.get("image_context_token") if ported else None,
            "modalities": stated.get("modalities") if ported else None,
            "sizes": [[width, height] for width, height in sweep_sizes(tile, least, most)],
            "pair": [[tile, tile], [2 * tile, tile]],
        }

    @property
    def _runs_repo_code(self) -> bool:
        """Whether vLLM itself executes the repo's code, for its config class."""
        return self.options.trust and (self.subject.plugin is None or not self.subject.own_config)

    def _settings(self) -> WorkerSettings:
        path = self.subject.path
        if self.subject.plugin is not None:
            path = (*plugin_path(*self.subject.plugin, self.settings.scratch), *path)
        limits = ENGINE_LIMITS if self._runs_repo_code else self.settings.limits
        return replace(self.settings, path=(*path, *self.settings.path), limits=limits)


class Seen:
    """Rungs as their events come in, so that a crash can be laid at the rung it happened in."""

    def __init__(self, sink: Progress | None) -> None:
        self.sink = sink
        self.done: list[Rung] = []
        self.current: str | None = None

    def __call__(self, event: JSONObject) -> None:
        if event.get("event") == "start":
            self.current = str(event["rung"])
        elif event.get("event") == "finish":
            self.done.append(rung_of(event))
            self.current = None
        if self.sink is not None:
            self.sink(event)

    def after_crash(self, wanted: Collection[str], error: WorkerError) -> tuple[Rung, ...]:
        """What had finished, the rung that was running as an error, and those that need it as skipped."""
        known = {rung.name: rung for rung in self.done}
        at = self.current or next((name for name in wanted if name not in known), None)
        if at is None:
            return tuple(known.values())
        lost = dependents(at, [name for name in wanted if name not in known])
        return (
            *known.values(),
            Rung(at, "error", error.message),
            *(Rung(name, "skipped", f"needs {at}") for name in wanted if name in lost),
        )


def advised(rung: Rung) -> Rung:
    """A rung that failed in a known way also says why, and what to change."""
    words = advice(rung.detail) if rung.status in ("failed", "error") else ""
    return replace(rung, detail=f"{rung.detail} -> {words}") if words else rung


def rung_of(item: JSONObject) -> Rung:
    seconds = item.get("seconds")
    return Rung(
        str(item["name"]),
        cast(RungStatus, item["status"]),
        str(item["detail"]),
        float(seconds) if isinstance(seconds, (int, float)) else 0.0,
    )


def _settled(facts: ModelFacts, name: str) -> bool:
    return name in facts and facts[name].confidence in (Confidence.CERTAIN, Confidence.LIKELY)

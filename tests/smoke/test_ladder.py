"""The ladder's order and its inputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import pytest

from porter.errors import UsageError, WorkerError
from porter.facts import RepoReading, infer
from porter.facts.model import Confidence, Fact, ModelFacts
from porter.hub import snapshot_of
from porter.hub.snapshot import RepoRef, Snapshot
from porter.jsontypes import JSON, JSONObject
from porter.process import WorkerSettings
from porter.smoke import engine
from porter.smoke.engine import Seen
from porter.smoke.inputs import Sign, prompts, tiling
from porter.smoke.model import ModelFolder
from porter.smoke.report import Rung, RungStatus
from porter.smoke.rungs import RUNGS, with_prerequisites, without_trust
from porter.smoke.subject import SmokeOptions, Subject
from tests.smoke.climbing import EXAMPLE


def test_prerequisites_come_along_in_order() -> None:
    assert with_prerequisites(["image"]) == ("config", "registry", "load", "image")
    assert with_prerequisites(["parity"])[-1] == "parity"
    assert with_prerequisites(RUNGS) == tuple(RUNGS)


def test_an_unknown_rung_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no rung 'imge'"):
        with_prerequisites(["imge"])


def test_a_crash_is_laid_at_the_rung_it_happened_in() -> None:
    seen = Seen(None)
    seen({"rung": "config", "event": "start"})
    seen({"event": "finish", "name": "config", "status": "passed", "detail": "", "seconds": 1.0})
    seen({"rung": "registry", "event": "start"})
    rungs = seen.after_crash(("config", "registry", "load"), WorkerError("engine: gave no answer"))
    assert [(rung.name, rung.status) for rung in rungs] == [
        ("config", "passed"),
        ("registry", "error"),
        ("load", "skipped"),
    ]
    assert rungs[1].detail == "engine: gave no answer" and "registry" in rungs[2].detail


def test_prompts_cover_the_shapes_of_tiling() -> None:
    made = {prompt["name"]: prompt for prompt in prompts(56, Sign("<pic>"))}
    assert made["text"]["images"] == []
    assert all(str(made[name]["text"]).count("<pic>") == len(made[name]["images"] or []) for name in made)  # type: ignore[arg-type]
    seeds = [image["seed"] for prompt in made.values() for image in prompt["images"]]  # type: ignore[union-attr,index,call-overload]
    assert len(seeds) == len(set(seeds))


def templated(image: str | None) -> RepoReading:
    """A repo whose chat template writes this for an image."""
    branch = "{% if part['type'] == 'image' %}" + str(image) + "{% else %}{{ part['text'] }}{% endif %}"
    text = "{% for part in messages[0]['content'] %}" + branch + "{% endfor %}"
    files: dict[str, JSONObject] = {"config.json": {"architectures": ["Model"]}}
    return infer(
        Snapshot(RepoRef("a/b", None, local=False), json=files, text={"chat_template.jinja": text} if image else {})
    )


@pytest.mark.parametrize(
    ("image", "sign"),
    [
        ("<see>", Sign("<see>", "")),
        ("{{ '<see>\\n' }}", Sign("<see>", "\n")),
        ("<see> ", Sign("<see>", " ")),
        (None, Sign("<image>", "\n")),
    ],
)
def test_prompts_follow_the_chat_template(image: str | None, sign: Sign) -> None:
    subject = Subject(templated(image))
    assert subject.sign == sign
    assert prompts(56, subject.sign)[1]["text"] == f"{sign.text}{sign.after}Describe the picture."


def test_nothing_stands_for_an_image_that_the_class_puts_in_itself() -> None:
    made = prompts(56, Subject(templated("<see>"), silent=True).sign)
    assert [prompt["text"] for prompt in made if "<see>" in str(prompt["text"])] == []
    assert made[1]["text"] == "Describe the picture." and made[1]["images"]


def test_an_unknown_mean_is_assumed_and_an_absent_one_is_not() -> None:
    def facts(confidence: Confidence) -> ModelFacts:
        return ModelFacts({"image_mean": Fact("image_mean", None, confidence)})

    assert tiling(facts(Confidence.UNKNOWN), 56)["mean"] == [0.485, 0.456, 0.406]
    assert tiling(facts(Confidence.ABSENT), 56)["mean"] is None


@pytest.mark.parametrize(("said", "number"), [("lanczos", 1), (2, 2), (None, 3)])
def test_the_filter_of_the_rewrite_is_the_facts_by_name_or_number(said: object, number: int) -> None:
    facts = ModelFacts({"resample": Fact("resample", said, Confidence.CERTAIN)})  # type: ignore[arg-type]
    assert tiling(facts, 28)["resample"] == number


@pytest.mark.parametrize(
    ("status", "detail", "expected"),
    [
        ("failed", "RuntimeError: ... consider setting `trust_remote_code=True` in LLM", "skipped"),
        ("failed", "ValueError: 'model_type'", "failed"),
        ("passed", "trust_remote_code", "passed"),
    ],
)
def test_a_rung_that_lacks_trust_is_skipped(status: RungStatus, detail: str, expected: str) -> None:
    found = without_trust(Rung("config", status, detail))
    assert found.status == expected
    assert expected != "skipped" or "--trust-remote-code" in found.detail


ASKED: JSONObject = {"sets": [], "prompts": [], "steps": 1, "banned": None}


@pytest.mark.parametrize(("deaths", "answered"), [(("batch",), True), (("batch", None), False)])
def test_a_death_after_the_answers_costs_the_proof_only_when_it_comes_again(
    deaths: tuple[str | None, ...], answered: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`deaths`: the rung in which each worker dies, None = after its last one; the workers after them live."""
    waiting = list(deaths)

    def run_worker(job: str, payload: JSONObject, *, settings: object, on_event: Seen) -> JSONObject:
        names = list(cast("dict[str, list[str]]", payload["rungs"]))
        at = waiting.pop(0) if waiting else "nowhere"
        for name in names:
            on_event({"rung": name, "event": "start"})
            if name == at:
                raise WorkerError("engine: killed by SIGKILL")
            on_event({"event": "finish", "name": name, "status": "passed", "detail": "", "seconds": 0.1})
        if at is None:
            raise WorkerError("engine: killed by SIGKILL")
        rungs: list[JSON] = [{"name": name, "status": "passed", "detail": "", "seconds": 0.1} for name in names]
        return {"rungs": rungs, "sets": [{"name": "normal"}]}

    monkeypatch.setattr(engine, "run_worker", run_worker)
    reading = infer(snapshot_of(str(EXAMPLE), revision=None, offline=True))
    settings = WorkerSettings(sys.executable, tmp_path, tmp_path / "log")
    model = ModelFolder(tmp_path, 56, 6, 512)
    run = engine.EngineRun(Subject(reading), settings, SmokeOptions(trust=True), model, {})
    rungs, answer = run.climb(("config", "registry", "load", "text", "image", "batch"), ASKED)
    assert {rung.name: rung.status for rung in rungs}["batch"] == "error"
    assert {rung.status for rung in rungs if rung.name != "batch"} == {"passed"}
    assert ("sets" in answer) == answered and ("lost" in answer) != answered

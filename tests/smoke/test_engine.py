"""The ladder on a port that porter wrote for the bundled example, in a real engine; then with a fault in it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from porter.commands.new_model import NewModelRequest, new_model
from porter.commands.session import Settings
from porter.facts import infer
from porter.hub import snapshot_of
from porter.jsontypes import JSONObject
from porter.process import WorkerSettings
from porter.proof.compare import TOLERANCE
from porter.smoke.ladder import RUNGS, SmokeOptions, Subject, smoke_test
from porter.smoke.report import SmokeReport

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM"),
]

EXAMPLE = Path(__file__).parents[2] / "examples" / "skylark-vl"


@pytest.fixture(scope="session")
def port(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("port") / "skylark-vl"
    settings = Settings(python=sys.executable, offline=True)
    made = new_model(NewModelRequest(str(EXAMPLE), settings, plugin=out, yes=True, smoke=False, trust=True))
    assert made.error is None, made.error
    return out


def climb(port: Path, room: Path, options: SmokeOptions) -> SmokeReport:
    reading = infer(snapshot_of(str(EXAMPLE), revision=None, offline=True))
    settings = WorkerSettings(sys.executable, room / "scratch", room / "worker.log")
    return smoke_test(Subject(reading, (port, "skylark_vl")), settings, options)


def statuses(report: SmokeReport) -> dict[str, str]:
    return {rung.name: rung.status for rung in report.rungs}


EVENTS: list[JSONObject] = []


@pytest.fixture(scope="session")
def report(port: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmokeReport]:
    EVENTS.clear()
    yield climb(port, tmp_path_factory.mktemp("room"), SmokeOptions(trust=True, on_event=EVENTS.append))


def test_every_rung_passes(report: SmokeReport) -> None:
    assert statuses(report) == dict.fromkeys(RUNGS, "passed"), [rung.detail for rung in report.rungs]
    assert report.ok and report.complete
    assert report.device == "cpu" or report.device == "cuda"


def test_the_port_computes_what_the_repos_code_computes(report: SmokeReport) -> None:
    parity = report.parity
    assert parity is not None and parity.status == "passed", parity
    assert {row.set for row in parity.rows} == {"normal", "stress"}
    assert len(parity.rows) == 10
    assert all(row.ids_equal and row.greedy_equal for row in parity.rows)
    assert max(row.max_logprob_diff or 0.0 for row in parity.rows) <= TOLERANCE
    assert all(row.embed_diff is not None for row in parity.rows if row.prompt != "text")


def test_the_preprocessing_of_the_repo_was_used(report: SmokeReport) -> None:
    assert report.parity is not None and report.parity.reference is not None
    assert report.parity.reference["proven_preprocessing"] is True
    assert not any("preprocessing" in what for what in report.parity.not_proven)


def test_each_rung_is_told_when_it_starts_and_ends(report: SmokeReport) -> None:
    started = [event["rung"] for event in EVENTS if event.get("event") == "start"]
    assert started == [rung.name for rung in report.rungs if rung.name != "parity"]


def faulty(port: Path, out: Path, file: str, old: str, new: str) -> Path:
    """A copy of the port with one mistake in it."""
    shutil.copytree(port, out)
    path = out / "skylark_vl" / file
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{file} no longer says {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return out


def test_a_wrong_context_token_is_caught(port: Path, tmp_path: Path) -> None:
    wrong = faulty(port, tmp_path / "wrong", "modeling.py", "<|vision_patch|>", "<|im_start|>")
    report = climb(wrong, tmp_path, SmokeOptions(trust=True))
    assert not report.ok
    assert report.parity is not None and report.parity.status == "failed"
    assert "ids differ" in report.parity.detail


def test_without_trust_the_engine_runs_and_the_proof_is_skipped(port: Path, tmp_path: Path) -> None:
    report = climb(port, tmp_path, SmokeOptions(trust=False))
    expected = dict.fromkeys(RUNGS, "passed") | {"parity": "skipped"}
    assert statuses(report) == expected, [rung.detail for rung in report.rungs]
    assert "--trust-remote-code" in report.rungs[-1].detail
    assert report.ok and not report.complete

"""The ladder on a port that porter wrote for the bundled example, in a real engine."""

from __future__ import annotations

from pathlib import Path

from porter.facts import infer
from porter.hub import snapshot_of
from porter.jsontypes import JSONObject
from porter.proof.compare import TOLERANCE
from porter.smoke.estimate import Load, estimate, sizes_of
from porter.smoke.model import model_folder
from porter.smoke.report import SmokeReport
from porter.smoke.rungs import DEFAULT, ENGINE_RUNGS, ON_REQUEST
from porter.smoke.subject import SmokeOptions
from tests.smoke.climbing import EXAMPLE, NEEDS_VLLM, climb, statuses

pytestmark = NEEDS_VLLM


def test_every_rung_passes(report: SmokeReport) -> None:
    expected = dict.fromkeys((*DEFAULT, *ON_REQUEST), "passed")
    assert statuses(report) == expected, [rung.detail for rung in report.rungs]
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


def test_each_rung_is_told_when_it_starts_and_ends(report: SmokeReport, events: list[JSONObject]) -> None:
    started = [event["rung"] for event in events if event.get("event") == "start"]
    assert started == [rung.name for rung in report.rungs if rung.name in ENGINE_RUNGS]


def test_without_trust_the_engine_runs_and_the_proof_is_skipped(port: Path, tmp_path: Path) -> None:
    report = climb(port, tmp_path, SmokeOptions(trust=False))
    expected = dict.fromkeys(DEFAULT, "passed") | {"parity": "skipped", "weights": "skipped"}
    assert statuses(report) == expected, [rung.detail for rung in report.rungs]
    assert "--trust-remote-code" in report.rungs[-1].detail
    assert report.ok and not report.complete


def test_the_estimate_of_memory_is_within_a_factor_of_two(report: SmokeReport, tmp_path: Path) -> None:
    reading = infer(snapshot_of(str(EXAMPLE), revision=None, offline=True))
    model = model_folder(reading, "tiny", tmp_path / "tiny", trust=True)
    sizes = sizes_of(infer(snapshot_of(str(model.folder), revision=None, offline=True)))
    assert sizes is not None and report.device is not None
    load = Load(model.max_model_len, 2048, report.device, itemsize=4)
    measured = report.engine["memory_bytes"]
    assert isinstance(measured, int) and 0.5 < estimate(sizes, load).total / measured < 2

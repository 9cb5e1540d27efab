"""The comparison by stages on a real engine: every stage of a right port is seen on both sides, and equal."""

from __future__ import annotations

from porter.proof.stages import STAGES
from porter.smoke.report import SmokeReport
from tests.smoke.climbing import NEEDS_VLLM

pytestmark = NEEDS_VLLM


def test_every_stage_of_a_right_port_is_seen_and_equal(report: SmokeReport) -> None:
    assert report.parity is not None
    stages = {stage.name: stage for stage in report.parity.stages}
    assert tuple(stages) == STAGES
    assert {name: stage.status for name, stage in stages.items()} == dict.fromkeys(STAGES, "equal")
    assert all(stage.rel_diff is not None and stage.place is not None for stage in stages.values())
    shapes = stages["pixel values"].to_json()
    assert shapes["reference_shape"] == shapes["vllm_shape"] and len(shapes["reference_shape"] or []) == 4  # type: ignore[arg-type]
    assert report.parity.first_difference is None and not report.parity.causes

"""The rung `batch`: what it covers in a real engine."""

from __future__ import annotations

from porter.smoke.report import SmokeReport
from tests.smoke.climbing import NEEDS_VLLM, rung

pytestmark = NEEDS_VLLM


def test_what_a_batch_covers_is_named(report: SmokeReport) -> None:
    found = rung(report, "batch")
    assert found.status == "passed", found.detail
    for name in ("text beside image", "two sizes", "two images in one prompt", "all prompts", "images swapped"):
        assert name in found.detail
    assert "image of 30 tokens split by a budget of" in found.detail
    assert "not covered" not in found.detail

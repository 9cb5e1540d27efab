"""The rung `batch`: what it covers in a real engine, and a model that mixes the images of a batch."""

from __future__ import annotations

from pathlib import Path

from porter.smoke.report import SmokeReport
from porter.smoke.subject import SmokeOptions
from tests.smoke.climbing import NEEDS_VLLM, climb, faulty, rung, statuses

pytestmark = NEEDS_VLLM

NORMALISE = "pixel_values = (pixel_values - self.norm_mean) / self.norm_std"


def test_what_a_batch_covers_is_named(report: SmokeReport) -> None:
    found = rung(report, "batch")
    assert found.status == "passed", found.detail
    for name in ("text beside image", "two sizes", "two images in one prompt", "all prompts", "images swapped"):
        assert name in found.detail
    assert "image of 30 tokens split by a budget of" in found.detail
    assert "not covered" not in found.detail


def test_a_model_that_mixes_the_images_of_a_batch(port: Path, tmp_path: Path) -> None:
    mixed = faulty(port, tmp_path / "wrong", (NORMALISE, "pixel_values = pixel_values - pixel_values.mean(0)"))
    report = climb(mixed, tmp_path, SmokeOptions(rungs=("batch",), parity=False))
    assert statuses(report)["image"] == "passed"
    found = rung(report, "batch")
    assert found.status == "failed"
    assert "two sizes: the image features of prompt 'one tile' are others than alone" in found.detail

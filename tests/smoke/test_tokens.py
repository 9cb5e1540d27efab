"""The token sweep: its sizes, the arithmetic it shows, and faults of a port that it finds without weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.smoke.report import Rung, SmokeReport
from porter.smoke.subject import SmokeOptions
from porter.smoke.sweep import ODD, sweep_sizes
from porter.workers.placeholders import Span, arithmetic
from tests.smoke.climbing import NEEDS_VLLM, climb, faulty, rung, statuses
from tests.smoke.planted import DECORATOR, INFO, LENGTH

VIDEO = INFO + '    def get_supported_mm_limits(self):\n        return {"image": None, "video": None}\n\n'
SMALL_DUMMY = INFO + (
    "    def get_image_size_with_most_features(self):\n"
    "        from vllm.multimodal.parse import ImageSize\n\n"
    "        return ImageSize(width=56, height=56)\n\n"
)


def test_every_border_of_the_tiling_is_met_from_both_sides() -> None:
    sizes = sweep_sizes(56, 1, 6)
    assert set(ODD) <= set(sizes)
    assert {(112, 56), (111, 56), (113, 56), (112, 55), (112, 57), (336, 56), (112, 168)} <= set(sizes)
    assert len(sizes) == len(set(sizes)) < 200


def test_a_large_grid_keeps_the_sweep_small() -> None:
    assert len(sweep_sizes(448, 1, 40)) < 800
    assert max(max(size) for size in sweep_sizes(448, 1, 40)) <= 17920
    assert all(min(size) >= 1 for size in sweep_sizes(1, 1, 1))


@pytest.mark.parametrize(
    ("features", "more", "rows", "tiles", "expected"),
    [
        (
            34,
            2,
            32,
            2,
            "2 tiles × 17 tokens + 2 = 36 placeholders, 34 of them for features; the model gives 2 tiles × 16",
        ),
        (16, 0, 15, 1, "16 placeholders; the model gives 15 rows"),
        (7, 2, 8, 2, "7 + 2 = 9 placeholders, 7 of them for features; the model gives 2 tiles × 4 tokens = 8 rows"),
    ],
)
def test_both_sides_are_shown_as_sums(features: int, more: int, rows: int, tiles: int, expected: str) -> None:
    mask = (False,) * (more // 2) + (True,) * features + (False,) * (more - more // 2)
    assert expected in arithmetic(Span(0, tuple(range(features + more)), mask), rows, tiles)


def swept(port: Path, room: Path, *edits: tuple[str, str]) -> SmokeReport:
    """The ladder up to the sweep; no engine is started."""
    return climb(faulty(port, room / "wrong", *edits), room, SmokeOptions(rungs=("tokens",), parity=False))


def failing(port: Path, room: Path, *edits: tuple[str, str]) -> Rung:
    report = swept(port, room, *edits)
    assert statuses(report) == {"config": "passed", "registry": "passed", "processor": "passed", "tokens": "failed"}
    return rung(report, "tokens")


class TestFaults:
    """Each fault is named by the rung."""

    pytestmark = NEEDS_VLLM

    def test_the_example_passes_with_all_its_tilings(self, report: SmokeReport) -> None:
        found = rung(report, "tokens")
        assert found.status == "passed", found.detail
        assert "1 to 7 tiles, 6 to 30 placeholders = the model's rows" in found.detail

    def test_one_token_too_many_in_the_image_sequence(self, port: Path, tmp_path: Path) -> None:
        found = failing(port, tmp_path, (LENGTH, LENGTH + " + 1"))
        assert "image 1x1: 5 + 2 = 7 placeholders, 5 of them for features; the model gives 4 rows" in found.detail
        assert "cases fail" in found.detail

    def test_a_wrong_context_token(self, port: Path, tmp_path: Path) -> None:
        found = failing(port, tmp_path, ("<|vision_patch|>", "<|im_start|>"))
        assert "features go to '<|im_start|>', the repo's context token is '<|vision_patch|>'" in found.detail

    def test_a_dummy_image_that_is_not_the_largest(self, port: Path, tmp_path: Path) -> None:
        found = failing(port, tmp_path, (INFO, SMALL_DUMMY))
        assert "the dummy image: 6 placeholders, but image" in found.detail
        assert "has 30: vLLM profiles too little memory" in found.detail
        assert "(1 of " in found.detail

    def test_video_advertised_by_accident(self, port: Path, tmp_path: Path) -> None:
        found = failing(port, tmp_path, (INFO, VIDEO))
        assert "video: the port advertises video, the repo takes image only" in found.detail

    def test_a_missing_decorator(self, port: Path, tmp_path: Path) -> None:
        report = swept(port, tmp_path, (DECORATOR, ""))
        assert not report.ok
        bad = next(rung for rung in report.rungs if rung.status in ("failed", "error"))
        assert bad.name in ("config", "registry", "processor", "tokens"), bad

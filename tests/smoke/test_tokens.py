"""The token sweep: its sizes and the arithmetic it shows. The faults that it finds are planted by test_planted."""

from __future__ import annotations

import pytest

from porter.smoke.report import SmokeReport
from porter.smoke.sweep import ODD, sweep_sizes
from porter.workers.placeholders import Span, arithmetic
from tests.smoke.climbing import NEEDS_VLLM, rung


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


class TestExample:
    pytestmark = NEEDS_VLLM

    def test_it_passes_with_all_its_tilings(self, report: SmokeReport) -> None:
        found = rung(report, "tokens")
        assert found.status == "passed", found.detail
        assert "1 to 7 tiles, 6 to 30 placeholders = the model's rows" in found.detail

"""The picture that shows a tiling other than the facts' one, and how it reaches the ladder."""

from __future__ import annotations

from typing import Any

import pytest

from porter.errors import WorkerError
from porter.jsontypes import JSON
from porter.smoke.inputs import prompts
from porter.smoke.reference import with_picture
from porter.workers import tilings
from porter.workers.preprocess import Inputs, closest_grid

TILING = {"size": 28, "min": 1, "max": 12, "thumbnail": True, "scheme": "internvl_tiles"}


class Picture:
    """As much of an image as counts tiles."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height


def tiles(columns: int, rows: int) -> list[int]:
    return [0] * (columns * rows + (columns * rows > 1))


def facts_way(picture: Picture) -> list[int]:
    return tiles(*closest_grid(picture.width, picture.height, 1, 12, 28))


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pixels: only sizes matter."""
    monkeypatch.setattr(tilings.images, "load_images", lambda rows: [Picture(r["width"], r["height"]) for r in rows])
    monkeypatch.setattr(tilings.preprocess, "rewritten", lambda picture, _: facts_way(picture))


def test_equal_grids_need_no_other_picture() -> None:
    assert tilings.telling(lambda loaded: Inputs({"pixel_values": facts_way(loaded[0])}), TILING) is None


def test_a_grid_chosen_otherwise_is_found() -> None:
    def most_tiles(loaded: list[Any]) -> Inputs:
        wide = loaded[0].width > 5 * loaded[0].height
        return Inputs({"pixel_values": tiles(12, 1) if wide else facts_way(loaded[0])})

    found = tilings.telling(most_tiles, TILING)
    assert found is not None and found["width"] > 5 * found["height"]


def test_pictures_that_are_not_cut_are_not_tried() -> None:
    assert tilings.telling(lambda _: Inputs(), {**TILING, "scheme": "single"}) is None


def test_the_ladder_takes_the_picture() -> None:
    before = prompts(28, "<image>")
    picture: JSON = {"width": 35, "height": 77, "seed": 6}
    after = with_picture(before, picture)
    assert [prompt["name"] for prompt in after] == [prompt["name"] for prompt in before]
    assert [prompt["images"] for prompt in after if prompt["name"] == "odd aspect"] == [[picture]]
    assert after[:-1] == before[:-1]


def test_without_one_the_prompts_stay() -> None:
    assert with_picture(prompts(28, "<image>"), None) == prompts(28, "<image>")


@pytest.mark.parametrize(
    "picture",
    [
        *("35x77", {}, {"width": 35, "height": 77}, {"width": 35, "height": 77, "seed": 6, "path": "/a.png"}),
        *({"width": -1, "height": 2, "seed": 6}, {"width": 1 << 40, "height": 2, "seed": 6}),
        {"width": True, "height": 2, "seed": 6},
    ],
)
def test_two_sides_are_never_asked_about_different_pictures(picture: JSON) -> None:
    with pytest.raises(WorkerError, match="a picture of its own that cannot be drawn again"):
        with_picture(prompts(28, "<image>"), picture)

"""Pictures that show a tiling other than the usual one, and how they reach the ladder."""

from __future__ import annotations

from typing import Any

import pytest

from porter.errors import WorkerError
from porter.jsontypes import JSON
from porter.smoke.inputs import Sign, prompts
from porter.smoke.reference import with_pictures
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
    assert tilings.telling(lambda loaded: Inputs({"pixel_values": facts_way(loaded[0])}), TILING) == []


def test_a_grid_chosen_otherwise_is_found() -> None:
    def most_tiles(loaded: list[Any]) -> Inputs:
        wide = loaded[0].width > 5 * loaded[0].height
        return Inputs({"pixel_values": tiles(12, 1) if wide else facts_way(loaded[0])})

    found = tilings.telling(most_tiles, TILING)
    assert 0 < len(found) <= 3 and all(one["width"] > 5 * one["height"] for one in found)


def test_of_many_a_few_that_are_far_apart_are_taken() -> None:
    found = tilings.telling(lambda _: Inputs({"pixel_values": []}), TILING)
    assert len({(one["width"], one["height"]) for one in found}) == 3
    assert found[0]["width"] < found[1]["width"] < found[2]["width"]


def test_pictures_that_are_not_cut_are_not_tried() -> None:
    assert tilings.telling(lambda _: Inputs(), {**TILING, "scheme": "single"}) == []


def test_the_ladder_takes_the_picture() -> None:
    before = prompts(28, Sign("<image>"))
    picture: JSON = {"width": 35, "height": 77, "seed": 6}
    after = with_pictures(before, [picture])
    assert [prompt["name"] for prompt in after] == [prompt["name"] for prompt in before]
    assert [prompt["images"] for prompt in after if prompt["name"] == "odd aspect"] == [[picture]]
    assert after[:-1] == before[:-1]


def test_further_pictures_have_prompts_of_their_own() -> None:
    before = prompts(28, Sign("<image-{n}>"))
    pictures: list[JSON] = [{"width": 28 + at, "height": 77, "seed": 6} for at in range(3)]
    after = with_pictures(before, [*pictures])
    assert [prompt["name"] for prompt in after[len(before) :]] == ["odd aspect 2", "odd aspect 3"]
    assert [prompt["images"] for prompt in after[-3:]] == [[picture] for picture in pictures]
    assert {prompt["text"] for prompt in after[-3:]} == {"<image-1>\nDescribe the picture."}


def test_without_one_the_prompts_stay() -> None:
    for none in (None, []):
        assert with_pictures(prompts(28, Sign("<image>")), none) == prompts(28, Sign("<image>"))  # type: ignore[arg-type]


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
        with_pictures(prompts(28, Sign("<image>")), [picture])

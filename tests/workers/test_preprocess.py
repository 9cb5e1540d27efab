"""Which ways to image inputs a reference worker may take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.workers.preprocess import closest_grid, processed, takes_pixels, ways, with_pixels

FACTS = {"native": True, "resize_scheme": "single", "tiling": {"size": 28}}


def sources(folder: Path, *, trust: bool) -> list[str]:
    return [source for source, _ in ways(folder, FACTS, [], trust=trust)]


@pytest.mark.parametrize("key", ["AutoProcessor", "AutoImageProcessor"])
def test_the_repos_processor_is_a_way_only_when_it_is_trusted(tmp_path: Path, key: str) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"auto_map": {key: "processing.Evil"}}))
    assert any("processing.Evil" in source for source in sources(tmp_path, trust=True))
    assert sources(tmp_path, trust=False) == [
        "processor of transformers",
        "rewritten from facts",
    ]


@pytest.mark.parametrize(
    ("width", "height", "grid"),
    [(28, 28, (1, 1)), (56, 28, (2, 1)), (28, 84, (1, 3)), (100, 100, (2, 2)), (20, 20, (1, 1))],
)
def test_the_grid_is_the_closest_in_aspect_and_large_only_for_large_images(
    width: int, height: int, grid: tuple[int, int]
) -> None:
    assert closest_grid(width, height, 1, 6, 28) == grid


@pytest.mark.parametrize("name", ["pixel_values", "pixels", "images", "img", "image_tensors", "input_tiles"])
def test_parameters_that_take_images(name: str) -> None:
    assert takes_pixels(name)


@pytest.mark.parametrize(
    "name", ["input_ids", "image_flags", "pixel_values_videos", "image_token_index", "image_embeds", "num_images", "x"]
)
def test_parameters_that_take_no_images(name: str) -> None:
    assert not takes_pixels(name)


def batched(text: object, images: object, return_tensors: str) -> object:
    """Takes a list of prompts, and as many images or lists of them."""
    if not isinstance(text, list) or not isinstance(images, list) or len(images) != len(text):
        raise ValueError("one for each")
    return text, images


def single(text: object, images: object, return_tensors: str) -> object:
    """Takes one prompt."""
    return text.upper(), images  # type: ignore[attr-defined]


def none_of_it(text: object, images: object, return_tensors: str) -> object:
    raise ValueError("nested too" if images == [["a", "b"]] else "no image at all")


def test_a_processor_is_called_in_the_shape_that_it_takes() -> None:
    assert processed(batched, "x", ["a"]) == (["x"], ["a"])
    assert processed(batched, "x", ["a", "b"]) == (["x"], [["a", "b"]])
    assert processed(single, "x", ["a", "b"]) == ("X", ["a", "b"])
    with pytest.raises(ValueError, match="no image at all"):
        processed(none_of_it, "x", ["a", "b"])


class Stack:
    def __init__(self, ndim: int) -> None:
        self.ndim = ndim


def test_the_one_stack_of_images_gets_the_usual_name() -> None:
    stack, mask = Stack(4), Stack(2)
    assert with_pixels({"views": stack, "mask": mask})["pixel_values"] is stack
    assert "pixel_values" not in with_pixels({"views": stack, "more": Stack(5)})


def test_a_processor_of_transformers_that_a_file_names_is_a_way(tmp_path: Path) -> None:
    path = tmp_path / "processor_config.json"
    path.write_text(json.dumps({"processor_class": "LlavaNextProcessor"}))
    assert "LlavaNextProcessor of transformers" in sources(tmp_path, trust=False)
    path.write_text(json.dumps({"processor_class": "LlavaNextProcessor", "auto_map": {"AutoProcessor": "x.Y"}}))
    assert "LlavaNextProcessor of transformers" not in sources(tmp_path, trust=False)

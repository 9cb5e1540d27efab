# ruff: noqa: E501 (programs stand on one line each)
"""Image settings: the processor's files and classes, the config, and constants of image functions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from porter.facts import Confidence, RepoReading
from tests.facts.compare import agrees, read
from tests.facts.models import model, write
from tests.facts.test_feature_path import LAST, ONE_SHUFFLE, joined

PIXELS = joined(LAST, ONE_SHUFFLE, "return self.proj(x)")
TILES = """
def grids(low={low}, high={high}):
    return sorted((i, j) for n in range(low, high + 1) for i in range(1, n + 1) for j in range(1, n + 1) if {test})

def cut(image, size=32):
    return [image.resize((size, size)).crop((0, 0, size, size)) for _ in grids()]
"""


def reading(
    tmp_path: Path, functions: str = "", config: dict[str, Any] | None = None, processor: dict[str, Any] | None = None
) -> RepoReading:
    files = {} if processor is None else {"preprocessor_config__json": json.dumps(processor)}
    return read(write(tmp_path / "repo", model(PIXELS, before=functions), config, **files))


@pytest.mark.parametrize(
    ("test", "low", "high"),
    [
        ("low <= i * j <= high", 1, 12), ("i * j <= high and i * j >= low", 2, 6), ("high >= i * j >= low", 1, 9),
        ("i * j >= low and high >= i * j", 3, 4),
    ],
)  # fmt: skip
def test_tile_limits_from_the_comparison(test: str, low: int, high: int, tmp_path: Path) -> None:
    found = reading(tmp_path, TILES.format(low=low, high=high, test=test))
    assert (found.facts.value("min_tiles"), found.facts.value("max_tiles")) == (low, high)
    assert found.facts.value("resize_scheme") == "internvl_tiles"


def test_an_image_that_is_only_resized_is_one_tile(tmp_path: Path) -> None:
    code = "def load(image, size=32):\n    return image.resize((size, size))\n"
    facts = reading(tmp_path, code).facts
    values = [facts.value(name) for name in ("resize_scheme", "min_tiles", "max_tiles", "use_thumbnail")]
    assert values == ["single", 1, 1, False]
    assert facts["max_tiles"].confidence is not Confidence.CERTAIN


@pytest.mark.parametrize(
    ("code", "mean", "resample"),
    [
        ("MEAN = (0.1, 0.2, 0.3)\nSTD = (0.4, 0.5, 0.6)\ndef build(size):\n    return T.Compose([T.Resize((size, size), interpolation=InterpolationMode.BICUBIC), T.ToTensor(), T.Normalize(mean=MEAN, std=STD)])\n", [0.1, 0.2, 0.3], "bicubic"),
        ("def image_tensor(image, mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5]):\n    image = image.resize((32, 32), Image.LANCZOS)\n    return normalize(image / 255, mean, std)\n", [0.5, 0.5, 0.5], "lanczos"),
        ("def image_tensor(image):\n    image = image.resize((32, 32), 2)\n    return TF.normalize(TF.to_tensor(image), [0.1] * 3, [0.2] * 3)\n", [0.1, 0.1, 0.1], "bilinear"),
    ],
)  # fmt: skip
def test_constants_of_image_functions(code: str, mean: list[float], resample: str, tmp_path: Path) -> None:
    facts = reading(tmp_path, code).facts
    assert agrees(mean, facts.value("image_mean"))
    assert facts.value("resample") == resample
    assert facts.value("rescale") is True


@pytest.mark.parametrize(
    ("processor", "name", "value"),
    [
        ({"size": {"height": 32, "width": 32}}, "image_size", 32),
        ({"size": 32}, "image_size", 32),
        ({"size": {"shortest_edge": 32}}, "image_size", 32),
        ({"image_mean": 0.5}, "image_mean", [0.5, 0.5, 0.5]),
        ({"image_mean": [0.1, 0.2, 0.3]}, "image_mean", [0.1, 0.2, 0.3]),
        ({"resample": 3}, "resample", "bicubic"),
        ({"resample": "PIL.Image.BILINEAR"}, "resample", "bilinear"),
        ({"resample": 99}, "resample", None),
        ({"do_rescale": False}, "rescale", False),
        ({"max_dynamic_patch": 7}, "max_tiles", 7),
        ({"image_processor": {"max_num_tiles": 8}}, "max_tiles", 8),
        ({"use_thumbnail": False}, "use_thumbnail", False),
    ],
)
def test_settings_of_the_processor_file(processor: dict[str, Any], name: str, value: object, tmp_path: Path) -> None:
    config = {"vision_config": {"hidden_size": 16, "patch_size": 4, "num_hidden_layers": 5, "num_attention_heads": 2}}
    found = reading(tmp_path, config=config, processor=processor).facts[name]
    assert agrees(value, found.value), found
    if value is not None:
        assert [shown.file for shown in found.evidence][:1] == ["preprocessor_config.json"]


def test_the_processor_and_the_code_keep_their_own_confidence(tmp_path: Path) -> None:
    facts = reading(tmp_path, processor={"image_mean": [0.5, 0.5, 0.5]}).facts
    assert facts["image_mean"].confidence is Confidence.CERTAIN
    assert facts["image_std"].confidence is Confidence.UNKNOWN
    assert facts.value("image_std") is None


def test_resolve_names_the_path_in_config(tmp_path: Path) -> None:
    found = reading(tmp_path, config={"layer": -2})
    assert found.resolve("vision", "patch_size").value == {"path": "vision_config.patch_size", "value": 4}
    assert found.resolve("text", "hidden_size").value == {"path": "text_config.hidden_size", "value": 24}
    assert found.resolve("model", "nothing_like_it").value is None

"""Which ways to image inputs a reference worker may take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.workers.preprocess import closest_grid, ways

FACTS = {"native": True, "resize_scheme": "single", "tiling": {"size": 28}}


def sources(folder: Path, *, trust: bool) -> list[str]:
    return [source for source, _ in ways(folder, FACTS, trust=trust)]


@pytest.mark.parametrize("key", ["AutoProcessor", "AutoImageProcessor"])
def test_the_repos_processor_is_a_way_only_when_it_is_trusted(tmp_path: Path, key: str) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"auto_map": {key: "processing.Evil"}}))
    assert any("processing.Evil" in source for source in sources(tmp_path, trust=True))
    assert sources(tmp_path, trust=False) == [
        "processor of transformers",
        "image processor of transformers",
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

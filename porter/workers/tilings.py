"""Pictures that the repo's own code cuts into another number of tiles than the usual rule: those to compare with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from porter_worker import images, preprocess

SIDES = (0.5, 1.25, 2.75, 4.25, 7.0)
"""Sides of the pictures that are tried, in tiles."""


def telling(way: Callable[[list[Any]], preprocess.Inputs], tiling: dict[str, Any]) -> list[dict[str, int]]:
    """Up to three of them, far apart; none when all agree, or when the repo's code does not cut pictures into tiles."""
    if tiling.get("scheme") != "internvl_tiles":
        return []
    found = []
    for across, down in product(SIDES, SIDES):
        picture = {"width": round(across * tiling["size"]), "height": round(down * tiling["size"]), "seed": 6}
        loaded = images.load_images([picture])
        if len(way(loaded).tensors["pixel_values"]) != len(preprocess.rewritten(loaded[0], tiling)):
            found.append(picture)
    return found if len(found) < 3 else [found[0], found[len(found) // 2], found[-1]]

"""Sizes of images for the token sweep: the smallest, odd and extreme ones, and every border of the repo's tiling."""

from __future__ import annotations

from collections.abc import Iterable

Size = tuple[int, int]

ODD: tuple[Size, ...] = ((1, 1), (23, 3), (3, 23), (1, 400), (400, 1), (2, 301), (640, 480), (480, 640))
MAX_GRIDS = 96
MAX_SIDE = 16384


def sweep_sizes(tile: int, least: int, most: int) -> tuple[Size, ...]:
    """(width, height) pairs, each once, small and odd ones first; `tile` in pixels, `least` and `most` in tiles."""
    tile = max(tile, 2)
    one = [(tile + dx, tile + dy) for dx, dy in ((0, 0), (-1, -1), (1, 1), (1, 0), (0, 1), (-1, 0))]
    sizes = [*ODD, *one, (tile * 40, tile), (tile, tile * 40)]
    for grid in _grids(least, most):
        sizes.extend(_borders(tile, *grid))
    return tuple(dict.fromkeys((max(1, width), max(1, height)) for width, height in sizes if width * height))


def _grids(least: int, most: int) -> Iterable[Size]:
    """(columns, rows) with `least` to `most` tiles, and the thumbnail's one more."""
    most = max(1, min(most, 64))
    grids = [
        (columns, rows)
        for columns in range(1, most + 2)
        for rows in range(1, (most + 1) // columns + 1)
        if columns * rows >= min(least, most)
    ]
    return grids if len(grids) <= MAX_GRIDS else [grid for grid in grids if 1 in grid or grid[0] * grid[1] >= most - 1]


def _borders(tile: int, columns: int, rows: int) -> list[Size]:
    """Around the grid's own size, and around half of its area, where tilings choose between grids of one aspect."""
    width, height = columns * tile, rows * tile
    half = round(width * 0.5**0.5), round(height * 0.5**0.5)
    steps = ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1))
    made = [(width + dx, height + dy) for dx, dy in steps]
    return [size for size in [*made, half, (half[0] + 1, half[1] + 1)] if max(size) <= MAX_SIDE and min(size) >= 1]

"""Images by the best of several resolutions: which the repo lists, and how many tokens one image takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from porter.families.base import ReadingLike
from porter.jsontypes import JSON

PINPOINTS = "image_grid_pinpoints"
Size = tuple[int, int]


def pinpoints(reading: ReadingLike) -> list[JSON] | None:
    """The (height, width) pairs that config.json lists, under whatever key; None without one such list."""
    config = reading.snapshot.config()
    found = [value for value in config.values() if isinstance(value, list) and value and all(map(_pair, value))]
    return found[0] if len(found) == 1 else None


def _pair(item: JSON) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(isinstance(side, int) and side > 0 for side in item)


@dataclass(frozen=True, slots=True)
class Grid:
    """`side`: pixels of a tile, `patches` of it in a row, `base`: tokens of the view of the whole;
    `resolutions` are (height, width)."""

    side: int
    patches: int
    base: int
    resolutions: tuple[Size, ...]

    def tokens(self, width: int, height: int) -> int:
        """How many tokens an image of this size becomes: the whole, and its tiles without padding, a token behind
        each row."""
        best_height, best_width = self.best(width, height)
        rows, columns = (self.patches * side // self.side for side in (best_height, best_width))
        if width / height > columns / rows:
            rows -= 2 * ((rows - int(round(height * (columns / width), 7))) // 2)
        else:
            columns -= 2 * ((columns - int(round(width * (rows / height), 7))) // 2)
        return self.base + rows * columns + rows

    def best(self, width: int, height: int) -> Size:
        """The resolution that keeps most of the image's pixels, of equals the one with the least padding."""
        return max(self.resolutions, key=lambda size: _fit(size, width, height))


def _fit(size: Size, width: int, height: int) -> tuple[int, int]:
    scale = min(size[1] / width, size[0] / height)
    kept = min(int(width * scale) * int(height * scale), width * height)
    return kept, kept - size[0] * size[1]


def sizes(value: Sequence[JSON] | None) -> tuple[Size, ...]:
    found = [item for item in value or () if isinstance(item, list)]
    return tuple((int(str(item[0])), int(str(item[1]))) for item in found)

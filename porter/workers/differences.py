"""Two recordings of one model's places (see `stages`) side by side: how far each place is off, and in what manner.

`rows(reference, engine, prompts)` answers one row per prompt and place that the reference went through:
{prompt, path, side, point, part, block, of, whole, kind, shapes: [reference, engine], max_diff, rel_diff, signs};
`part` is tower, connector, language_model or none; `block` counts from 1; `whole`: the place is a block itself;
`point` is pixels, merged or tapped at these three points of the image's way; `rel_diff` is relative to the largest
reference value of the row, null where the engine's side was not seen or cannot be lined up; `signs` tell the manner of
a difference.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from porter_worker.stages import under

NOISE = 1e-5
SMALL_ROW = 0.01
"""Of the largest value of all rows: below it a row is measured by this instead of by its own largest value."""
ROUNDING = 3e-6
EXPLAINED = 0.02
"""Of a difference: what a manner may leave unexplained of it."""
MOST_FRONT_ROWS = 8
ORDERS = {"affine": 1, "channels": -1}


def rows(reference: Any, engine: Any, prompts: list[str]) -> list[dict[str, Any]]:
    """`reference` and `engine` map names to arrays (an open .npz)."""
    layout = json.loads(str(reference["layout"]))
    found = []
    for prompt in prompts:
        if f"{prompt}|order" in reference and f"{prompt}|order" in engine:
            found += _Prompt(prompt, layout, reference, engine).rows()
    return found


class _Prompt:
    """The places of one prompt."""

    def __init__(self, name: str, layout: dict[str, Any], reference: Any, engine: Any) -> None:
        self.name, self.layout = name, layout
        self.sides = (reference, engine)
        self.order: list[str] = json.loads(str(reference[f"{name}|order"]))

    def array(self, side: int, key: str | None) -> Any:
        name = f"{self.name}|{key}"
        return self.sides[side][name] if key and name in self.sides[side] else None

    def rows(self) -> list[dict[str, Any]]:
        made = [self.row(key, self.array(0, key), self.array(1, key)) for key in self.order]
        return [*made, *self.tapped()]

    def row(self, key: str, left: Any, right: Any) -> dict[str, Any]:
        side, _, path = key.partition("|")
        part, block, blocks = placed(path, self.layout)
        points = {self.merged(): "merged", self.pixels(): "pixels"}
        return {
            "prompt": self.name,
            "path": path,
            "side": side,
            "point": points.get(key),
            "part": part,
            "block": block,
            "of": blocks,
            "whole": path in self.layout["blocks"].get(part, []),
            "kind": self.layout["leaves"].get(path, ""),
            "shapes": [None if array is None else list(array.shape) for array in (left, right)],
            **difference(left, right, pixels=key == self.pixels()),
        }

    def pixels(self) -> str | None:
        """What the first leaf of the tower takes."""
        tower = self.layout["parts"]["tower"]
        keys = (key for key in self.order if key.startswith("in|") and key[3:] in self.layout["leaves"])
        return next((key for key in keys if under(key[3:], tower)), None)

    def merged(self) -> str | None:
        """What the first leaf of the connector takes."""
        keys = [key for key in self.order if key.startswith("in|")]
        inside = [key for key in keys if under(key[3:], self.layout["parts"]["connector"])]
        leaves = [key for key in inside if key[3:] in self.layout["leaves"]]
        return next(iter(leaves or inside), None)

    def tapped(self) -> list[dict[str, Any]]:
        """The tower's features as the connector gets them: found by their values, which a merge only moves."""
        outputs = [key for key in self.order if key.startswith("out|") and self.features(key[4:])]
        taps = [
            {key for key in outputs if holds(self.array(side, self.merged()), self.array(side, key))} for side in (0, 1)
        ]
        if not all(taps):
            return []
        shared = [key for key in outputs if key in taps[0] & taps[1]]
        keys = [shared[-1]] * 2 if shared else [next(k for k in reversed(outputs) if k in tap) for tap in taps]
        row = self.row(keys[0], self.array(0, keys[0]), self.array(1, keys[1]))
        row |= {"point": "tapped", "block": None, "whole": False}
        if not shared:
            row["signs"]["tapped"] = [self.label(key) for key in keys]
        return [row]

    def features(self, path: str) -> bool:
        part, block, _ = placed(path, self.layout)
        tower = self.layout["parts"]["tower"]
        return part == "tower" and (path in self.layout["blocks"]["tower"] or path == tower or block is None)

    def label(self, key: str) -> str:
        _, block, blocks = placed(key[4:], self.layout)
        return f"layer {block} of {blocks}" if block else "its output"


def placed(path: str, layout: dict[str, Any]) -> tuple[str | None, int | None, int | None]:
    """(part, number of the block from 1, blocks of that part) of a place."""
    part = next((p for p in ("connector", "tower", "language_model") if under(path, layout["parts"][p])), None)
    blocks = layout["blocks"].get(part, [])
    return part, next((i + 1 for i, block in enumerate(blocks) if under(path, block)), None), len(blocks) or None


def holds(merged: Any, candidate: Any) -> bool:
    """Whether one array is made of the values of the other, bit by bit."""
    import numpy as np

    if merged is None or candidate is None:
        return False
    left, right = np.unique(merged), np.unique(candidate)
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common >= 0.6 * len(right) or common >= 0.95 * len(left)


def difference(left: Any, right: Any, *, pixels: bool = False) -> dict[str, Any]:
    """max_diff, rel_diff and signs of two arrays of one place."""
    import numpy as np

    unknown: dict[str, Any] = {"max_diff": None, "rel_diff": None, "signs": {}}
    if left is None or right is None:
        return unknown
    a, b, left_out = lined_up(left.astype(np.float64), right.astype(np.float64), pixels=pixels)
    if a.shape != b.shape:
        return unknown | {"signs": {"rows": [len(a), len(b)], "width": [a.shape[-1], b.shape[-1]]}}
    signs: dict[str, Any] = {"front": left_out} if left_out else {}
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or not a.size:
        return unknown | {"signs": signs | {"nan": True}}
    gaps = np.abs(a - b).max(axis=1)
    largest, relative = float(gaps.max()), float((gaps / _scales(a)).max())
    if relative > NOISE:
        signs |= manner(a, b, _channels(left, pixels))
    return {"max_diff": largest, "rel_diff": relative, "signs": signs}


def _scales(a: Any) -> Any:
    """What each row's difference is relative to."""
    import numpy as np

    sizes = np.abs(a).max(axis=1)
    return np.maximum(sizes, SMALL_ROW * sizes.max()) if sizes.any() else np.ones_like(sizes)


def lined_up(a: Any, b: Any, *, pixels: bool = False) -> tuple[Any, Any, int]:
    """Both as (rows, width). Rows at the front of each tile that only one side has (CLS, registers) are left out."""
    if pixels:
        a, b = (array.reshape(len(array), -1) for array in (a, b))
        return (a, b, 0) if a.size != b.size else (a, b.reshape(a.shape), 0)
    flat = [array.reshape(-1, array.shape[-1]) for array in (a, b)]
    if (a.ndim < 3 and b.ndim < 3) or flat[0].shape == flat[1].shape or a.shape[-1] != b.shape[-1]:
        return flat[0], flat[1], 0
    tiles = len(a) if a.ndim == 3 else len(b)
    counts = [len(rows) // tiles for rows in flat]
    extra = counts[0] - counts[1]
    if any(len(rows) % tiles for rows in flat) or not 0 < abs(extra) <= MOST_FRONT_ROWS:
        return flat[0], flat[1], 0
    kept = min(counts)
    a, b = (rows.reshape(tiles, -1, rows.shape[-1])[:, -kept:].reshape(-1, rows.shape[-1]) for rows in flat)
    return a, b, extra


def _channels(array: Any, pixels: bool) -> int:
    """Channels of pixel values that lie as (tiles, channels, H, W); 1 elsewhere."""
    return array.shape[1] if pixels and array.ndim == 4 else 1


def manner(a: Any, b: Any, channels: int = 1) -> dict[str, Any]:
    """How `b` differs from `a`, both (rows, width): moved, scaled, shifted, in a few rows, or all over."""
    import numpy as np

    close = max(EXPLAINED * float(np.abs(a - b).max()), ROUNDING * float(np.abs(a).max()))
    signs: dict[str, Any] = {}
    wrong = np.abs(a - b).max(axis=1) > NOISE * _scales(a)
    if not wrong.all():
        signs["some_rows"] = [int(wrong.sum()), len(wrong), int(np.flatnonzero(wrong)[0])]
    if _same(np.sort(a, axis=None), np.sort(b, axis=None), close):
        signs["moved"] = "rows" if _same_rows(a, b, close) else "values"
    factor = float((a * b).sum() / max(float((a * a).sum()), 1e-30))
    if abs(factor - 1.0) > NOISE and _same(a * factor, b, close):
        signs["factor"] = factor
    if _same((b - a)[0][None], b - a, close) and len(a) > 1:
        signs["shift"] = True
    if channels > 1:
        signs |= {name: True for name, order in ORDERS.items() if _affine(a, b, range(channels)[::order], close)}
    alike = np.corrcoef(a.ravel(), b.ravel())[0, 1] if a.std() and b.std() else 0.0
    return {**signs, "alike": round(float(alike), 6)}


def _same(a: Any, b: Any, close: float) -> bool:
    import numpy as np

    return bool(np.abs(a - b).max() <= close)


def _same_rows(a: Any, b: Any, close: float) -> bool:
    """Whether the rows of both are the same up to their order."""
    import numpy as np

    probe = np.random.Generator(np.random.PCG64(0)).normal(size=a.shape[1])
    left, right = a[np.argsort(a @ probe)], b[np.argsort(b @ probe)]
    return _same(left, right, close)


def _affine(a: Any, b: Any, channels: Sequence[int], close: float) -> bool:
    """Whether each channel of (tiles, channels * H * W) is one of the other's by a factor and a shift."""
    import numpy as np

    left, right = (array.reshape(len(array), len(channels), -1) for array in (a, b))
    for channel, other in enumerate(channels):
        x, y = left[:, other].ravel(), right[:, channel].ravel()
        fit = np.polyfit(x, y, 1)
        if not _same(np.polyval(fit, x), y, close):
            return False
    return True

"""The places of one prompt as the compare worker lists them, all equal, and ways to make some differ."""

from __future__ import annotations

from collections.abc import Mapping

from porter.jsontypes import JSON, JSONObject

NOISE = 1e-6


def place(path: str, side: str, **more: JSON) -> JSONObject:
    shapes: JSON = [[1, 4, 8], [4, 8]]
    row: JSONObject = {"set": "normal", "prompt": "one tile", "path": path, "side": side, "point": None, "part": None}
    row |= {"block": None, "of": None, "whole": False, "kind": "", "shapes": shapes}
    row |= {"max_diff": NOISE, "rel_diff": NOISE, "signs": {}}
    return {**row, **more}


def layer(part: str, path: str, number: int, of: int) -> list[JSONObject]:
    inside: Mapping[str, JSON] = {"part": part, "block": number, "of": of}
    return [
        place(path, "in", whole=True, **inside),
        place(f"{path}.norm1", "in", kind="LayerNorm", **inside),
        place(f"{path}.norm1", "out", kind="LayerNorm", **inside),
        place(f"{path}.attn.qkv", "out", kind="Linear", **inside),
        place(f"{path}.attn.proj", "in", kind="Linear", **inside),
        place(f"{path}.attn.proj", "out", kind="Linear", **inside),
        place(f"{path}.norm2", "in", kind="LayerNorm", **inside),
        place(f"{path}.mlp.fc1", "out", kind="Linear", **inside),
        place(f"{path}.mlp.fc2", "in", kind="Linear", **inside),
        place(path, "out", whole=True, **inside),
    ]


def way() -> list[JSONObject]:
    """From the tower's first module to the last norm, in the order of the reference's calls."""
    return [
        place("llm.embed_tokens", "out", part="language_model", kind="Embedding"),
        place("vit", "in", part="tower"),
        place("vit.patch", "in", part="tower", kind="Conv2d", point="pixels"),
        place("vit.patch", "out", part="tower", kind="Conv2d"),
        *layer("tower", "vit.layers.0", 1, 2),
        *layer("tower", "vit.layers.1", 2, 2),
        place("vit", "out", part="tower"),
        place("mlp1", "in", part="connector"),
        place("mlp1.0", "in", part="connector", kind="LayerNorm", point="merged"),
        place("mlp1.0", "out", part="connector", kind="LayerNorm"),
        place("mlp1.1", "out", part="connector", kind="Linear"),
        place("mlp1.3", "in", part="connector", kind="Linear"),
        place("mlp1", "out", part="connector"),
        *layer("language_model", "llm.layers.0", 1, 1),
        place("llm.norm", "out", part="language_model", kind="RMSNorm"),
        place("vit", "out", part="tower", point="tapped"),
    ]


WRONG: Mapping[str, JSON] = {"max_diff": 0.5, "rel_diff": 0.1}


def differing(rows: list[JSONObject], *keys: str, **more: JSON) -> list[JSONObject]:
    """The rows, those at `SIDE PATH` off by far."""
    known = {f"{row['side']} {row['path']}" for row in rows}
    assert set(keys) <= known, set(keys) - known
    return [{**row, **WRONG, **more} if f"{row['side']} {row['path']}" in keys else row for row in rows]


def unseen(rows: list[JSONObject], *keys: str) -> list[JSONObject]:
    return differing(rows, *keys, shapes=[[1, 4, 8], None], max_diff=None, rel_diff=None)


def from_on(rows: list[JSONObject], start: str, *, but: tuple[str, ...] = ()) -> list[JSONObject]:
    """Everything from `SIDE PATH` on is off: how a mistake shows. What stands at `but` is left equal."""
    keys = [f"{row['side']} {row['path']}" for row in rows]
    first = keys.index(start)
    return differing(rows, *[key for key in keys[first:] if key not in but and key not in keys[:first]])

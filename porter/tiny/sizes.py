"""The shrinking rules as arithmetic: sizes of one part in, tiny sizes of the same structure out."""

from __future__ import annotations

from collections.abc import Mapping

HEAD_SIZES = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)
"""Attention head sizes that vLLM's CPU kernels take."""

TINY_WIDTH = 512
TINY_DEPTH = 4
VISION_HEAD = 16
TEXT_HEAD = HEAD_SIZES[0]
MAX_DEPTH = 8

Sizes = Mapping[str, int]


def is_tiny(old: Sizes) -> bool:
    """Small enough to be run as it is."""
    return old.get("hidden_size", 0) <= TINY_WIDTH and old.get("num_hidden_layers", 0) <= TINY_DEPTH


def rounded(value: float, step: int) -> int:
    return max(step, round(value / step) * step)


def tiny_heads(heads: int, kv_heads: int) -> tuple[int, int]:
    """Fewer heads with the same ratio of query to key-value heads; one shared head stays one."""
    ratio = max(1, heads // max(1, kv_heads))
    if ratio == 1:
        return min(heads, 4), min(heads, 4)
    kv = min(kv_heads, 2 if ratio <= 8 else 1)
    return kv * ratio, kv


def tiny_text(old: Sizes, depth: int, head_dim: int | None = None) -> dict[str, int]:
    """Tiny sizes of a decoder. `depth` layers are needed; `head_dim` overrides the smallest that the kernels take."""
    heads_old = old.get("num_attention_heads", 4)
    heads, kv = tiny_heads(heads_old, old.get("num_key_value_heads", heads_old))
    head_old = old.get("head_dim") or max(1, old.get("hidden_size", 0) // max(1, heads_old))
    head = head_dim or TEXT_HEAD
    hidden_old = old.get("hidden_size", heads_old * head_old)
    share = hidden_old / max(1, heads_old * head_old)
    hidden = heads * head if share == 1 else rounded(heads * head * share, 32)
    inner = rounded(hidden * old.get("intermediate_size", 2 * hidden_old) / max(1, hidden_old), 32)
    new = {"hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": head}
    return {**new, "intermediate_size": inner, "num_hidden_layers": depth}


def tiny_vision(old: Sizes, depth: int) -> dict[str, int]:
    """Tiny sizes of a vision transformer."""
    heads = min(old.get("num_attention_heads", 4), 4)
    hidden_old = old.get("hidden_size", heads * VISION_HEAD)
    hidden = heads * VISION_HEAD
    inner = rounded(hidden * old.get("intermediate_size", 2 * hidden_old) / max(1, hidden_old), 16)
    new = {"hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": heads}
    return {**new, "intermediate_size": inner, "num_hidden_layers": depth, "head_dim": VISION_HEAD}


def tiny_grid(patch: int, merge: int) -> int:
    """Side of the smallest image, in pixels, whose patch grid still has two merged cells a side."""
    return patch * max(1, merge) * 2


def sections(old: list[int], head_dim: int) -> list[int] | None:
    """Rope sections for another head size in the same proportions; None when they do not divide evenly."""
    total = sum(old)
    scaled = [part * (head_dim // 2) for part in old]
    if not total or any(part % total for part in scaled):
        return None
    return [part // total for part in scaled]


def moved_layer(index: int, depth_old: int, depth_new: int) -> int:
    """A tapped layer at the same distance from the end, for both signs."""
    if index < 0:
        return max(index, -depth_new)
    return max(1, depth_new - (depth_old - index))


def depth_for(tapped: list[int], depth_old: int) -> int:
    """Layers that keep every tapped layer distinct from the first and the last."""
    from_end = [(-index - 1) if index < 0 else depth_old - index for index in tapped]
    needed = max([distance + 2 for distance in from_end if distance + 2 <= MAX_DEPTH] or [2])
    return min(depth_old, max(2, needed)) if depth_old else max(2, needed)

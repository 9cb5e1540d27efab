"""What a fact's value can be at all: a file may state anything, and what no model can have is not known by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from porter.facts.model import Confidence, Fact
from porter.jsontypes import JSON

Holds = Callable[[JSON], bool]

LARGEST = 2**53
CHANNELS = 4


def is_count(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < LARGEST


def is_index(value: JSON) -> bool:
    return is_count(value) or (isinstance(value, int) and not isinstance(value, bool) and value == 0)


def is_size(value: JSON) -> bool:
    return is_count(value) or (isinstance(value, list) and len(value) == 2 and all(map(is_count, value)))


def is_number(value: JSON) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def is_ratio(value: JSON) -> bool:
    return isinstance(value, (int, float)) and is_number(value) and value > 0


def is_text(value: JSON) -> bool:
    return isinstance(value, str) and bool(value)


def is_flag(value: JSON) -> bool:
    return isinstance(value, bool)


def is_per_channel(value: JSON) -> bool:
    return isinstance(value, list) and 0 < len(value) <= CHANNELS and all(map(is_number, value))


def is_spread(value: JSON) -> bool:
    return isinstance(value, list) and is_per_channel(value) and all(map(is_ratio, value))


def is_layer(value: JSON) -> bool:
    items = value if isinstance(value, list) else [value]
    whole = all(isinstance(item, int) and not isinstance(item, bool) and abs(item) < LARGEST for item in items)
    return is_text(value) or (whole and bool(items))


COUNT, SIZE, TEXT = (is_count, "a whole number above 0"), (is_size, "a size"), (is_text, "a text")
KINDS: Mapping[str, tuple[Holds, str]] = {
    **dict.fromkeys(("tokens_per_tile", "min_tiles", "max_tiles", "merge_size", "min_pixels", "max_pixels"), COUNT),
    **dict.fromkeys(("image_size", "patch_size"), SIZE),
    **dict.fromkeys(("image_context_token", "image_start_token", "image_end_token", "image_placeholder"), TEXT),
    **dict.fromkeys(("architecture", "model_type", "pixel_shuffle", "resize_scheme", "tokens_formula"), TEXT),
    **dict.fromkeys(
        ("use_thumbnail", "rescale", "native_resolution", "tied_embeddings"), (is_flag, "either true or false")
    ),
    "image_context_token_id": (is_index, "the id of a token"),
    "downsample_ratio": (is_ratio, "a number above 0"),
    "image_mean": (is_per_channel, "a number per channel"),
    "image_std": (is_spread, "a number above 0 per channel"),
    "feature_layer": (is_layer, "a layer or a list of layers"),
}


def fault(name: str, value: JSON) -> str:
    """What the value would have to be; empty when it can be the fact's, or nothing is known about such values."""
    holds, wanted = KINDS.get(name, (None, ""))
    return "" if value is None or holds is None or holds(value) else wanted


def plausible(fact: Fact) -> Fact:
    """The fact, unknown where its value can be no model's; the evidence stays."""
    wanted = fault(fact.name, fact.value)
    if not wanted:
        return fact
    stated = fact.evidence[0].file if fact.evidence else "the code"
    note = f"{stated} states what is not {wanted}"
    return replace(fact, value=None, confidence=Confidence.UNKNOWN, note="; ".join(filter(None, (note, fact.note))))

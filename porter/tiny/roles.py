"""Where a config keeps its sizes, whatever the keys are called.

A role is the usual name of a size. Its place is, in this order: where the repo's own code reads it (`Hints.places`),
a key with a usual name, or the one key of the part whose value is the size that the facts state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from porter.facts.synonyms import spellings
from porter.jsontypes import JSONObject, as_int
from porter.tiny.document import Path

ALIASES: Mapping[str, tuple[str, ...]] = {
    "hidden_size": spellings("hidden_size"),
    "num_hidden_layers": spellings("num_hidden_layers"),
    "num_attention_heads": spellings("num_attention_heads"),
    "num_key_value_heads": ("num_key_value_heads", "num_kv_heads", "n_kv_heads", "n_head_kv", "multi_query_group_num"),
    "intermediate_size": spellings("intermediate_size"),
    "head_dim": ("head_dim", "kv_channels", "attention_head_dim"),
    "vocab_size": ("vocab_size", "padded_vocab_size"),
    "image_size": spellings("image_size"),
    "patch_size": spellings("patch_size"),
}
FEATURE_LAYER_KEYS = (
    *spellings("select_layer"),
    "feature_layers",
    "image_feature_layer",
    "deepstack_visual_indexes",
    "fullatt_block_indexes",
    "out_layers",
)


@dataclass(frozen=True, slots=True)
class Hints:
    """What the facts know of one part: `path` of its sub-dict in config.json (empty: top level), places, sizes."""

    path: Path
    places: Mapping[str, Path] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """Where the sizes of one part stand, and how large they are. A size that only the code states has no place."""

    path: Path
    places: Mapping[str, Path]
    sizes: Mapping[str, int]


def sub_dict(config: JSONObject, path: Path) -> JSONObject:
    value = _at(config, path)
    return value if isinstance(value, dict) else {}


def _by_alias(part: JSONObject, role: str) -> str | None:
    return next((key for key in ALIASES[role] if as_int(part.get(key)) is not None), None)


def _by_value(part: JSONObject, size: int | None, taken: set[str]) -> str | None:
    """The one free key that holds `size`; None when there are several or none."""
    if size is None or size < 2:
        return None
    found = [
        key for key, value in part.items() if key not in taken and as_int(value) == size and not key.endswith("_id")
    ]
    return found[0] if len(found) == 1 else None


def locate(config: JSONObject, hints: Hints) -> Part:
    """Every size of the part that `hints` describes, with its place when the config states it."""
    part = sub_dict(config, hints.path)
    places = {role: place for role, place in hints.places.items() if as_int(_at(config, place)) is not None}
    for role in ALIASES:
        key = None if role in places else _by_alias(part, role)
        if key is not None:
            places[role] = (*hints.path, key)
    taken = {place[-1] for place in places.values()}
    for role in ALIASES:
        key = None if role in places else _by_value(part, hints.sizes.get(role), taken)
        if key is not None:
            places[role] = (*hints.path, key)
            taken.add(key)
    stated = {role: as_int(_at(config, place)) for role, place in places.items()}
    sizes = {**hints.sizes, **{role: size for role, size in stated.items() if size is not None}}
    return Part(hints.path, places, sizes)


def _at(config: JSONObject, place: Path) -> object:
    value: object = config
    for step in place:
        value = value.get(step) if isinstance(value, dict) else None
    return value

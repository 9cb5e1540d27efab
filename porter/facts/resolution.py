"""How large images are: size, patches, merging, native resolution with its bounds, tile grids; every place that
states one compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from porter.facts.bound_calls import resized_to
from porter.facts.configs import Configs, Found, evidence, found_from, from_nested
from porter.facts.image_functions import code_value
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.token_roles import words_of
from porter.facts.towers import read_value
from porter.jsontypes import JSON
from porter.source.values import plain

MERGE_KEYS = (
    *("merge_size", "spatial_merge_size", "merge_kernel_size", "image_merge_size", "patch_merge_size"),
    *("temporal_patch_merge_size", "pixel_unshuffle_size"),
)
AREAS = {"min_pixels": ("min_pixels", "min_image_pixels"), "max_pixels": ("max_pixels", "max_image_pixels")}
LIMITS = {"min_pixels": ("min_tokens",), "max_pixels": ("in_token_limit", "max_tokens")}
EDGES = {"min_pixels": "shortest_edge", "max_pixels": "longest_edge"}
GRIDS = ("image_grid_pinpoints", "candidate_resolutions", "possible_resolutions", "image_grid_resolutions")
PATCH_KEYS = ("patch_size", "image_patch_size", "vision_patch_size", "vit_patch_size")
NATIVE_WORDS = ("image_grid_thw", "image_grid_hws", "grid_thw", "grid_hws", "image_grid_hw", "pixel_position_ids")
NAMES_OF_TOWERS = ("vision_tower", "vision_encoder", "vision_tower_name", "vision_model_name", "model_name", "vit_name")
TILES = {"min_tiles": "min_dynamic_patch", "max_tiles": "max_dynamic_patch"}
MAX_AREA = 4096
"""A longest edge above this counts the pixels of an area."""


def size_facts(configs: Configs) -> list[Fact]:
    """image_size and patch_size."""
    return [_image_size(configs), _patch_size(configs)]


def fact_of(configs: Configs, name: str, found: Found | None, note: str = "") -> Fact:
    """A value that was found, as sure as its place makes it; unknown when there is none."""
    if found is None or found.value is None:
        attribute = {"image_size": "force_image_size", **TILES}.get(name, name)
        return Fact(name, None, Confidence.UNKNOWN, note=note or configs.ignored.get(attribute, ""))
    sure = configs.confidence(found)
    if note and sure is Confidence.CERTAIN:
        sure = Confidence.LIKELY
    unread = "no code of the repo reads it" if found.unread else ""
    text = "; ".join(part for part in (note, found.note, unread) if part)
    return Fact(name, found.value, sure, evidence(found.sources), note=text)


def _image_size(configs: Configs) -> Fact:
    name = "image_size"
    image = configs.find("model", "force_image_size")
    value = read_value(configs.code.run, configs.vision, ("image_size", "img_size", "input_size"))
    tower = found_from(value) if value is not None else configs.find("vision", name)
    chosen = image or tower
    if chosen is None or chosen.value is None:
        made = resized_to(configs)
        return fact_of(configs, name, made) if made else _named(configs, name) or fact_of(configs, name, None)
    if tower is not None and chosen.sources == tower.sources:
        cut = code_value(configs, "force_image_size")
        differs = cut is not None and cut.value != chosen.value
        said = f"; an image function's default is {cut.value}" if differs and cut is not None else ""
        return fact_of(configs, name, chosen, f"stated for the tower alone{said}")
    if tower is None or tower.value == chosen.value:
        return fact_of(configs, name, chosen)
    where = chosen.path or (chosen.sources[0].where if chosen.sources else "the first")
    note = f"the tower's own image size is {tower.value}; {where} wins: images are made that size"
    return replace(fact_of(configs, name, chosen, note), confidence=Confidence.LIKELY)


def _patch_size(configs: Configs) -> Fact:
    found = configs.find("vision", "patch_size") or configs.known.get("patch_size")
    if found is None:
        found = configs.lookup(PATCH_KEYS)
        found = replace(found, sure=False) if found is not None and found.path is None else found
    if found is None:
        nested = from_nested(configs)
        value = read_value(configs.code.run, nested, ("patch_size",))
        found = replace(found_from(value), sure=False) if value is not None else None
    if found is not None:
        return fact_of(configs, "patch_size", found)
    return _named(configs, "patch_size") or Fact("patch_size", None, Confidence.UNKNOWN)


def _named(configs: Configs, name: str) -> Fact | None:
    """A guess from the name of the tower's checkpoint: `clip-vit-large-patch14-336`."""
    for key, text in _tower_names(configs.snapshot.config(), "", 2):
        words = words_of(text)
        patch = next((int(word[5:7]) for word in words if word.startswith("patch") and word[5:].isdecimal()), None)
        side = next((int(word) for word in reversed(words) if word.isdecimal() and 160 <= int(word[:5]) <= 2048), None)
        value = patch if name == "patch_size" else side
        if value is not None and patch is not None:
            shown = (Evidence("config.json", key, text[:80]),)
            return Fact(name, value, Confidence.GUESS, shown, note="by the name of the tower's checkpoint")
    return None


def _tower_names(config: Mapping[str, JSON], path: str, depth: int) -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        place = f"{path}.{key}" if path else key
        if isinstance(value, str) and key.removeprefix("mm_") in NAMES_OF_TOWERS and len(value) < 200:
            yield place, value
        elif isinstance(value, dict) and depth:
            yield from _tower_names(value, place, depth - 1)


def native_facts(configs: Configs, facts: Mapping[str, Fact]) -> list[Fact]:
    """merge_size, min_pixels, max_pixels, native_resolution, image_grid_pinpoints."""
    merge = _merge(configs)
    bounds = [_bound(configs, name, facts, merge) for name in AREAS]
    grids = configs.lookup(GRIDS)
    pinpoints = fact_of(configs, "image_grid_pinpoints", grids)
    return [merge, *bounds, pinpoints, _native(configs, facts, merge, bounds, pinpoints)]


def _merge(configs: Configs) -> Fact:
    found = configs.lookup(MERGE_KEYS)
    value = found.value if found is not None else None
    sides = value if isinstance(value, list) else [value]
    whole = [side for side in sides if isinstance(side, int) and not isinstance(side, bool) and 0 < side < 64]
    if found is None or len(whole) != len(sides) or len(set(whole)) != 1:
        return Fact("merge_size", None, Confidence.UNKNOWN)
    return fact_of(configs, "merge_size", replace(found, value=whole[0]))


def _bound(configs: Configs, name: str, facts: Mapping[str, Fact], merge: Fact) -> Fact:
    """Stated as an area, as an edge of `size` that can only be one, or as a number of patches."""
    stated = configs.lookup(AREAS[name]) or _edge(configs, name)
    if stated is not None and _whole(stated.value):
        return fact_of(configs, name, stated)
    patch = facts["patch_size"].value
    limit = configs.lookup(LIMITS[name])
    if limit is None or not _whole(limit.value) or not isinstance(limit.value, int) or not isinstance(patch, int):
        return Fact(name, None, Confidence.UNKNOWN)
    key = limit.sources[0].where if limit.sources else ""
    side = patch * (merge.value if key.endswith("tokens") and isinstance(merge.value, int) else 1)
    note = f"{key} {limit.value} of {side} x {side} pixels"
    return Fact(name, limit.value * side * side, Confidence.LIKELY, evidence(limit.sources), note=note)


def _whole(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**40


def _edge(configs: Configs, name: str) -> Found | None:
    for _, values in configs.processor_files():
        size = plain(values.get("size"))
        longest = size.get("longest_edge") if isinstance(size, dict) else None
        if isinstance(size, dict) and isinstance(longest, int) and longest > MAX_AREA * 4 and EDGES[name] in size:
            return replace(found_from(values["size"]), value=size[EDGES[name]], sure=False)
    return None


def _native(configs: Configs, facts: Mapping[str, Fact], merge: Fact, bounds: list[Fact], pinpoints: Fact) -> Fact:
    """Whether images keep their own size: patch limits say so; tiles, pinpoints or one fixed square deny it."""
    name = "native_resolution"
    limits = [fact for fact in bounds if fact.value is not None]
    tiles = facts["max_tiles"]
    cut = isinstance(tiles.value, int) and tiles.value > 1 and isinstance(facts["image_size"].value, int)
    sliced = any("slice" in shown.where for shown in tiles.evidence)
    if pinpoints.value is not None or (cut and not sliced):
        shown = pinpoints.evidence or tiles.evidence
        return Fact(name, False, Confidence.LIKELY, shown, note="images are cut to a grid of tiles")
    if limits:
        return Fact(name, True, Confidence.LIKELY, limits[-1].evidence, note="only the number of pixels is bounded")
    words = next((word for word in NATIVE_WORDS if configs.speaks_of(word)), None)
    if words is not None and facts["image_size"].value is None:
        shown = (Evidence("remote code", words, words),)
        return Fact(name, True, Confidence.LIKELY, merge.evidence or shown, note=f"the code passes {words}")
    scheme = facts["resize_scheme"]
    if scheme.value == "single" and facts["image_size"].value is not None:
        return Fact(name, False, Confidence.LIKELY, scheme.evidence, note="every image is made one size")
    return Fact(name, None, Confidence.UNKNOWN)

"""How many tokens stand for one tile, and by which formula: from the arrangement that the code gives, as a file
states it, or by the sizes."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from porter.facts.configs import Configs, Found, evidence, found_from
from porter.facts.features import FeaturePath
from porter.facts.model import Confidence, Fact
from porter.facts.synonyms import TILE_TOKENS
from porter.jsontypes import JSON
from porter.source.values import from_json

GRID = "(image_size // patch_size)^2 * downsample_ratio^2"
UNMERGED = "(height // patch_size) * (width // patch_size)"
NATIVE = "(height // patch_size // merge_size) * (width // patch_size // merge_size)"
STATED = (
    *TILE_TOKENS,
    *("query_num", "num_query", "num_queries", "num_query_tokens", "image_feature_size", "num_visual_tokens"),
)
SIDES = ("image_token_length_h", "image_token_length_w")


def count_facts(configs: Configs, facts: Mapping[str, Fact], path: FeaturePath | None) -> list[Fact]:
    """tokens_per_tile and tokens_formula."""
    seen, stated = _followed(path), _stated(configs)
    if facts["native_resolution"].value is True:
        return _native(facts)
    if seen is not None and path is not None and not _of_another_size(path, facts):
        return _from_code(seen, path, stated, facts)
    computed = _computed(facts)
    if stated is not None:
        return _from_file(stated, computed)
    if computed is not None:
        return _by_sizes(computed, facts)
    return [Fact("tokens_per_tile", None, Confidence.UNKNOWN), Fact("tokens_formula", None, Confidence.UNKNOWN)]


def _native(facts: Mapping[str, Fact]) -> list[Fact]:
    shown = facts["native_resolution"].evidence
    formula = NATIVE if isinstance(facts["merge_size"].value, int) else UNMERGED
    note = "images keep their size: every image has its own number"
    return [
        Fact("tokens_per_tile", None, Confidence.UNKNOWN, shown, note=note),
        Fact("tokens_formula", formula, Confidence.LIKELY, shown),
    ]


def _from_file(stated: Found, computed: int | None) -> list[Fact]:
    key, shown = stated.sources[0].where, evidence(stated.sources)
    differs = computed is not None and computed != stated.value
    note = f"the sizes give {computed} ({GRID}); {key} wins: it is stated" if differs else ""
    formula = GRID if computed == stated.value else " * ".join(SIDES) if len(stated.sources) > 1 else key
    return [
        Fact("tokens_per_tile", stated.value, Confidence.LIKELY, shown, note=note),
        Fact("tokens_formula", formula, Confidence.LIKELY, shown),
    ]


def _by_sizes(computed: int, facts: Mapping[str, Fact]) -> list[Fact]:
    used = [facts[name] for name in ("image_size", "patch_size", "downsample_ratio")]
    sure = max([Confidence.LIKELY, *(fact.confidence for fact in used)], key=list(Confidence).index)
    shown = tuple(fact.evidence[0] for fact in used if fact.evidence)
    return [Fact("tokens_per_tile", computed, sure, shown, note=GRID), Fact("tokens_formula", GRID, sure, shown)]


def _followed(path: FeaturePath | None) -> int | None:
    """The number of tokens at the end of the way through the code, where that end is the connector's."""
    if path is None or len(path.features.axes) < 2 or not path.features.steps or path.lost:
        return None
    if path.tower.shape is None or path.tower.shape.nominal:
        return None
    return prod(path.features.shape[:-1])


def _of_another_size(path: FeaturePath, facts: Mapping[str, Fact]) -> bool:
    """Whether the code was followed with the grid of the tower's stored positions, and tiles have another."""
    size, patch, shape = facts["image_size"].value, facts["patch_size"].value, path.tower.shape
    if shape is None or not isinstance(size, int) or not isinstance(patch, int) or patch <= 0:
        return False
    return shape.grid != size // patch


def _from_code(count: int, path: FeaturePath, stated: Found | None, facts: Mapping[str, Fact]) -> list[Fact]:
    shown = evidence(path.sources)
    differs = stated is not None and stated.value != count
    notes = [f"{stated.sources[0].where} says {stated.value}; the code wins"] if differs and stated is not None else []
    formula = GRID if _computed(facts) == count else None
    sure = Confidence.LIKELY if path.lost or path.opaque or notes else Confidence.CERTAIN
    what = formula or f"the code leaves {count} of the tower's tokens"
    known = Confidence.LIKELY if formula else Confidence.UNKNOWN
    return [
        Fact("tokens_per_tile", count, sure, shown, note="; ".join([what, *notes])),
        Fact("tokens_formula", formula, known, shown, note="" if formula else what),
    ]


def _computed(facts: Mapping[str, Fact]) -> int | None:
    size, patch, ratio = (facts[name].value for name in ("image_size", "patch_size", "downsample_ratio"))
    numbers = all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in (size, patch, ratio))
    if not numbers or not isinstance(size, int) or not isinstance(patch, int) or not isinstance(ratio, (int, float)):
        return None
    if not 0 < patch <= size < 2**20 or not 0 < ratio <= 1:
        return None
    return int((size // patch) ** 2 * ratio**2)


def _stated(configs: Configs) -> Found | None:
    """A count under one of its usual keys, a number of learned queries, or both sides of a grid."""
    for key in STATED:
        found = configs.lookup((key,)) or _deeper(configs, key)
        if found is not None and _count(found.value):
            return found
    sides = [configs.lookup((key,)) for key in SIDES]
    values = [side.value for side in sides if side is not None and _count(side.value)]
    if len(values) == 2 and isinstance(values[0], int) and isinstance(values[1], int):
        places = tuple(source for side in sides if side is not None for source in side.sources[:1])
        return Found(values[0] * values[1], places)
    return None


def _deeper(configs: Configs, key: str) -> Found | None:
    """One level down in config.json, in whatever object an image processor is described by."""
    for name, inner in configs.snapshot.config().items():
        visual = any(word in name for word in ("im", "vis", "resampl", "abstract"))
        if visual and isinstance(inner, dict) and key in inner:
            return found_from(from_json(inner[key], "config.json", f"{name}.{key}"))
    return None


def _count(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 100_000

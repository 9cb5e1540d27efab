"""What most often makes a stage differ, likeliest first: a table over the stage, the spot in it and the signs. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from porter.jsontypes import JSON
from porter.proof.stages import STAGES, Inside, Place, Stage

MOST = 3
FAR = 20.0
"""Relative: no mean and no std is that far from another one."""
TINY_TILE = "tiny_tokens_per_tile"
"""Among the facts: tokens of one tile in the model that was compared."""
Spot = Literal["norm", "conv", "linear", "attention", "activation", "residual", "between", ""]
ATTENTION_WORDS = ("attn", "attention")
FUSED_WORDS = ("qkv", "in_proj", "wqkv", "query_key_value")


@dataclass(frozen=True, slots=True)
class Case:
    """A difference as the table sees it."""

    stage: Stage
    spot: Spot
    facts: Mapping[str, JSON] = field(default_factory=dict)

    def sign(self, name: str) -> JSON:
        inside = self.stage.inside.place.signs if self.stage.inside else None
        found = (inside or {}).get(name)
        return self.stage.signs.get(name) if found is None else found

    @property
    def path(self) -> str:
        return self.stage.inside.place.path if self.stage.inside else ""

    @property
    def alike(self) -> float:
        value = self.sign("alike")
        return float(value) if isinstance(value, (int, float)) else 0.0

    @property
    def rows(self) -> tuple[int, int] | None:
        """How many rows the reference and vLLM have, where the numbers differ."""
        rows = self.sign("rows")
        known = [item for item in rows if isinstance(item, int)] if isinstance(rows, list) else []
        return (known[0], known[1]) if len(known) == 2 and known[0] != known[1] else None


@dataclass(frozen=True, slots=True)
class Cause:
    """Holds for some stages when the case says so. `fact` is the one to check, or to set."""

    stages: str | tuple[str, ...]
    holds: Callable[[Case], bool]
    text: str
    fact: str = ""

    @property
    def of(self) -> tuple[str, ...]:
        return (self.stages,) if isinstance(self.stages, str) else self.stages


def spot(*names: Spot) -> Callable[[Case], bool]:
    return lambda case: case.spot in names


def signed(*names: str) -> Callable[[Case], bool]:
    return lambda case: any(case.sign(name) for name in names)


def moved_rows(case: Case) -> bool:
    return case.sign("moved") == "rows"


def missing_rows(case: Case) -> bool:
    return case.rows is not None


def any_case(_: Case) -> bool:
    return True


def whole_tiles(case: Case) -> bool:
    """The numbers of prompt tokens are whole tiles apart."""
    tile = case.facts.get(TINY_TILE) or case.facts.get("tokens_per_tile")
    return case.rows is not None and isinstance(tile, int) and tile > 1 and (case.rows[0] - case.rows[1]) % tile == 0


def few_tokens(case: Case) -> bool:
    return case.rows is not None and abs(case.rows[0] - case.rows[1]) <= 4


def fused(case: Case) -> bool:
    return case.spot == "linear" and any(word in case.path.lower() for word in FUSED_WORDS)


def lost_bias(case: Case) -> bool:
    return case.spot == "linear" and bool(case.sign("shift"))


def far_off(case: Case) -> bool:
    return (case.stage.rel_diff or 0.0) > FAR


def resampled(case: Case) -> bool:
    return case.alike > 0.9


def in_residual(case: Case) -> bool:
    return case.stage.layer is not None and case.spot in ("residual", "between")


def features_only(case: Case) -> bool:
    """The connector's own answer is equal, what the model makes of it is not."""
    return case.path == "features" and case.stage.inside is not None and case.stage.inside.after is not None


def after_layers(case: Case) -> bool:
    return case.stage.layer is None


IDS, PIXELS, PATCHES, TOWER, MERGE, CONNECTOR, MERGED, DECODER = STAGES
LAYERED = (TOWER, DECODER)
COMPUTED = (TOWER, CONNECTOR, DECODER)

TABLE: tuple[Cause, ...] = (
    Cause(
        IDS, whole_tiles, "the number of tiles: thumbnail, min_tiles, max_tiles, or the grid chosen", "use_thumbnail"
    ),
    Cause(IDS, few_tokens, "start and end tokens, or a CLS token counted", "image_start_token"),
    Cause(IDS, missing_rows, "tokens per tile: image size, patch size, merge ratio", "tokens_per_tile"),
    Cause(IDS, any_case, "the id of the image context token", "image_context_token_id"),
    Cause(IDS, any_case, "the tokens around an image, or what separates tiles and rows", "image_start_token"),
    Cause(PIXELS, missing_rows, "the number of tiles: thumbnail, min_tiles, max_tiles, the grid", "use_thumbnail"),
    Cause(PIXELS, moved_rows, "tile order: rows before columns, thumbnail first or last", "use_thumbnail"),
    Cause(PIXELS, far_off, "rescaling by 1/255: missing, or done twice", "image_mean"),
    Cause(PIXELS, signed("channels"), "channel order: RGB against BGR"),
    Cause(PIXELS, signed("affine"), "mean and std: swapped, or those of another model", "image_mean"),
    Cause(PIXELS, signed("factor", "shift"), "rescaling by 1/255, or mean and std applied twice", "image_mean"),
    Cause(PIXELS, signed("moved"), "channel order (RGB, BGR), or h and w swapped"),
    Cause(PIXELS, resampled, "the resampling filter (bicubic, bilinear, lanczos), or its antialiasing", "resample"),
    Cause(PIXELS, signed("some_rows"), "the tiles that differ: their order, the grid, the thumbnail", "max_tiles"),
    Cause(PIXELS, any_case, "mean and std, the resampling filter, crop or pad, h and w swapped", "image_mean"),
    Cause(PATCHES, missing_rows, "the CLS token: in one of the two only"),
    Cause(PATCHES, spot("conv"), "the patch convolution: its bias, or the order of the kernel's axes when flattened"),
    Cause(PATCHES, spot("norm"), "the norm before the layers (pre_layrnorm): its epsilon or its place"),
    Cause(PATCHES, any_case, "position embeddings: their order, interpolation, or the row of the CLS token"),
    Cause(PATCHES, any_case, "the CLS token, or a norm before the layers (pre_layrnorm)"),
    Cause(TOWER, signed("tapped"), "the feature layer: another layer's output is taken", "feature_layer"),
    Cause(COMPUTED, spot("norm"), "the norm: its epsilon, RMSNorm for LayerNorm, or another norm's weight"),
    Cause(COMPUTED, fused, "q, k and v: their order or interleaving in the fused tensor, a swapped pair, or the bias"),
    Cause(COMPUTED, lost_bias, "a bias lost: every row is off by the same"),
    Cause(COMPUTED, spot("linear"), "the linear: its bias lost, or the weight of another layer"),
    Cause(DECODER, spot("attention"), "rope: theta, scaling, sections or style (interleaved), positions"),
    Cause(DECODER, spot("attention"), "q, k and v: a swapped pair, bias, q/k norm, heads, scale, sliding window"),
    Cause(TOWER, spot("attention"), "q, k and v: a swapped pair, their order in the fused tensor, the bias (qkv_bias)"),
    Cause(TOWER, spot("attention"), "attention: heads, scale, rope (theta, h and w swapped), q/k norm, window"),
    Cause(DECODER, spot("activation"), "the activation, or gate and up (fc1 and fc3, w1 and w3) swapped"),
    Cause((TOWER, CONNECTOR), spot("activation"), "the activation: exact GELU, tanh GELU, quick GELU or SiLU"),
    Cause(LAYERED, in_residual, "the residual: layer scale, norm before or after, a residual dropped"),
    Cause(CONNECTOR, features_only, "what is done after the connector: order of tiles and rows, separators, newlines"),
    Cause(CONNECTOR, spot("residual", "between"), "what stands between the connector's layers, or their order"),
    Cause(TOWER, after_layers, "the norm after the layers: applied in one of the two only"),
    Cause(TOWER, after_layers, "the feature layer", "feature_layer"),
    Cause(LAYERED, spot(""), "the layer itself: left out, not loaded, or made of other modules"),
    Cause(TOWER, any_case, "the tower's config as vLLM sees it: heads, norm epsilon, activation, feature layer"),
    Cause(MERGE, missing_rows, "the CLS token dropped, kept, or taken from a tower that has none"),
    Cause(MERGE, missing_rows, "the merge ratio", "downsample_ratio"),
    Cause(MERGE, signed("moved"), "the pixel shuffle: its version (v1, v2), or h and w swapped", "pixel_shuffle"),
    Cause(MERGE, any_case, "the CLS token dropped or kept, so that every row is the next one's"),
    Cause(MERGE, any_case, "the pixel shuffle: version, ratio, order of h, w and channels", "pixel_shuffle"),
    Cause(MERGE, any_case, "the feature layer, or the norm after the tower's layers", "feature_layer"),
    Cause(CONNECTOR, any_case, "the connector's layers: epsilon, activation, bias", "connector"),
    Cause(MERGED, missing_rows, "the number of image tokens, or separators added after the connector"),
    Cause(MERGED, signed("factor"), "the scale of the embeddings (a decoder that multiplies them)"),
    Cause(MERGED, signed("moved"), "the order of images, tiles or rows of features"),
    Cause(MERGED, any_case, "where features go: the context token's id, the order of tiles", "image_context_token_id"),
    Cause(MERGED, any_case, "tokens around the image, or embeddings that are scaled or normalised"),
    Cause(DECODER, after_layers, "the last norm, the head (tied or not), the scale of the logits", "tied_embeddings"),
    Cause(DECODER, any_case, "the decoder's config as vLLM sees it: rope, norm epsilon, sliding window, ties"),
)


def causes(stage: Stage, facts: Mapping[str, JSON] | None = None) -> tuple[str, ...]:
    """The likeliest causes of a stage's difference; `facts` are values by name, shown where one is to be checked."""
    case = Case(stage, spot_of(stage.inside), facts or {})
    found = [cause for cause in TABLE if stage.name in cause.of and cause.holds(case)]
    return tuple(dict.fromkeys(_shown(cause, case.facts) for cause in found[:MOST]))


def _shown(cause: Cause, facts: Mapping[str, JSON]) -> str:
    value = facts.get(cause.fact)
    simple = isinstance(value, (str, int, float, bool)) or (isinstance(value, list) and len(value) <= 3)
    return f"{cause.text} (fact {cause.fact}: {json.dumps(value)})" if cause.fact and simple else cause.text


def spot_of(inside: Inside | None) -> Spot:
    """The kind of computation in which the first difference came up."""
    if inside is None:
        return ""
    place, kind = inside.place, inside.place.kind.lower()
    if place.side == "out":
        return _of_module(place, kind)
    parent = place.path.rpartition(".")[0].lower()
    if any(word in parent for word in ATTENTION_WORDS) and inside.after is not None:
        return "attention"
    before = inside.after
    if before is not None and "linear" in before.kind.lower() and "norm" not in kind:
        return (
            "activation"
            if before.path.rpartition(".")[0].lower() == parent or not _in_attention(before)
            else "residual"
        )
    return "residual" if "norm" in kind else "between"


def _in_attention(place: Place) -> bool:
    return any(word in place.path.lower() for word in ATTENTION_WORDS)


def _of_module(place: Place, kind: str) -> Spot:
    """A module whose input is equal and whose output is not."""
    if place.whole or not kind:
        return "residual" if place.whole else "between"
    kinds: tuple[tuple[str, Spot], ...] = (("norm", "norm"), ("conv", "conv"), ("linear", "linear"))
    return next((spot for word, spot in kinds if word in kind), "between")

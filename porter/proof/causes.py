"""What most often makes a stage differ, likeliest first: a table over the stage, the spot in it and the signs. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from porter.jsontypes import JSON
from porter.proof.stages import Inside, Place, Stage

MOST = 3
SMALL = 0.05
"""Relative; an epsilon or the kind of a GELU stays below it, a swapped tensor does not."""

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
        return self.stage.signs.get(name)

    @property
    def path(self) -> str:
        return self.stage.inside.place.path if self.stage.inside else ""

    @property
    def alike(self) -> float:
        value = self.sign("alike")
        return float(value) if isinstance(value, (int, float)) else 0.0

    @property
    def small(self) -> bool:
        return self.stage.rel_diff is not None and self.stage.rel_diff < SMALL

    @property
    def rows(self) -> tuple[int, int] | None:
        """How many rows the reference and vLLM have, where the numbers differ."""
        rows = self.sign("rows")
        known = [item for item in rows if isinstance(item, int)] if isinstance(rows, list) else []
        return (known[0], known[1]) if len(known) == 2 and known[0] != known[1] else None

    def fact(self, name: str) -> float | None:
        value = self.facts.get(name)
        return value if isinstance(value, (int, float)) else None


@dataclass(frozen=True, slots=True)
class Cause:
    """Holds for a stage when the case says so. `fact` is the one to check, or to set."""

    stage: str
    holds: Callable[[Case], bool]
    text: str
    fact: str = ""


def at(*spots: Spot) -> Callable[[Case], bool]:
    return lambda case: case.spot in spots


def signed(*names: str) -> Callable[[Case], bool]:
    return lambda case: any(case.sign(name) for name in names)


def missing_rows(case: Case) -> bool:
    return case.rows is not None


def any_case(case: Case) -> bool:
    return True


def whole_tiles(case: Case) -> bool:
    """Whether the numbers of prompt tokens are whole tiles apart."""
    tile = case.fact("tokens_per_tile")
    return case.rows is not None and bool(tile) and (case.rows[0] - case.rows[1]) % int(tile or 1) == 0


def one_token_off(case: Case) -> bool:
    return case.rows is not None and abs(case.rows[0] - case.rows[1]) <= 4


def fused(case: Case) -> bool:
    return case.spot == "linear" and any(word in case.path.lower() for word in FUSED_WORDS)


def small_linear(case: Case) -> bool:
    return case.spot == "linear" and not fused(case)


def resampled(case: Case) -> bool:
    return case.alike > 0.9


def early(case: Case) -> bool:
    """In the first layer of a stack."""
    return case.stage.layer is not None and case.stage.layer[0] == 1


EPSILON = "the norm: its epsilon, RMSNorm for LayerNorm, or another norm's weight"
FUSED = "q, k and v: their order or interleaving in the fused tensor, a swapped pair, or the bias (qkv_bias)"
ACTIVATION = "the activation between the two linears: exact GELU, tanh GELU, quick GELU or SiLU"
GATED = "the activation, or gate and up (fc1 and fc3, w1 and w3) swapped in the fused tensor"
LINEAR = "the linear: its bias lost, or the weight of another layer"
RESIDUAL = "what is added to the residual: layer scale, norm order (before or after), a dropped residual"

TABLE: tuple[Cause, ...] = (
    Cause(
        "prompt ids",
        whole_tiles,
        "the number of tiles: thumbnail, min_tiles, max_tiles, or the grid chosen",
        "use_thumbnail",
    ),
    Cause("prompt ids", one_token_off, "start and end tokens, or a CLS token counted", "image_start_token"),
    Cause("prompt ids", missing_rows, "tokens per tile: image size, patch size, merge ratio", "tokens_per_tile"),
    Cause("prompt ids", any_case, "the id of the image context token", "image_context_token_id"),
    Cause(
        "prompt ids", any_case, "the tokens around an image, or what separates its tiles and rows", "image_start_token"
    ),
    Cause(
        "pixel values", missing_rows, "the number of tiles: thumbnail, min_tiles, max_tiles, the grid", "use_thumbnail"
    ),
    Cause("pixel values", lambda case: case.sign("moved") == "rows", "tile order: rows before columns, thumbnail last"),
    Cause("pixel values", signed("affine"), "mean and std: swapped, or those of another model", "image_mean"),
    Cause("pixel values", signed("factor", "shift"), "rescaling by 1/255, or mean and std applied twice", "image_mean"),
    Cause("pixel values", lambda case: case.sign("moved") == "values", "channel order (RGB, BGR), or h and w swapped"),
    Cause(
        "pixel values", resampled, "the resampling filter (bicubic, bilinear, lanczos) or its antialiasing", "resample"
    ),
    Cause(
        "pixel values",
        signed("some_rows"),
        "the tiles that differ: tile order, the grid, or the thumbnail",
        "max_tiles",
    ),
    Cause("pixel values", any_case, "mean and std, the resampling filter, crop or pad, h and w swapped", "image_mean"),
    Cause("patch embed", missing_rows, "the CLS token: in one of the two only"),
    Cause(
        "patch embed", at("conv"), "the patch convolution: its bias, or the order of the kernel's axes when flattened"
    ),
    Cause("patch embed", at("norm"), "the norm before the layers (pre_layrnorm): its epsilon or its place"),
    Cause("patch embed", any_case, "position embeddings: their order, interpolation, or the row of the CLS token"),
    Cause("patch embed", any_case, "the CLS token, or a norm before the layers (pre_layrnorm)"),
    Cause("tower", signed("tapped"), "the feature layer: another layer's output is taken", "feature_layer"),
    Cause("tower", at("norm"), EPSILON),
    Cause("tower", fused, FUSED),
    Cause("tower", at("attention"), FUSED),
    Cause(
        "tower", at("attention"), "attention: number of heads, scale, rope (theta, h and w swapped), q/k norm, window"
    ),
    Cause("tower", at("activation"), ACTIVATION),
    Cause("tower", small_linear, LINEAR),
    Cause("tower", at("residual", "between"), RESIDUAL),
    Cause("tower", lambda case: case.stage.layer is None, "the norm after the layers: applied in one of the two only"),
    Cause("tower", lambda case: case.stage.layer is None, "the feature layer", "feature_layer"),
    Cause("tower", missing_rows, "the CLS token"),
    Cause("merge", missing_rows, "the CLS token dropped, kept, or taken from a tower that has none"),
    Cause("merge", missing_rows, "the merge ratio", "downsample_ratio"),
    Cause("merge", signed("moved"), "the pixel shuffle: its version (v1, v2), or h and w swapped", "pixel_shuffle"),
    Cause("merge", any_case, "the pixel shuffle: version, ratio, order of h, w and channels", "pixel_shuffle"),
    Cause("merge", any_case, "the feature layer, or the norm after the tower's layers", "feature_layer"),
    Cause(
        "connector",
        at("norm"),
        "the connector's norm: its epsilon, or a kind of norm that the repo does not use",
        "connector",
    ),
    Cause("connector", at("activation"), ACTIVATION, "connector"),
    Cause("connector", signed("shift"), "a bias lost in the connector", "connector"),
    Cause("connector", at("linear"), LINEAR, "connector"),
    Cause(
        "connector",
        at("between", "residual"),
        "what stands between the connector's layers, or their order",
        "connector",
    ),
    Cause("connector", any_case, "the connector's layers: epsilon, activation, bias", "connector"),
    Cause("merged embeddings", missing_rows, "the number of image tokens, or separators added after the connector"),
    Cause("merged embeddings", signed("factor"), "the scale of the embeddings (a decoder that multiplies them)"),
    Cause("merged embeddings", signed("moved"), "the order of images, tiles or rows of features"),
    Cause(
        "merged embeddings",
        any_case,
        "where features go: the id of the context token, the order of tiles",
        "image_context_token_id",
    ),
    Cause("merged embeddings", any_case, "tokens around the image, or embeddings that are scaled or normalised"),
    Cause("language model", at("norm"), EPSILON),
    Cause("language model", fused, FUSED),
    Cause("language model", at("attention"), "rope: theta, scaling, sections or style (interleaved), positions"),
    Cause(
        "language model", at("attention"), "q, k and v: a swapped pair, bias, q/k norm, heads, scale, sliding window"
    ),
    Cause("language model", at("activation"), GATED),
    Cause("language model", small_linear, LINEAR),
    Cause("language model", at("residual", "between"), RESIDUAL),
    Cause(
        "language model",
        lambda case: case.stage.layer is None,
        "the last norm, the head (tied or not), or the scale of the logits",
        "tied_embeddings",
    ),
    Cause(
        "language model",
        any_case,
        "the decoder's config as vLLM sees it: rope, norm epsilon, sliding window, ties",
        "language_model",
    ),
)


def causes(stage: Stage, facts: Mapping[str, JSON] | None = None) -> tuple[str, ...]:
    """The likeliest causes of a stage's difference; `facts` are values by name, shown where one is to be checked."""
    case = Case(stage, spot_of(stage.inside), facts or {})
    found = [cause for cause in TABLE if cause.stage == stage.name and cause.holds(case)]
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

"""The facts that a plan of the first batch settles, written from its values and never from porter."""

from __future__ import annotations

from tests.facts.generated import code
from tests.facts.generated.plan import MEANS, Plan, ids_of
from tests.facts.generated.tensors import chain_shapes
from tests.facts.generated.truths import Layers, Maybe, NoChain, OneOf, Open, Truth, Value

V2 = ("v2_steps", "v2_reshape", "v2_rearrange", "v2_slices")


def part_prefix(plan: Plan) -> str:
    return "model." if plan.layout in ("inner", "headed", "llm_base") else ""


def identity_truth(plan: Plan) -> dict[str, Value]:
    lied = "wrong architectures" in plan.lies
    names = (plan.architecture, "LlavaForConditionalGeneration")
    group = f"{code.group_of(plan)}." if plan.nesting == "deep" else ""
    vision = None if plan.nesting == "vision_flat" else f"{group}{plan.names['vision_key']}"
    return {
        "architecture": OneOf(names) if lied else plan.architecture,
        "model_type": f"{code.stem_of(plan)}_vl",
        "text_config_key": None if plan.nesting == "llm_top" else f"{group}{plan.names['text_key']}",
        "vision_config_key": vision,
        "license": "apache-2.0",
        "modalities": ["image"],
        "tied_embeddings": plan.tied,
    }


def token_truth(plan: Plan) -> dict[str, Value]:
    marks = plan.marks
    if plan.tokens == "minus200":
        return {
            "image_context_token": OneOf((None, "<image>")), "image_context_token_id": OneOf((None, -200)),
            "image_start_token": None, "image_end_token": None, "image_placeholder": "<image>",
        }  # fmt: skip
    return {
        "image_context_token": marks["context"],
        "image_context_token_id": ids_of(plan)[str(marks["context"])],
        "image_start_token": marks["start"],
        "image_end_token": marks["end"],
        "image_placeholder": marks["placeholder"],
    }


def merge_truth(plan: Plan) -> dict[str, Value]:
    square = plan.merge in code_square()
    shuffle = "v2" if plan.merge in V2 else "v1" if plan.merge == "v1_steps" else None
    ratio: Value = 1 / plan.side
    if plan.merge == "none":
        ratio = OneOf((1, None))
    elif not square or plan.merge in ("swin_slices", "unshuffle", "unfold"):
        ratio = OneOf((1 / plan.side, None))
    native = plan.tower == "navit"
    return {
        "pixel_shuffle": shuffle,
        "downsample_ratio": ratio,
        "tokens_per_tile": None if native else plan.tokens_out,
        "feature_layer": list(plan.layer) if isinstance(plan.layer, tuple) else plan.layer,
        "native_resolution": native,
        "merge_size": OneOf((2,)) if native else OneOf((None, plan.side)),
    }


def code_square() -> tuple[str, ...]:
    return (*V2, "v1_steps", "swin_slices", "unshuffle", "unfold")


def image_truth(plan: Plan) -> dict[str, Value]:
    mean, std = map(list, MEANS[plan.colour])
    native = plan.tower == "navit"
    tiled = {name: plan.settings[name].value for name in ("min_tiles", "max_tiles", "thumbnail")}
    single = {"min_tiles": OneOf((1, None)), "max_tiles": OneOf((1, None)), "thumbnail": OneOf((False, None))}
    shown = tiled if plan.tiling else single
    return {
        "image_size": OneOf((None, plan.image)) if native else plan.image,
        "patch_size": plan.patch,
        "image_mean": mean, "image_std": std, "resample": plan.resample,
        "min_tiles": shown["min_tiles"], "max_tiles": shown["max_tiles"], "use_thumbnail": shown["thumbnail"],
        "min_pixels": 3136 if native else None, "max_pixels": 501760 if native else None,
    }  # fmt: skip


def tower_truth(plan: Plan) -> dict[str, Value]:
    at = f"{part_prefix(plan)}{plan.names['tower']}"
    truth: dict[str, Value] = {
        "vision_tower.0.class": code.tower_class(plan),
        "vision_tower.0.prefix": OneOf((at, f"{at}.vision_model")) if plan.tower in code.TOWERS else at,
        "vision_tower.0.hidden_size": plan.width, "vision_tower.0.layers": plan.depth,
        "vision_tower.0.heads": plan.heads, "vision_tower.0.patch_size": plan.patch,
        "vision_tower.0.has_cls": plan.cls,
        "vision_tower.#": 2 if plan.tower == "two" else 1,
    }  # fmt: skip
    if plan.tower in ("siglip", "clip", "dinov2", "two"):
        truth["vision_tower.0.kind"] = "siglip" if plan.tower == "two" else plan.tower
    return truth


def connector_truth(plan: Plan) -> dict[str, Value]:
    acts = {"GELU": "gelu", "SiLU": "silu", "tanh": "gelu"}
    if plan.connector not in code.CHAINS or plan.merge == "conv":
        return {"connector.prefix": f"{part_prefix(plan)}{plan.names['connector']}", "connector.layers": NoChain()}
    chain = tuple(
        ("LayerNorm", into, out, True, plan.eps or 1e-5) if op == "norm" else ("Linear", into, out, plan.bias, None)
        for _, op, into, out in chain_shapes(plan)
    )
    shown = tuple(acts[plan.act] for word in code.chain_words(plan) if word == "act")
    return {
        "connector.prefix": f"{part_prefix(plan)}{plan.names['connector']}",
        "connector.layers": Layers(chain, shown),
    }


def language_truth(plan: Plan) -> dict[str, Value]:
    base = plan.layout == "llm_base"
    at = f"{part_prefix(plan)}{plan.names['llm']}"
    own = plan.llm == "own" and not base
    kind: Value = f"{code.stem_of(plan)}_decoder" if own else plan.family
    if plan.nesting == "llm_top":
        kind = OneOf((plan.family, None, f"{code.stem_of(plan)}_vl"))
    prefix: Value = OneOf(("", "model")) if base else at
    return {
        "language_model.architecture": code.llm_classes(plan)[0], "language_model.model_type": kind,
        "language_model.hidden_size": plan.text["hidden"], "language_model.layers": plan.text["layers"],
        "language_model.vocab_size": plan.text["vocab"], "language_model.prefix": prefix,
    }  # fmt: skip


def unsettled(plan: Plan, values: dict[str, Value]) -> dict[str, Value]:
    """What a missing tower file leaves open is no longer demanded."""
    if "tower file missing" not in plan.lies or not plan.separate or plan.tower not in ("own", "navit"):
        return values
    lost = (
        "tokens_per_tile", "feature_layer", "vision_tower.", "pixel_shuffle", "downsample_ratio", "connector.layers",
        "merge_size", "native_resolution", "patch_size", "image_size",
    )  # fmt: skip
    return {key: Maybe(value) if key.startswith(lost) else value for key, value in values.items()}


def truth_of(plan: Plan) -> Truth:
    values = {
        **identity_truth(plan), **token_truth(plan), **merge_truth(plan), **image_truth(plan), **tower_truth(plan),
        **connector_truth(plan), **language_truth(plan),
    }  # fmt: skip
    if "no weights" in plan.lies:
        values["tied_embeddings"] = Maybe(plan.tied)
    if plan.tower == "navit" and plan.connector == "resampler":
        values["tokens_per_tile"] = Open()
    return Truth(unsettled(plan, values), axes_of(plan))


def axes_of(plan: Plan) -> dict[str, str]:
    stem = plan.stem if plan.tower == "own" else ""
    return {
        "layout": plan.layout, "nesting": plan.nesting, "tower": f"{plan.tower} {stem}".strip(), "select": plan.select,
        "merge": plan.merge, "connector": plan.connector, "build": plan.build, "llm": plan.llm,
        "scatter": plan.scatter, "tokens": plan.tokens, "pixels": plan.pixels + (" tiled" if plan.tiling else ""),
        "lies": ", ".join(plan.lies) or "none",
    }  # fmt: skip

"""The facts that porter is expected to find, written from a recipe's values and never from porter."""

from __future__ import annotations

from tests.variants.configs import ARCHITECTURES
from tests.variants.recipe import Recipe

Value = object
TOWER_CLASSES = {"siglip": "SiglipVisionModel", "clip": "CLIPVisionModel", "radio": "RadioModel"}
REQUIRED = (
    "architecture",
    "model_type",
    "text_config_key",
    "vision_config_key",
    "image_context_token",
    "image_context_token_id",
    "image_start_token",
    "image_end_token",
    "image_placeholder",
    "image_size",
    "patch_size",
    "tokens_per_tile",
    "downsample_ratio",
    "pixel_shuffle",
    "feature_layer",
    "min_tiles",
    "max_tiles",
    "use_thumbnail",
    "image_mean",
    "image_std",
    "resample",
    "vision_tower",
    "connector",
    "language_model",
    "weight_prefixes",
    "buffers",
    "tied_embeddings",
    "modalities",
    "license",
    "resize_scheme",
    "rescale",
    "feature_path",
)


def own_radio(recipe: Recipe) -> bool:
    return recipe.tower.kind == "radio" and not recipe.tower.native


def inside(recipe: Recipe) -> str | None:
    """The module of the tower in which the encoder stands."""
    return "model" if own_radio(recipe) else recipe.names.tower_inside


def names_of_parts(recipe: Recipe) -> dict[str, str]:
    """Part -> prefix of its checkpoint names, without the last dot."""
    names, prefix = recipe.names, recipe.module_prefix
    return {
        "vision_tower": prefix + names.tower + (f".{inside(recipe)}" if inside(recipe) else ""),
        "connector": prefix + names.connector,
        "language_model": prefix + names.llm,
    }


def tower_truth(recipe: Recipe) -> dict[str, Value]:
    tower = recipe.tower
    return {
        "kind": tower.kind,
        "class": "Encoder" if own_radio(recipe) else TOWER_CLASSES.get(tower.kind, tower.class_name),
        "prefix": names_of_parts(recipe)["vision_tower"],
        "attr": inside(recipe) or recipe.names.tower,
        "hidden_size": tower.hidden_size,
        "layers": tower.num_hidden_layers,
        "heads": tower.num_attention_heads,
        "patch_size": tower.patch_size,
        "has_cls": tower.has_cls,
    }


def learnt_rows(recipe: Recipe) -> int:
    """How many rows stand before the patches."""
    return recipe.tower.cls_tokens + recipe.tower.registers if recipe.tower.kind == "radio" else 1


def connector_steps(recipe: Recipe) -> list[dict[str, Value]]:
    """The layers in the order of the forward pass, still without names."""
    connector, merged, width = recipe.connector, recipe.merged_width, recipe.llm.hidden_size
    between = connector.mid or width
    eps = 1e-5 if connector.norm_eps is None else connector.norm_eps
    normed = width if connector.norm_last else merged
    norm: dict[str, Value] = {"op": "LayerNorm", "in": normed, "out": normed, "bias": True, "eps": eps}
    widths = [(merged, width)] if connector.linears == 1 else [(merged, between), (between, width)]
    steps: list[dict[str, Value]] = [
        {"op": "Linear", "in": a, "out": b, "bias": connector.bias, "eps": None} for a, b in widths
    ]
    if len(steps) == 2:
        steps.insert(1, {"op": connector.act, "in": between, "out": between, "bias": None, "eps": None})
    if not connector.norm:
        return steps
    return [*steps, norm] if connector.norm_last else [norm, *steps]


def layer_names(recipe: Recipe, ops: list[str]) -> list[str | None]:
    """The stored name of each layer; None for an activation, which holds nothing."""
    norm, *linears = recipe.connector.names
    by_name = recipe.chassis == "nested" or recipe.connector.own_file
    own = {"LayerNorm": iter([norm]), "Linear": iter(linears)}
    named = [next(own[op]) if op in own else None for op in ops]
    return named if by_name else [str(index) if op in own else None for index, op in enumerate(ops)]


def connector_layers(recipe: Recipe) -> list[dict[str, Value]]:
    steps = connector_steps(recipe)
    names = layer_names(recipe, [str(step["op"]) for step in steps])
    return [{**step, "name": name} for step, name in zip(steps, names, strict=True)]


def language_truth(recipe: Recipe) -> dict[str, Value]:
    llm = recipe.llm
    return {
        "architecture": ARCHITECTURES[llm.kind],
        "model_type": llm.kind,
        "prefix": names_of_parts(recipe)["language_model"],
        "attr": recipe.names.llm,
        "hidden_size": llm.hidden_size,
        "layers": llm.num_hidden_layers,
        "vocab_size": llm.vocab_size,
    }


def feature_path(recipe: Recipe) -> list[dict[str, Value]]:
    """The steps from pixels to the language model's width."""
    by_role: dict[str, str] = {buffer.role: buffer.attr for buffer in recipe.buffers}
    by_role |= {"mean": "norm_mean", "std": "norm_std"} if recipe.tower.kind == "radio" else {}
    always_states = recipe.chassis in ("nested", "headed") or recipe.names.tower_inside is not None
    output = "hidden_states" if always_states or recipe.select_layer != -1 else "last_hidden_state"
    path: list[dict[str, Value]] = []
    if "mean" in by_role:
        path.append({"op": "normalize", "mean": by_role["mean"], "std": by_role["std"]})
    path.append({"op": "tower", "attr": tower_truth(recipe)["attr"], "layer": recipe.select_layer, "output": output})
    if recipe.tower.has_cls:
        path.append({"op": "drop_tokens", "count": learnt_rows(recipe)})
    if recipe.shuffle:
        path.append({"op": "pixel_shuffle", "version": recipe.version, "ratio": recipe.ratio})
    path.append({"op": "connector", "attr": recipe.names.connector})
    return path


def image_truth(recipe: Recipe) -> dict[str, Value]:
    """`image_mean` and `image_std` are None when the model itself normalises, by stored buffers."""
    images, single = recipe.images, recipe.images.scheme == "single"
    return {
        "image_size": recipe.tower.image_size,
        "min_tiles": 1 if single else images.min_tiles,
        "max_tiles": 1 if single else images.max_tiles,
        "use_thumbnail": False if single else images.use_thumbnail,
        "image_mean": list(images.mean) if images.normalize else None,
        "image_std": list(images.std) if images.normalize else None,
        "resample": images.resample,
        "resize_scheme": None if images.passes == 2 else "tiles" if images.by_area else images.scheme,
        "rescale": images.rescale,
    }


def token_truth(recipe: Recipe) -> dict[str, Value]:
    tokens = recipe.tokens
    return {
        "image_context_token": tokens.context,
        "image_context_token_id": tokens.context_id,
        "image_start_token": tokens.start,
        "image_end_token": tokens.end,
        "image_placeholder": tokens.placeholder.replace("{}", "{n}"),
    }


def truth_of(recipe: Recipe) -> dict[str, Value]:
    """Fact name -> expected value, for every name in `REQUIRED`."""
    names, prefix = recipe.names, recipe.module_prefix
    buffers = [
        {"name": prefix + b.attr, "attr": b.attr, "shape": list(b.shape), "persistent": True} for b in recipe.buffers
    ]
    if recipe.tower.kind == "radio":
        place = f"{prefix}{names.tower}.input_conditioner"
        buffers += [
            {"name": f"{place}.{attr}", "attr": attr, "shape": [3, 1, 1], "persistent": True}
            for attr in ("norm_mean", "norm_std")
        ]
    if recipe.tower.kind == "radio" and recipe.tower.native:
        name = f"{prefix}{names.tower}.summary_idxs"
        buffers.append({"name": name, "attr": "summary_idxs", "shape": None, "persistent": True})
    return {
        "architecture": names.architecture,
        "model_type": names.model_type,
        "text_config_key": names.text_key,
        "vision_config_key": names.vision_key,
        "patch_size": recipe.tower.patch_size,
        "tokens_per_tile": recipe.tokens_per_tile,
        "downsample_ratio": recipe.ratio if recipe.shuffle else 1.0,
        "pixel_shuffle": recipe.version if recipe.shuffle else None,
        "feature_layer": recipe.select_layer,
        "vision_tower": [tower_truth(recipe)],
        "connector": {
            "prefix": names_of_parts(recipe)["connector"],
            "attr": names.connector,
            "layers": connector_layers(recipe),
        },
        "language_model": language_truth(recipe),
        "weight_prefixes": names_of_parts(recipe),
        "buffers": buffers,
        "tied_embeddings": recipe.llm.tied,
        "modalities": ["image"],
        "license": recipe.license,
        "feature_path": feature_path(recipe),
        **image_truth(recipe),
        **token_truth(recipe),
    }

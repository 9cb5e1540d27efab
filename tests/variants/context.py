"""The names and expressions that the code templates fill in."""

from __future__ import annotations

from types import SimpleNamespace

from tests.variants.configs import (
    ARCHITECTURES,
    RESAMPLE_CODES,
    config_class,
    image_key,
    image_processor_class,
    image_values,
    vision_model_type,
    vision_values,
)
from tests.variants.recipe import CLIP, IMAGENET, Recipe

STOCK = {
    "select_layer": -1,
    "ps_version": "v1",
    "downsample_ratio": 0.5,
    "force_image_size": None,
    "image_token_id": None,
    "min_dynamic_patch": 1,
    "max_dynamic_patch": 12,
    "use_thumbnail": False,
    "dynamic_image_size": False,
    "mid": 4096,
    "mean": list(IMAGENET[0]),
    "std": list(IMAGENET[1]),
}
STOCK_VISION = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "image_size": 448,
    "patch_size": 14,
    "layer_norm_eps": 1e-6,
}
STOCK_IMAGES = {
    "image_size": 448,
    "min_tiles": 1,
    "max_tiles": 12,
    "use_thumbnail": True,
    "mean": list(CLIP[0]),
    "std": list(CLIP[1]),
    "resample": RESAMPLE_CODES["bicubic"],
}
TEXT_CLASSES = {"qwen2": "Qwen2", "qwen3": "Qwen3", "llama": "Llama"}
NATIVE_TOWERS = {
    "siglip": ("SiglipVisionModel", "SiglipVisionConfig"),
    "clip": ("CLIPVisionModel", "CLIPVisionConfig"),
    "radio": ("RadioModel", "RadioConfig"),
}
CANONICAL_VISION = (*STOCK_VISION, "hidden_act", "norm_type", "qkv_bias", "qk_normalization", "initializer_factor")


def vision_defaults(recipe: Recipe) -> list[tuple[str, object]]:
    """Constructor defaults of the tower's config class: the true value where config.json leaves it out."""
    spelled = {recipe.tower.keys.get(name, name): name for name in CANONICAL_VISION}
    defaults: list[tuple[str, object]] = []
    for key, value in vision_values(recipe).items():
        name = spelled.get(key, key)
        defaults.append((key, value if name in recipe.tower.omitted else STOCK_VISION.get(name, value)))
    return defaults


def vision_derived(recipe: Recipe) -> list[tuple[str, str]]:
    if recipe.tower.mlp_ratio is None:
        return []
    width = recipe.tower.keys.get("hidden_size", "hidden_size")
    key = recipe.tower.keys.get("intermediate_size", "intermediate_size")
    return [(key, f"int(self.{width} * self.{recipe.tower.mlp_ratio})")]


def setting_defaults(recipe: Recipe, deep: bool) -> list[tuple[str, object]]:
    """Constructor defaults of the config class (or of its nested group)."""
    group = f"{recipe.names.deep_group}."
    defaults: list[tuple[str, object]] = []
    for setting in recipe.settings:
        key = recipe.key(setting)
        if key.startswith(group) == deep:
            stock = 2 if setting == "downsample_ratio" and recipe.inverse_ratio else STOCK[setting]
            defaults.append((key.removeprefix(group), recipe.value(setting) if setting in recipe.omitted else stock))
    return defaults


def bias_code(recipe: Recipe) -> str:
    return "" if recipe.connector.bias else ", bias=False"


def norm_code(recipe: Recipe, width: str) -> str:
    eps = recipe.connector.norm_eps
    return f"nn.LayerNorm({width})" if eps is None else f"nn.LayerNorm({width}, eps={eps!r})"


def linear_codes(recipe: Recipe, source: str, middle: str, target: str) -> list[str]:
    """The Linears in order; `middle` is the variable of the width between them."""
    bias = bias_code(recipe)
    if recipe.connector.linears == 1:
        return [f"nn.Linear({source}, {target}{bias})"]
    between = middle if recipe.connector.mid else target
    return [f"nn.Linear({source}, {between}{bias})", f"nn.Linear({between}, {target}{bias})"]


def sequential_layers(recipe: Recipe) -> list[str]:
    linears = linear_codes(recipe, "merged", "hidden", "width")
    steps = [linears[0], *((f"nn.{recipe.connector.act}()", linears[1]) if len(linears) == 2 else ())]
    if not recipe.connector.norm:
        return steps
    return [*steps, norm_code(recipe, "width")] if recipe.connector.norm_last else [norm_code(recipe, "merged"), *steps]


def named_layers(recipe: Recipe) -> tuple[list[dict[str, str]], list[str]]:
    """The connector as named submodules, and the steps of its forward."""
    connector = recipe.connector
    norm, first, second = connector.names
    codes = linear_codes(recipe, "in_dim", "mid_dim", "out_dim")
    layers = [{"name": name, "code": code} for name, code in zip((first, second), codes, strict=False)]
    steps = [f"self.{first}(x)"]
    if len(codes) == 2 and recipe.seed % 2:
        layers.append({"name": "act", "code": f"nn.{connector.act}()"})
        steps = [f"self.act(self.{first}(x))", f"self.{second}(x)"]
    elif len(codes) == 2:
        steps = [f"F.{connector.act.lower()}(self.{first}(x))", f"self.{second}(x)"]
    if not connector.norm:
        return layers, steps
    width = "out_dim" if connector.norm_last else "in_dim"
    layers = [{"name": norm, "code": norm_code(recipe, width)}, *layers]
    return layers, [*steps, f"self.{norm}(x)"] if connector.norm_last else [f"self.{norm}(x)", *steps]


def ratio_expr(recipe: Recipe, owner: str) -> str:
    path = f"{owner}.{recipe.key('downsample_ratio')}"
    return f"(1 / {path})" if recipe.inverse_ratio else path


def mid_expr(recipe: Recipe, owner: str) -> str:
    key = recipe.connector.mid_key
    return f"{owner}.{key}" if key else repr(recipe.connector.mid)


def class_names(recipe: Recipe) -> dict[str, object]:
    """Classes and modules, and where they are imported from."""
    names, tower, llm = recipe.names, recipe.tower, recipe.llm
    native = NATIVE_TOWERS.get(tower.kind) if tower.native else None
    text = TEXT_CLASSES.get(llm.kind)
    return {
        "model_class": names.architecture,
        "config_class": config_class(recipe),
        "config_file": f"configuration_{names.stem}",
        "vision_file": f"vision_{names.stem}",
        "connector_file": f"projector_{names.stem}" if recipe.connector.own_file else None,
        "vision_class": native[0] if native else tower.class_name,
        "vision_config_class": native[1] if native else f"{tower.class_name}Config",
        "vision_config_import": tower.native,
        "vision_model_type": vision_model_type(recipe),
        "tower_import": "transformers" if tower.native else None,
        "llm_class": ARCHITECTURES[llm.kind],
        "llm_base_class": f"{text}Model",
        "llm_import": "transformers" if text else f"modeling_{names.stem}_lm",
        "text_config_class": f"{text}Config" if text else None,
        "head_name": "lm_head" if text else "output",
        "embed_name": "model.embed_tokens" if text else "model.tok_embeddings",
        "V": tower.class_name.removesuffix("Model"),
        "M": names.prefix,
        "processor_class": image_processor_class(recipe),
    }


def image_context(recipe: Recipe) -> dict[str, object]:
    """Image constants: the code's own default where the preprocessor file holds the true value."""
    images, values = recipe.images, image_values(recipe)
    code = {name: STOCK_IMAGES[name] if name in images.stored else values[name] for name in values}
    return {
        "p": SimpleNamespace(**{name: image_key(recipe, name) for name in values}),
        "mean_name": images.constants[0],
        "std_name": images.constants[1],
        "mean": images.mean,
        "std": images.std,
        "resample": images.resample.upper(),
        "min_tiles": images.min_tiles,
        "max_tiles": images.max_tiles,
        "image_size": recipe.tower.image_size,
        "use_thumbnail": images.use_thumbnail,
        "code_image_size": code["image_size"],
        "code_min": code["min_tiles"],
        "code_max": code["max_tiles"],
        "code_thumbnail": code["use_thumbnail"],
        "code_mean": code["mean"],
        "code_std": code["std"],
        "code_resample": code["resample"],
        "code_normalize": images.normalize,
        "code_rescale": images.rescale,
        "count_name": images.count_name,
        "cover": images.cover,
        "by_area": images.by_area,
    }


def config_paths(recipe: Recipe) -> SimpleNamespace:
    settings = {name: recipe.key(name) for name in STOCK}
    return SimpleNamespace(vision=recipe.names.vision_key, text=recipe.names.text_key, **settings)


def config_context(recipe: Recipe) -> dict[str, object]:
    """Where settings stand, and their defaults in the config class."""
    names, tower = recipe.names, recipe.tower
    keys = SimpleNamespace(**{name: tower.keys.get(name, name) for name in CANONICAL_VISION})
    return {
        "cfg": config_paths(recipe),
        "k": keys,
        "fits": tower.fits,
        "mlp_width": f"cfg.{keys.intermediate_size}",
        "vision_defaults": vision_defaults(recipe),
        "vision_derived": vision_derived(recipe),
        "defaults": setting_defaults(recipe, deep=False),
        "deep_defaults": setting_defaults(recipe, deep=True),
        "deep_group": names.deep_group or "",
        "deep_vision": names.vision_key.rpartition(".")[2],
        "has_force": "force_image_size" in recipe.settings,
        "feature_expr": "layer" if "select_layer" in recipe.settings else "last",
        "ratio_expr": ratio_expr(recipe, "config"),
        "self_ratio_expr": ratio_expr(recipe, "self.config"),
        "mid_expr": mid_expr(recipe, "config"),
        "self_mid_expr": mid_expr(recipe, "self.config"),
    }


def token_context(recipe: Recipe) -> dict[str, object]:
    tokens = recipe.tokens
    return {
        "tokens": tokens,
        "token_style": tokens.style,
        "token_names": SimpleNamespace(**dict(zip(("start", "end", "context"), tokens.names, strict=True))),
        "processor_tokens": tokens.style == "processor",
        "tokens_per_tile": recipe.tokens_per_tile,
        "context_attr": recipe.names.context_attr,
        "context_in_config": "image_token_id" in recipe.settings,
        "tags": tokens.tags,
        "numbered": numbered(recipe),
    }


def numbered(recipe: Recipe) -> tuple[str, str, str] | None:
    """The label around its number, and the pattern of the placeholder."""
    if recipe.tokens.label is None:
        return None
    before, _, after = recipe.tokens.label.partition("{}")
    return before, after, recipe.tokens.placeholder.replace("{}", r"(\d+)")


def normalising(recipe: Recipe) -> list[str]:
    """Mean and std as they are broadcast over pixels."""
    spread = {1: "[:, None, None]"}
    return [f"{b.attr}{spread.get(len(b.shape), '')}" for b in recipe.buffers if b.role in ("mean", "std")]


def context_of(recipe: Recipe) -> dict[str, object]:
    """Everything that a template may name."""
    names = recipe.names
    layers, steps = named_layers(recipe)
    return {
        **class_names(recipe),
        **image_context(recipe),
        **config_context(recipe),
        **token_context(recipe),
        "title": names.title,
        "model_type": names.model_type,
        "tower": names.tower,
        "connector": names.connector,
        "llm": names.llm,
        "extract": names.extract,
        "functions": recipe.images.source == "functions",
        "tied": recipe.llm.tied,
        "post_init": recipe.post_init,
        "has_cls": recipe.tower.has_cls,
        "tower_kind": recipe.tower.kind,
        "split_qkv": recipe.tower.split_qkv,
        "mid": recipe.connector.mid,
        "version": recipe.version,
        "version_source": recipe.version_source,
        "buffers": recipe.buffers,
        "normalise_buffers": normalising(recipe),
        "tower_inside": names.tower_inside,
        "connector_layers": sequential_layers(recipe),
        "connector_switch": recipe.connector.switch,
        "shuffle_key": recipe.shuffle_key,
        "two_passes": recipe.images.passes == 2,
        "named_layers": layers,
        "named_steps": steps,
    }

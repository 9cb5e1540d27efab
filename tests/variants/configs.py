"""The JSON files of a recipe: config.json, preprocessor_config.json, processor_config.json."""

from __future__ import annotations

from tests.variants.recipe import Recipe

ARCHITECTURES = {
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "llama": "LlamaForCausalLM",
    "internlm2": "InternLM2ForCausalLM",
}
VISION_MODEL_TYPES = {"siglip": "siglip_vision_model", "clip": "clip_vision_model"}
NATIVE_RADIO = {"cls_tokens": "num_cls_tokens", "registers": "num_registers", "table_size": "max_img_size"}
RESAMPLE_CODES = {"lanczos": 1, "bilinear": 2, "bicubic": 3}
SHARED_VISION = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "image_size",
    "patch_size",
    "layer_norm_eps",
    "hidden_act",
)
OWN_VISION = ("norm_type", "qkv_bias", "qk_normalization", "initializer_factor")
PREPROCESSOR_KEYS = {"image_size": "tile_size", "min_tiles": "min_tiles", "max_tiles": "max_tiles"}


def vision_model_type(recipe: Recipe) -> str:
    if recipe.tower.kind == "radio" and recipe.tower.native:
        return "radio"
    return VISION_MODEL_TYPES.get(recipe.tower.kind, f"{recipe.names.model_type}_vision")


def vision_values(recipe: Recipe) -> dict[str, object]:
    """Every setting of the tower under this repo's spelling."""
    tower = recipe.tower
    names = SHARED_VISION if tower.native or tower.kind == "radio" else SHARED_VISION + OWN_VISION
    values = {tower.keys.get(name, name): getattr(tower, name) for name in names}
    if tower.fits:
        values[tower.keys.get("image_size", "image_size")] = tower.table_size
    if tower.kind == "radio":
        spelled = NATIVE_RADIO if tower.native else {"cls_tokens": "cls_tokens", "registers": "registers"}
        values |= {key: getattr(tower, name) for name, key in spelled.items()}
    if tower.mlp_ratio is not None:
        del values[tower.keys.get("intermediate_size", "intermediate_size")]
        values[tower.mlp_ratio] = tower.intermediate_size / tower.hidden_size
    return values


def vision_json(recipe: Recipe) -> dict[str, object]:
    hidden = {recipe.tower.keys.get(name, name) for name in recipe.tower.omitted}
    values = {key: value for key, value in vision_values(recipe).items() if key not in hidden}
    if recipe.tower.kind == "siglip" and not recipe.tower.head:
        values["vision_use_head"] = False
    return {"model_type": vision_model_type(recipe), **values}


def text_json(recipe: Recipe) -> dict[str, object]:
    llm, tokens = recipe.llm, recipe.tokens
    base = 256 + tokens.merges
    values: dict[str, object] = {
        "architectures": [ARCHITECTURES[llm.kind]],
        "model_type": llm.kind,
        "vocab_size": llm.vocab_size,
        "hidden_size": llm.hidden_size,
        "intermediate_size": llm.intermediate_size,
        "num_hidden_layers": llm.num_hidden_layers,
        "num_attention_heads": llm.num_attention_heads,
        "num_key_value_heads": llm.num_key_value_heads,
        "hidden_act": "silu",
        "max_position_embeddings": 2048,
        "rms_norm_eps": llm.rms_norm_eps,
        "rope_theta": llm.rope_theta,
        "tie_word_embeddings": llm.tied,
        "bos_token_id": base + tokens.specials.index("<s>") if "<s>" in tokens.specials else None,
        "eos_token_id": base + tokens.specials.index("<|im_end|>"),
        "pad_token_id": base + tokens.specials.index("<|endoftext|>"),
    }
    if llm.kind == "qwen3":
        values["head_dim"] = llm.hidden_size // llm.num_attention_heads
    if llm.nested_auto_map:
        module = f"modeling_{recipe.names.stem}_lm"
        classes = {"AutoConfig": "InternLM2Config", "AutoModelForCausalLM": "InternLM2ForCausalLM"}
        values["auto_map"] = {key: f"{module}.{name}" for key, name in classes.items()}
    return values


def put(target: dict[str, object], path: str, value: object) -> None:
    """Sets `a.b.c` in nested dicts."""
    *parents, last = path.split(".")
    for parent in parents:
        inner = target.setdefault(parent, {})
        assert isinstance(inner, dict)
        target = inner
    target[last] = value


def config_class(recipe: Recipe) -> str:
    return f"{recipe.names.title.replace('-', '')}Config"


def config_json(recipe: Recipe) -> dict[str, object]:
    names = recipe.names
    auto_map = {"AutoConfig": f"configuration_{names.stem}.{config_class(recipe)}"}
    auto_map |= dict.fromkeys(names.auto_keys, f"modeling_{names.stem}.{names.architecture}")
    config: dict[str, object] = {
        "architectures": [names.architecture],
        "auto_map": auto_map,
        "model_type": names.model_type,
        "dtype" if recipe.seed % 2 else "torch_dtype": "float32",
        "tie_word_embeddings": recipe.llm.tied,
        "transformers_version": "5.19.0" if recipe.seed % 2 else "4.49.0",
        **recipe.extra_config,
    }
    put(config, names.text_key, text_json(recipe))
    put(config, names.vision_key, vision_json(recipe))
    if recipe.connector.switch is not None:
        config[recipe.connector.switch] = recipe.connector.linears
    if recipe.shuffle_key is not None:
        config[recipe.shuffle_key] = recipe.shuffle
    for setting in recipe.settings:
        if setting not in recipe.omitted:
            put(config, recipe.key(setting), recipe.value(setting))
    return config


def image_key(recipe: Recipe, canonical: str) -> str:
    return recipe.images.keys.get(canonical, PREPROCESSOR_KEYS.get(canonical, canonical))


def image_values(recipe: Recipe) -> dict[str, object]:
    """The image settings by canonical name."""
    images = recipe.images
    return {
        "image_size": recipe.tower.image_size,
        "min_tiles": images.min_tiles,
        "max_tiles": images.max_tiles,
        "use_thumbnail": images.use_thumbnail,
        "mean": list(images.mean),
        "std": list(images.std),
        "resample": RESAMPLE_CODES[images.resample],
    }


def preprocessor_json(recipe: Recipe) -> dict[str, object]:
    names, images = recipe.names, recipe.images
    processor = image_processor_class(recipe)
    auto_map = {"AutoImageProcessor": f"image_processing_{names.stem}.{processor}"}
    if images.source == "auto_processor":
        auto_map["AutoProcessor"] = f"processing_{names.stem}.{names.prefix}Processor"
    spelled = {"mean": "image_mean", "std": "image_std"}
    only_square = {"min_tiles", "max_tiles", "use_thumbnail"} if images.scheme == "single" else set()
    names_of = {name: spelled.get(name, image_key(recipe, name)) for name in images.stored - only_square}
    stored = {names_of[name]: value for name, value in image_values(recipe).items() if name in names_of}
    if images.stored & {"mean", "std"}:
        stored["do_normalize"] = images.normalize
    return {"auto_map": auto_map, "image_processor_type": processor, **stored}


def processor_json(recipe: Recipe) -> dict[str, object]:
    names = recipe.names
    processor = f"{names.prefix}Processor"
    return {
        "auto_map": {"AutoProcessor": f"processing_{names.stem}.{processor}"},
        "processor_class": processor,
        "image_seq_length": recipe.tokens_per_tile,
    }


def image_processor_class(recipe: Recipe) -> str:
    return f"{recipe.names.title.replace('-', '')}ImageProcessor"

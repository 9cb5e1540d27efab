"""The spellings that the field uses for the same thing, likeliest first. Read values decide; these only say
where to look."""

from __future__ import annotations

HIDDEN = ("hidden_size", "embed_dim", "width", "d_model", "hidden_dim", "n_embd", "dim", "embedding_dim", "model_dim")
LAYERS = ("num_hidden_layers", "depth", "num_layers", "n_layers", "n_layer", "layers")
HEADS = ("num_attention_heads", "num_heads", "n_heads", "n_head", "heads", "attention_heads")
PATCH_SIZE = ("patch_size", "patch", "patch_sz", "spatial_patch_size")
IMAGE_SIZE = ("image_size", "img_size", "input_size", "image_resolution", "resolution", "tile_size")

TEXT_KEYS = (
    "text_config",
    "llm_config",
    "language_config",
    "language_model_config",
    "lm_config",
    "llm",
    "decoder_config",
)
VISION_KEYS = (
    "vision_config",
    "visual_config",
    "vit_config",
    "vision_tower_config",
    "vision_encoder_config",
    "image_config",
)

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "force_image_size": ("force_image_size", "image_size", "img_size", "input_size", "tile_size", "image_resolution"),
    "image_size": IMAGE_SIZE,
    "patch_size": PATCH_SIZE,
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": (
        "intermediate_size",
        "mlp_dim",
        "ffn_dim",
        "mlp_hidden_size",
        "ffn_hidden_size",
        "n_inner",
        "feed_forward_dim",
    ),
    "layer_norm_eps": (
        "layer_norm_eps",
        "norm_eps",
        "layernorm_eps",
        "layer_norm_epsilon",
        "ln_eps",
        "rms_norm_eps",
        "eps",
    ),
    "hidden_act": ("hidden_act", "activation", "act", "activation_function", "hidden_activation", "act_fn"),
    "qkv_bias": ("qkv_bias", "attention_bias", "use_qkv_bias", "attn_bias"),
    "qk_normalization": ("qk_normalization", "qk_norm", "use_qk_norm", "qk_layernorm", "normalize_qk"),
    "norm_type": ("norm_type", "normalization", "norm_layer", "norm"),
    "initializer_factor": (
        "initializer_factor",
        "layer_scale_init",
        "layer_scale_init_value",
        "ls_init_value",
        "init_values",
    ),
    "num_channels": ("num_channels", "in_channels", "in_chans", "channels"),
    "downsample_ratio": (
        "downsample_ratio",
        "shuffle_ratio",
        "pixel_shuffle_ratio",
        "downsampling_ratio",
        "merge_ratio",
        "scale_ratio",
    ),
    "ps_version": ("ps_version", "shuffle_version", "pixel_shuffle_version", "pixel_shuffle"),
    "select_layer": (
        "select_layer",
        "vision_feature_layer",
        "feature_layer",
        "vision_select_layer",
        "mm_vision_select_layer",
        "tap_layer",
    ),
    "min_dynamic_patch": (
        "min_dynamic_patch",
        "min_dynamic_tiles",
        "min_tiles",
        "min_num_tiles",
        "min_patches",
        "min_num",
        "min_crops",
        "min_num_patches",
    ),
    "max_dynamic_patch": (
        "max_dynamic_patch",
        "max_tiles",
        "max_num_tiles",
        "max_patches",
        "max_num",
        "max_crops",
        "max_num_patches",
        "max_dynamic_tiles",
        "num_crops",
    ),
    "dynamic_image_size": (
        "dynamic_image_size",
        "dynamic_tiling",
        "dynamic_resolution",
        "do_dynamic_tiling",
        "do_tile",
        "use_tiling",
        "crop_to_patches",
        "do_image_splitting",
        "tiling",
        "dynamic_preprocess",
    ),
    "use_thumbnail": (
        "use_thumbnail",
        "thumbnail",
        "add_thumbnail",
        "with_thumbnail",
        "append_thumbnail",
        "include_thumbnail",
    ),
    "image_mean": ("image_mean", "mean", "norm_mean", "pixel_mean", "normalize_mean", "img_mean"),
    "image_std": ("image_std", "std", "norm_std", "pixel_std", "normalize_std", "img_std"),
    "resample": ("resample", "interpolation", "resampling", "resize_mode", "resample_mode"),
}

RESAMPLING = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
"""PIL's numbers of its filters."""
PILS_OWN = RESAMPLING["bicubic"]

TILE_WORDS = ("tile", "patch", "crop", "num", "split", "slice", "dynamic", "view")
SHAPES: dict[str, tuple[tuple[str, ...], ...]] = {
    "min_dynamic_patch": (("min",), TILE_WORDS),
    "max_dynamic_patch": (("max",), TILE_WORDS),
    "use_thumbnail": (("thumb", "overview", "global"),),
    "force_image_size": (("size", "side", "resolution"), ("image", "img", "tile", "input", "crop", "side")),
    "image_mean": (("mean",),),
    "image_std": (("std",),),
    "resample": (("resampl", "interpolat"),),
}
NOT_TILES = ("pixel", "token", "length", "pixels", "position", "batch", "layer", "patch_size")


def looks_like(attribute: str, name: str) -> bool:
    """Whether a processor setting is, by the words in its name, another spelling of an attribute."""
    words = SHAPES.get(attribute)
    if words is None or (attribute.endswith("dynamic_patch") and any(word in name for word in NOT_TILES)):
        return False
    if attribute == "force_image_size" and any(
        word in name for word in ("merge", "patch_size", "min", "max", "seq", "num", "token", "feature")
    ):
        return False
    return all(any(word in name.lower() for word in group) for group in words)


TILE_TOKENS = (
    "tokens_per_tile",
    "num_image_token",
    "num_image_tokens",
    "image_seq_length",
    "image_seq_len",
    "num_img_tokens",
)
CONTEXT_ID_KEYS = (
    "image_token_id",
    "image_token_index",
    "img_context_token_id",
    "image_context_token_id",
    "context_token_id",
    "vision_token_id",
    "image_pad_token_id",
    "img_token_id",
    "image_patch_token_id",
    "media_placeholder_token_id",
    "im_patch_token_id",
)


def filter_number(value: object) -> int | None:
    """PIL's number of a filter given by name or number, its own when nothing is said; None for one it lacks."""
    if value is None:
        return PILS_OWN
    number = RESAMPLING.get(value) if isinstance(value, str) else value
    return number if isinstance(number, int) and not isinstance(number, bool) and number in _NUMBERS else None


_NUMBERS = frozenset(RESAMPLING.values())


def spellings(attribute: str) -> tuple[str, ...]:
    """Every spelling to look for, the attribute's own name first."""
    return tuple(dict.fromkeys((attribute, *ATTRIBUTES.get(attribute, ()))))

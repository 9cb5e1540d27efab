"""Variants in the shape of a chat model: flat, tokens in `chat`, the encoder in the repo's own code."""

from __future__ import annotations

from tests.variants.catalog.shared import TILE_FIELDS, VL_SETTINGS
from tests.variants.recipe import CLIP, HALF, Connector, Images, Language, Names, Recipe, Tokens, Tower

HERON = Recipe(
    "heron-chat",
    (
        "renamed architecture",
        "no preprocessor file: constants and load_image in the modeling file",
        "Qwen2",
        "v2 as key",
    ),
    seed=11,
    names=Names("heron_chat", "HeronChatModel", "heron_chat", "Heron-Chat"),
    tower=Tower(class_name="HeronVisionModel"),
    tokens=Tokens(after=("<quad>", "</quad>")),
    images=Images(source="functions", max_tiles=5),
    settings=VL_SETTINGS,
    post_init=False,
    license="mit",
)

PLOVER = Recipe(
    "plover-image-token",
    (
        "context token equals placeholder <image>",
        "Llama",
        "v1 as default argument",
        "connector without bias",
        "module constants",
    ),
    seed=13,
    names=Names(
        "plover",
        "PloverVLModel",
        "plover",
        "Plover-VL",
        tower="vision_encoder",
        connector="projector",
        llm="language_model",
        text_key="text_config",
        keys={"select_layer": "vision_select_layer"},
        extract="encode_images",
        context_attr="image_token_index",
    ),
    tower=Tower(
        class_name="PloverVisionTransformer", patch_size=7, image_size=28, hidden_size=32, num_attention_heads=1
    ),
    llm=Language("llama", rms_norm_eps=1e-5, rope_theta=500000.0),
    connector=Connector(bias=False),
    tokens=Tokens(
        "<im_start_px>", "<im_end_px>", "<image>", style="module", names=("BEGIN", "FINISH", "PATCH"), merges=16
    ),
    images=Images(keys={"max_tiles": "max_num", "min_tiles": "min_num"}, stored=TILE_FIELDS),
    version="v1",
    version_source="default",
    settings=("select_layer", "downsample_ratio"),
    license="llama3.1",
)

JACANA = Recipe(
    "jacana-internlm",
    ("own InternLM2-like decoder", "nested auto_map", "tokens as class attributes", "no post_init", "custom LN eps"),
    seed=16,
    names=Names("jacana_chat", "JacanaChat", "jacana_chat", "Jacana", prefix="Jacana", connector="mlp"),
    tower=Tower(style="short", class_name="JacanaVisionModel", layer_norm_eps=1e-5),
    llm=Language("internlm2", rms_norm_eps=1e-5, rope_theta=1000000.0, nested_auto_map=True),
    connector=Connector(norm_eps=1e-6),
    tokens=Tokens(style="class", before=("<unk>", "<s>", "</s>", "<|endoftext|>", "<|im_start|>", "<|im_end|>")),
    images=Images(source="functions", max_tiles=4, constants=("MEAN_RGB", "STD_RGB")),
    version="v2",
    settings=VL_SETTINGS,
    post_init=False,
    license="other",
    license_file=True,
)

DUNLIN = Recipe(
    "dunlin-defaults",
    ("values only in the config class", "Qwen2 tied", "tiling in preprocessor_config only"),
    seed=17,
    names=Names(
        "dunlin",
        "DunlinVLForCausalLM",
        "dunlin_vl",
        "Dunlin",
        prefix="Dunlin",
        tower="vision",
        connector="adapter",
        llm="decoder",
        text_key="decoder_config",
        vision_key="encoder_config",
        keys={"downsample_ratio": "compress", "select_layer": "tap", "ps_version": "shuffle_mode"},
    ),
    tower=Tower(
        class_name="DunlinEncoder", omitted=frozenset({"norm_type", "qkv_bias", "initializer_factor", "hidden_act"})
    ),
    llm=Language(tied=True),
    tokens=Tokens("<view>", "</view>", "<px>", style="class", names=("VIEW", "VIEW_END", "PX")),
    images=Images(stored=TILE_FIELDS, keys={"image_size": "size", "use_thumbnail": "add_overview"}, max_tiles=5),
    omitted=frozenset({"select_layer", "downsample_ratio", "ps_version"}),
    version="v1",
    license="cc-by-nc-4.0",
)

AVOCET = Recipe(
    "avocet-wide",
    (
        "connector of another width",
        "custom LN eps",
        "vision_encoder/projector/language_model",
        "RMS norm and qk-norm tower",
    ),
    seed=20,
    names=Names(
        "avocet_chat",
        "AvocetChatModel",
        "avocet",
        "Avocet",
        tower="vision_encoder",
        connector="projector",
        llm="language_model",
        text_key="language_config",
        keys={"max_dynamic_patch": "max_tiles", "min_dynamic_patch": "min_tiles"},
    ),
    tower=Tower(
        class_name="AvocetVisionModel", norm_type="rms_norm", qk_normalization=True, qkv_bias=False, layer_norm_eps=1e-5
    ),
    connector=Connector(mid=192, mid_key="projector_hidden_size", norm_eps=3e-6),
    tokens=Tokens("<|img|>", "<|/img|>", "<|ctx|>", style="class", names=("START", "END", "CTX")),
    images=Images(source="functions", max_tiles=4),
    settings=(*VL_SETTINGS, "mid"),
    post_init=False,
)

KNOT = Recipe(
    "knot-single",
    ("one square per image", "bilinear", "mean/std 0.5 by default", "no LN, no bias", "Llama tied", "8x8 patches"),
    seed=22,
    names=Names(
        "knot",
        "KnotVLModel",
        "knot_vl",
        "Knot",
        tower="vit",
        connector="aligner",
        llm="llm",
        text_key="llm_cfg",
        vision_key="vit_cfg",
        keys={"select_layer": "vit_out", "ps_version": "unshuffle", "downsample_ratio": "ratio"},
        context_attr="ctx_id",
    ),
    tower=Tower(class_name="KnotViT", image_size=56, patch_size=7),
    llm=Language("llama", tied=True),
    connector=Connector(norm=False, bias=False),
    tokens=Tokens("[IMG]", "[/IMG]", "[PATCH]", "[image]", names=("img_start", "img_end", "img_patch")),
    images=Images(
        scheme="single", mean=HALF[0], std=HALF[1], resample="bilinear", stored=frozenset({"image_size"}),
        keys={"image_size": "side"}, max_tiles=1, use_thumbnail=False,
    ),
    license=None,
)  # fmt: skip

SNIPE = Recipe(
    "snipe-internlm-tied",
    (
        "own InternLM2-like decoder, tied",
        "vit/connector/llm",
        "lanczos",
        "tiles from 2",
        "module constants",
        "CLIP mean/std",
    ),
    seed=26,
    names=Names(
        "snipe",
        "SnipeModel",
        "snipe",
        "Snipe",
        tower="vit",
        connector="connector",
        llm="llm",
        text_key="language",
        vision_key="vision",
        keys={"select_layer": "layer", "downsample_ratio": "scale", "ps_version": "version"},
        auto_keys=("AutoModel",),
    ),
    tower=Tower(style="short", class_name="SnipeViT", num_hidden_layers=3),
    llm=Language("internlm2", tied=True, rms_norm_eps=1e-5),
    tokens=Tokens("<IMG>", "</IMG>", "<IMG_PAD>", style="module", names=("IMG_BEGIN", "IMG_FINISH", "IMG_PAD")),
    images=Images(mean=CLIP[0], std=CLIP[1], resample="lanczos", min_tiles=2, constants=("OPENAI_MEAN", "OPENAI_STD")),
    select_layer=-2,
    version="v1",
    license="mit",
    license_file=True,
)

WHIMBREL = Recipe(
    "whimbrel-plain-names",
    (
        "nothing renamed but the architecture and one key",
        "v1",
        "select_layer -2",
        "Qwen3",
        "bilinear in code",
        "no thumbnail",
    ),
    seed=28,
    names=Names(
        "whimbrel_chat", "WhimbrelChatModel", "whimbrel_chat", "Whimbrel", keys={"downsample_ratio": "down_ratio"}
    ),
    tower=Tower(class_name="WhimbrelVisionModel", num_hidden_layers=3, qkv_bias=False),
    llm=Language("qwen3"),
    images=Images(
        source="functions", use_thumbnail=False, resample="bilinear", max_tiles=6, constants=("PIXEL_MEAN", "PIXEL_STD")
    ),
    version="v1",
    select_layer=-2,
    settings=VL_SETTINGS,
    post_init=False,
    license="mit",
)

RECIPES = (HERON, PLOVER, JACANA, DUNLIN, AVOCET, KNOT, SNIPE, WHIMBREL)

"""Shapes of InternVL's descendants in vLLM, written anew: config keys, tensor names and tokens as those have them.

They are no part of `variants()`: a port is proved for each by `bench/families.py`, and planned by tests/families.
"""

from __future__ import annotations

from dataclasses import replace

from tests.variants.catalog.shared import TILE_FIELDS, VL_SETTINGS
from tests.variants.recipe import CLIP, HALF, Connector, Images, Language, Names, Recipe, Tokens, Tower

QIANFAN = Recipe(
    "as-qianfan-ocr",
    ("InternViT with qk norm", "Qwen3", "v2", "nothing renamed but the architecture and model_type"),
    seed=101,
    names=Names("qianfan_like", "QianfanOCRLikeModel", "qianfan_like", "Qianfan", prefix="Qianfan"),
    tower=Tower(class_name="QianfanVisionModel", norm_type="rms_norm", qk_normalization=True, qkv_bias=False),
    llm=Language("qwen3"),
    images=Images(source="functions", max_tiles=6),
    settings=VL_SETTINGS,
    post_init=False,
)

H2OVL = Recipe(
    "as-h2ovl",
    ("InternViT", "Llama", "image alone is cut twice (msac)", "v2"),
    seed=102,
    names=Names("h2ovl_chat", "H2OVLChatModel", "h2ovl_chat", "H2OVL"),
    tower=Tower(class_name="H2OVLVisionModel"),
    llm=Language("llama", rms_norm_eps=1e-5),
    images=Images(source="functions", max_tiles=6, passes=2),
    settings=VL_SETTINGS,
    extra_config={"use_msac": True},
    post_init=False,
)

H2OVL_ONCE = replace(
    H2OVL,
    name="as-h2ovl-once",
    axes=("InternViT", "Llama", "one pass", "v2"),
    seed=103,
    images=Images(source="functions", max_tiles=6),
    extra_config={"use_msac": False},
)

NVLM = Recipe(
    "as-nvlm-d",
    ("InternViT", "Qwen2", "a tag before each tile", "connector without bias as wide as the decoder's MLP"),
    seed=104,
    names=Names("NVLM_D", "NVLM_D", "nvlm_d", "NVLM-D", keys={"image_token_id": "img_context_token_id"}),
    tower=Tower(class_name="NVLMVisionModel"),
    llm=Language(intermediate_size=320),
    connector=Connector(bias=False, mid=320, mid_key="llm_config.intermediate_size"),
    tokens=Tokens(
        "<Image>", "</Image>", "<|vision_pad|>", tags=("<tile_{}>", "<tile_global_thumbnail>"),
        before=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    ),
    images=Images(source="functions", max_tiles=6),
    settings=VL_SETTINGS,
    post_init=False,
)  # fmt: skip

EAGLE = Recipe(
    "as-eagle2-5-vl",
    ("SigLIP", "Qwen2", "two connector layers and pixel shuffle, chosen by keys"),
    seed=105,
    names=Names(
        "eagle_2_5_vl", "Eagle2_5_VLForConditionalGeneration", "eagle2_5_vl", "Eagle2-5-VL", prefix="Eagle",
        text_key="text_config",
        keys={
            "image_token_id": "image_token_index",
            "min_dynamic_patch": "min_dynamic_tiles",
            "max_dynamic_patch": "max_dynamic_tiles",
        },
        context_attr="image_token_index",
    ),
    tower=Tower("siglip", "native", hidden_act="gelu_pytorch_tanh", head=False),
    connector=Connector(switch="mlp_connector_layers"),
    tokens=Tokens(style="processor", names=("image_start_token", "image_end_token", "image_token")),
    images=Images(source="auto_processor", mean=HALF[0], std=HALF[1], max_tiles=6),
    version_source="code",
    shuffle_key="use_pixel_shuffle",
    settings=(
        "select_layer", "force_image_size", "downsample_ratio", "image_token_id", "dynamic_image_size",
        "use_thumbnail", "min_dynamic_patch", "max_dynamic_patch",
    ),
)  # fmt: skip

EAGLE_PLAIN = replace(
    EAGLE,
    name="as-eagle2-5-vl-plain",
    axes=("SigLIP", "Qwen3 tied", "one connector layer and no pixel shuffle, chosen by keys"),
    seed=107,
    llm=Language("qwen3", tied=True),
    connector=Connector(switch="mlp_connector_layers", norm=False, linears=1),
    shuffle=False,
)

EAGLE_ONE = replace(
    EAGLE,
    name="as-eagle2-5-vl-one",
    axes=("SigLIP", "Qwen2", "one connector layer behind the pixel shuffle, chosen by keys"),
    seed=109,
    connector=Connector(switch="mlp_connector_layers", norm=False, linears=1),
)

EAGLE_TENSORS = replace(
    EAGLE_PLAIN,
    name="as-eagle2-5-vl-tensors",
    axes=("SigLIP", "Qwen3 tied", "tiles cut from tensors, in a grid by area and aspect", "numbered images"),
    seed=113,
    images=replace(EAGLE.images, scheme="tiles"),
    tokens=replace(EAGLE.tokens, placeholder="<image-{}>", label="<image {}>"),
)

NEMOTRON = Recipe(
    "as-nemotron-nano-vl",
    ("RADIO with registers, normalises inside", "Llama", "context token equals placeholder <image>", "own widths"),
    seed=110,
    names=Names(
        "llama_nemotron_like", "LlamaNemotronLikeVL", "llama_nemotron_like", "Nemotron-VL", text_key="llm_config",
        context_attr="img_context_token_id",
    ),
    tower=Tower("radio", "radio", class_name="RegisterVisionModel"),
    llm=Language("llama", rms_norm_eps=1e-5),
    connector=Connector(mid=192, mid_key="projector_hidden_size"),
    tokens=Tokens(context="<image>", style="module"),
    images=Images(mean=CLIP[0], std=CLIP[1], normalize=False, stored=TILE_FIELDS, max_tiles=6),
    settings=(*VL_SETTINGS, "mid"),
    post_init=False,
)  # fmt: skip

NEMOTRON_ROWS = replace(
    NEMOTRON,
    name="as-nemotron-rows",
    axes=("RADIO with three class tokens and five registers", "Qwen3", "tags of tiles", "other widths"),
    seed=114,
    names=replace(NEMOTRON.names, architecture="RowsVLChatModel", model_type="rows_vl", stem="rows_vl"),
    tower=replace(
        NEMOTRON.tower, hidden_size=96, num_hidden_layers=3, num_attention_heads=3, intermediate_size=160,
        patch_size=8, image_size=48, layer_norm_eps=1e-5, cls_tokens=3, registers=5,
    ),
    llm=Language("qwen3", tied=True),
    connector=Connector(),
    tokens=Tokens("<Image>", "</Image>", "<image>", style="module", tags=("<tile_{}>", "<tile_global_thumbnail>")),
    settings=VL_SETTINGS,
)  # fmt: skip

NEMOTRON_NATIVE = replace(
    NEMOTRON,
    name="as-nemotron-native",
    axes=("transformers' own RADIO", "Qwen2", "v1"),
    seed=115,
    names=replace(NEMOTRON.names, architecture="NativeVLModel", model_type="native_vl", stem="native_vl"),
    tower=Tower("radio", "native", intermediate_size=192, mlp_ratio="mlp_ratio", cls_tokens=2, registers=2),
    llm=Language(),
    version="v1",
)

NEMOTRON_NEAR = replace(
    NEMOTRON_NATIVE,
    name="as-nemotron-near",
    axes=("transformers' own RADIO, positions for larger images", "Llama", "grid by area and aspect", "max_num_tiles"),
    seed=116,
    names=replace(NEMOTRON.names, architecture="NemotronNearVL", model_type="nemotron_near", stem="nemotron_near"),
    tower=replace(NEMOTRON_NATIVE.tower, table_size=112, cls_tokens=3, registers=7),
    llm=Language("llama", rms_norm_eps=1e-5),
    images=replace(NEMOTRON.images, by_area=True, keys={"image_size": "image_size", "max_tiles": "max_num_tiles"}),
    extra_config={"vit_hidden_size": 64, "image_tag_type": "internvl"},
    version="v2",
)

FORCED = Recipe(
    "as-internvl-forced",
    ("InternViT", "Qwen2", "positions stored for larger images than tiles are"),
    seed=117,
    names=Names("forced_chat", "ForcedChatModel", "forced_chat", "Forced", prefix="Forced"),
    tower=Tower(class_name="ForcedVisionModel", table_size=84, fits=True),
    images=Images(source="functions", max_tiles=4),
    settings=VL_SETTINGS,
    post_init=False,
)

EAGLES = (EAGLE, EAGLE_PLAIN, EAGLE_ONE, EAGLE_TENSORS)
NEMOTRONS = (NEMOTRON, NEMOTRON_ROWS, NEMOTRON_NATIVE, NEMOTRON_NEAR)
RECIPES = (QIANFAN, H2OVL, H2OVL_ONCE, NVLM, *EAGLES, *NEMOTRONS, FORCED)

"""Qwen2.5-VL under other names."""

from __future__ import annotations

from dataclasses import replace

from tests.twins.catalog.common import TEXT
from tests.twins.catalog.qwen2_vl import QWEN2_VL, QWEN_TOKENS
from tests.twins.shapes import Edit, Insert, Twin

QWEN2_5_VL = replace(
    QWEN2_VL,
    name="qwen2_5_vl",
    stems=("Qwen2_5_VL", "Qwen2_5_", "Qwen2"),
    base="Qwen2_5_VL",
    config={
        "tie_word_embeddings": False,
        "vision_config": {
            "model_type": "qwen2_5_vl_vision",
            "depth": 3,
            "hidden_size": 64,
            "intermediate_size": 128,
            "hidden_act": "silu",
            "num_heads": 2,
            "in_channels": 3,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "tokens_per_second": 2,
            "window_size": 56,
            "out_hidden_size": 128,
            "fullatt_block_indexes": [1],
        },
        "text_config": {
            "model_type": "qwen2_5_vl_text",
            **TEXT,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        },
    },
    preprocessor={**QWEN2_VL.preprocessor, "processor_class": "Qwen2_5_VLProcessor"},
    video={**QWEN2_VL.video, "processor_class": "Qwen2_5_VLProcessor"},
    vision_classes=(
        "Qwen2_5_VisionPatchEmbed",
        "Qwen2_5_VLVisionRotaryEmbedding",
        "Qwen2_5_VLVisionAttention",
        "Qwen2_5_VLVisionBlock",
        "Qwen2_5_VLMLP",
        "Qwen2_5_VisionTransformerPretrainedModel",
    ),
    vision_config="Qwen2_5_VLVisionConfig",
)
KEYS = {
    "vision_config": "eye_config",
    "image_token_id": "picture_token_id",
    "vision_config.depth": "num_blocks",
    "vision_config.num_heads": "heads",
    "vision_config.intermediate_size": "mlp_width",
    "fullatt_block_indexes": "global_layers",
    "vision_config.window_size": "window",
}
NAMES = {
    "visual": "eyes",
    "merger": "bridge",
    "patch_embed": "stem",
    "ln_q": "pre_norm",
    "Qwen2_5_VLPatchMerger.mlp": "layers",
    "Qwen2_5_VLMLP.gate_proj": "gate",
    "Qwen2_5_VLMLP.up_proj": "up",
    "Qwen2_5_VLMLP.down_proj": "down",
    "permute_input_for_window_attn": "sort_by_window",
    "get_rope_index": "index_positions",
}
SHRIKE = Twin(
    "shrike-subclass",
    QWEN2_5_VL,
    "Shrike",
    "shrike_vl",
    style="subclass",
    keys={"vision_config": "eye_config", "image_token_id": "picture_token_id", "vision_config.window_size": "window"},
    tokens=QWEN_TOKENS,
)
ORIOLE = Twin("oriole-copy", QWEN2_5_VL, "Oriole", "oriole_vl", keys=KEYS, names=NAMES, tokens=QWEN_TOKENS)
SISKIN = Twin(
    "siskin-copy",
    QWEN2_5_VL,
    "Siskin",
    "siskin",
    keys={"text_config": "llm_config", "vision_config": "vit_config"},
    names={"visual": "vision_tower", "language_model": "llm"},
    inserts=(Insert("SiskinModel", "__init__", 'self.register_buffer("pixel_mean", torch.zeros(3))'),),
    values={"vision_config.fullatt_block_indexes": [0, 2]},
)
SCOTER = Twin(
    "scoter-merger",
    QWEN2_5_VL,
    "Scoter",
    "scoter",
    keys={"vision_config": "vit_config"},
    names={"visual": "vision_tower", "ln_q": "norm_in"},
    edits=(
        Edit("Qwen2_5_VLPatchMerger", "nn.GELU()", 'nn.GELU(approximate="tanh")'),
        Edit("Qwen2_5_VLPatchMerger", "dim),", "dim, bias=False),"),
    ),
)
"""Another activation and bias in the connector, whose norm is the file's own."""
LINNET = Twin(
    "linnet-near",
    QWEN2_5_VL,
    "Linnet",
    "linnet_vl",
    keys=KEYS,
    names=NAMES,
    tokens=QWEN_TOKENS,
    edits=(
        Edit(
            "Qwen2_5_VLVisionBlock",
            "hidden_states + self.mlp(self.norm2(hidden_states))",
            "self.norm2(hidden_states + self.mlp(hidden_states))",
        ),
    ),
    near_miss="a tower block norms after its MLP's residual",
)
ONE_BY_ONE = """places = torch.arange(input_ids.shape[1], device=input_ids.device).view(1, 1, -1)
        if input_ids.shape[1]:
            return places.expand(3, input_ids.shape[0], -1), input_ids.new_zeros((input_ids.shape[0], 1))
        """
MERGE = "spatial_merge_size = self.config.vision_config.spatial_merge_size"
TWITE = Twin(
    "twite-one-d",
    QWEN2_5_VL,
    "Twite",
    "twite_vl",
    keys=KEYS,
    names=NAMES,
    tokens=QWEN_TOKENS,
    edits=(Edit("Qwen2_5_VLModel", MERGE, ONE_BY_ONE + MERGE),),
)
"""Positions count the tokens one by one, as vLLM's own `opencua.py` has them."""
JABIRU = replace(
    TWITE,
    name="jabiru-near",
    title="Jabiru",
    model_type="jabiru_vl",
    edits=(Edit("Qwen2_5_VLModel", MERGE, ONE_BY_ONE.replace(".view(1, 1, -1)", ".view(1, 1, -1) // 2") + MERGE),),
    near_miss="positions count the tokens two by two",
)
TWINS = (SHRIKE, ORIOLE, SISKIN, TWITE, JABIRU, SCOTER, LINNET)

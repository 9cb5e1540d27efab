"""Qwen3-VL under other names."""

from __future__ import annotations

from dataclasses import replace

from tests.twins.catalog.common import HALF, TEXT
from tests.twins.catalog.qwen2_vl import QWEN2_VL, QWEN_TOKENS
from tests.twins.shapes import Edit, Insert, Twin

PIXELS = {
    "processor_class": "Qwen3VLProcessor",
    "size": {"shortest_edge": 4096, "longest_edge": 65536},
    "patch_size": 16,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": HALF,
    "image_std": HALF,
}
QWEN3_VL = replace(
    QWEN2_VL,
    name="qwen3_vl",
    stems=("Qwen3VL",),
    base="Qwen3VL",
    config={
        "tie_word_embeddings": False,
        "vision_config": {
            "model_type": "qwen3_vl_vision",
            "depth": 3,
            "hidden_size": 64,
            "intermediate_size": 128,
            "hidden_act": "gelu_pytorch_tanh",
            "num_heads": 2,
            "in_channels": 3,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 128,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1],
        },
        "text_config": {
            "model_type": "qwen3_vl_text",
            **TEXT,
            "num_hidden_layers": 3,
            "head_dim": 32,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
        },
    },
    preprocessor={"image_processor_type": "Qwen2VLImageProcessor", **PIXELS},
    video={"video_processor_type": "Qwen3VLVideoProcessor", **PIXELS},
    named_tokens={
        **QWEN2_VL.named_tokens,
        "vision_start_token": "<|vision_start|>",
        "vision_end_token": "<|vision_end|>",
    },
    vision_classes=(
        "Qwen3VLVisionMLP",
        "Qwen3VLVisionPatchEmbed",
        "Qwen3VLVisionRotaryEmbedding",
        "Qwen3VLVisionPatchMerger",
        "Qwen3VLVisionAttention",
        "Qwen3VLVisionBlock",
        "Qwen3VLVisionModel",
    ),
    vision_config="Qwen3VLVisionConfig",
    edits=(
        Edit("Qwen3VLModel", "AutoModel.from_config(config.vision", "Qwen3VLVisionModel._from_config(config.vision"),
        Edit("Qwen3VLModel", "AutoModel.from_config(config.text", "Qwen3VLTextModel._from_config(config.text"),
    ),
)
KEYS = {
    "vision_config": "eye_config",
    "image_token_id": "picture_token_id",
    "vision_config.depth": "num_blocks",
    "vision_config.num_heads": "heads",
    "deepstack_visual_indexes": "tap_layers",
    "num_position_embeddings": "num_positions",
}
NAMES = {
    "visual": "eyes",
    "merger": "bridge",
    "deepstack_merger_list": "side_bridges",
    "patch_embed": "stem",
    "pos_embed": "places",
    "Qwen3VLVisionPatchMerger.linear_fc1": "widen",
    "Qwen3VLVisionPatchMerger.linear_fc2": "project",
    "Qwen3VLVisionPatchMerger.norm": "pre_norm",
}
DIPPER = Twin(
    "dipper-subclass",
    QWEN3_VL,
    "Dipper",
    "dipper_vl",
    style="subclass",
    keys={"vision_config": "eye_config", "image_token_id": "picture_token_id", "vision_config.depth": "blocks"},
    tokens=QWEN_TOKENS,
)
WREN = Twin("wren-copy", QWEN3_VL, "Wren", "wren_vl", keys=KEYS, names=NAMES, tokens=QWEN_TOKENS)
ROBIN = Twin(
    "robin-copy",
    QWEN3_VL,
    "Robin",
    "robin",
    keys={"text_config": "llm_config", "vision_config": "vit_config"},
    names={"visual": "vision_tower", "language_model": "llm"},
    inserts=(Insert("RobinModel", "__init__", 'self.register_buffer("pixel_mean", torch.zeros(3))'),),
    values={"vision_config.deepstack_visual_indexes": [1]},
)
THRUSH = Twin(
    "thrush-near",
    QWEN3_VL,
    "Thrush",
    "thrush_vl",
    keys=KEYS,
    names=NAMES,
    tokens=QWEN_TOKENS,
    edits=(Edit("Qwen3VLVisionPatchMerger", "nn.GELU()", 'nn.GELU("tanh")'),),
    near_miss="the mergers' exact GELU is its tanh approximation",
)
TWINS = (DIPPER, WREN, ROBIN, THRUSH)

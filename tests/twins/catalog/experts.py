"""Models whose decoder has experts: Qwen3-VL-MoE and Aria."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.twins.catalog.common import ENDS, HALF, TEXT
from tests.twins.catalog.idefics3 import VISION
from tests.twins.catalog.qwen3_vl import QWEN3_VL
from tests.twins.catalog.standard import standard
from tests.twins.shapes import Edit, Family


def moe(config: Any) -> dict[str, Any]:
    vision = {**config["vision_config"], "model_type": "qwen3_vl_moe_vision"}
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "mlp_only_layers": [0]}
    text = {**config["text_config"], "model_type": "qwen3_vl_moe_text", **experts}
    return {**config, "vision_config": vision, "text_config": text}


def renamed(text: str) -> str:
    return text.replace("Qwen3VL", "Qwen3VLMoe")


QWEN3_VL_MOE = replace(
    QWEN3_VL,
    name="qwen3_vl_moe",
    stems=("Qwen3VLMoe",),
    base="Qwen3VLMoe",
    config=moe(QWEN3_VL.config),
    vision_classes=tuple(map(renamed, QWEN3_VL.vision_classes)),
    vision_config="Qwen3VLMoeVisionConfig",
    edits=tuple(Edit(renamed(edit.owner), edit.old, renamed(edit.new)) for edit in QWEN3_VL.edits),
)
MOE_TWINS = standard(
    QWEN3_VL_MOE,
    ("bluethroat", "whitethroat", "blackcap", "garganey"),
    {"visual": "eyes", "merger": "bridge", "deepstack_merger_list": "side_bridges", "patch_embed": "stem"},
    (Edit("Qwen3VLMoeVisionPatchMerger", "nn.GELU()", 'nn.GELU("tanh")'), "the mergers' GELU is an approximation"),
)
ARIA = Family(
    name="aria",
    stems=("Aria",),
    base="Aria",
    config={
        "tie_word_embeddings": False,
        "projector_patch_to_query_dict": {"16": 4},
        "vision_config": VISION,
        "text_config": {
            "model_type": "aria_text",
            **TEXT,
            "moe_num_experts": 4,
            "moe_topk": 2,
            "moe_num_shared_experts": 1,
            "head_dim": 32,
        },
    },
    tokens=("<|img|>", "<fim_prefix>"),
    token_keys={"image_token_index": "<|img|>", **ENDS},
    image="<|img|>",
    preprocessor={
        "image_processor_type": "AriaImageProcessor",
        "processor_class": "AriaProcessor",
        "max_image_size": 56,
        "min_image_size": 28,
        "image_mean": HALF,
        "image_std": HALF,
    },
    processor={"processor_class": "AriaProcessor", "size_conversion": {"56": 4}},
    named_tokens={"image_token": "<|img|>"},
)
TWINS = MOE_TWINS

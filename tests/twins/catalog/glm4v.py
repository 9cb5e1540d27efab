"""GLM-4.1V under other names."""

from __future__ import annotations

from tests.twins.catalog.common import CLIP_MEAN, CLIP_STD, TEXT
from tests.twins.catalog.standard import standard
from tests.twins.shapes import Edit, Family

PIXELS = {
    "processor_class": "Glm4vProcessor",
    "size": {"shortest_edge": 3136, "longest_edge": 401408},
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
}
TOKENS = tuple(
    f"<|{name}|>" for name in ("begin_of_image", "image", "end_of_image", "begin_of_video", "video", "end_of_video")
)
GLM4V = Family(
    name="glm4v",
    stems=("Glm4v", "Glm4"),
    base="Glm4v",
    config={
        "tie_word_embeddings": False,
        "vision_config": {
            "model_type": "glm4v_vision",
            "depth": 2,
            "hidden_size": 64,
            "hidden_act": "silu",
            "num_heads": 2,
            "in_channels": 3,
            "image_size": 56,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 128,
            "intermediate_size": 128,
        },
        "text_config": {
            "model_type": "glm4v_text",
            **TEXT,
            "eos_token_id": None,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.5,
                "mrope_section": [2, 3, 3],
            },
        },
    },
    tokens=TOKENS,
    token_keys={
        "image_token_id": "<|image|>",
        "video_token_id": "<|video|>",
        "image_start_token_id": "<|begin_of_image|>",
        "image_end_token_id": "<|end_of_image|>",
        "video_start_token_id": "<|begin_of_video|>",
        "video_end_token_id": "<|end_of_video|>",
    },
    image="<|begin_of_image|><|image|><|end_of_image|>",
    preprocessor={"image_processor_type": "Glm4vImageProcessor", **PIXELS},
    processor={},
    video={"video_processor_type": "Glm4vVideoProcessor", **PIXELS},
    named_tokens={"image_token": "<|image|>", "video_token": "<|video|>"},
    vision_classes=("Glm4VisionMlp", "Glm4vVisionPatchEmbed", "Glm4vVisionRotaryEmbedding", "Glm4vVisionEmbeddings",
                    "Glm4vVisionAttention", "Glm4vVisionBlock", "Glm4vVisionModel"),
    vision_config="Glm4vVisionConfig",
)  # fmt: skip
NAMES = {
    "visual": "eyes",
    "merger": "bridge",
    "patch_embed": "stem",
    "post_conv_layernorm": "norm_in",
    "downsample": "halve",
}
GLM4V_TWINS = standard(
    GLM4V,
    ("avocet", "redpoll", "twinspot", "brent"),
    NAMES,
    (Edit("Glm4vVisionPatchMerger", "self.act1(self.post_projection_norm(hidden_state))", "self.act1(hidden_state)"),
     "the merger leaves its norm out"),
)  # fmt: skip
TWINS = GLM4V_TWINS

"""PaddleOCR-VL under other names."""

from __future__ import annotations

from tests.twins.catalog.common import CLIP_MEAN, CLIP_STD, TEXT
from tests.twins.catalog.standard import standard
from tests.twins.shapes import Edit, Family

PADDLEOCR_VL = Family(
    name="paddleocr_vl",
    stems=("PaddleOCRVL", "PaddleOCR"),
    base="PaddleOCRVL",
    config={
        "tie_word_embeddings": False,
        "vision_config": {
            "model_type": "paddleocr_vl_vision",
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
            "spatial_merge_size": 2,
        },
        "text_config": {
            "model_type": "paddleocr_vl_text",
            **TEXT,
            "eos_token_id": None,
            "pad_token_id": None,
            "head_dim": 32,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        },
    },
    tokens=("<|IMAGE_START|>", "<|IMAGE_PLACEHOLDER|>", "<|IMAGE_END|>", "<|VIDEO_PLACEHOLDER|>"),
    token_keys={
        "image_token_id": "<|IMAGE_PLACEHOLDER|>",
        "video_token_id": "<|VIDEO_PLACEHOLDER|>",
        "vision_start_token_id": "<|IMAGE_START|>",
        "vision_end_token_id": "<|IMAGE_END|>",
    },
    image="<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>",
    preprocessor={
        "image_processor_type": "PaddleOCRVLImageProcessor",
        "processor_class": "PaddleOCRVLProcessor",
        "size": {"shortest_edge": 3136, "longest_edge": 401408},
        "patch_size": 14,
        "temporal_patch_size": 1,
        "merge_size": 2,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    },
    processor={},
    named_tokens={"image_token": "<|IMAGE_PLACEHOLDER|>"},
    vision_classes=("PaddleOCRProjector", "PaddleOCRVisionRotaryEmbedding", "PaddleOCRVisionEmbeddings",
                    "PaddleOCRVisionAttention", "PaddleOCRVisionMLP", "PaddleOCRVisionEncoderLayer",
                    "PaddleOCRVisionEncoder", "PaddleOCRVisionTransformer", "PaddleOCRVisionModel"),
    vision_config="PaddleOCRVisionConfig",
)  # fmt: skip
TWINS = standard(
    PADDLEOCR_VL,
    ("bullfinch", "hawfinch", "goldcrest", "firecrest"),
    {"visual": "eyes", "linear_1": "widen", "linear_2": "project", "pre_norm": "norm_in"},
    (Edit("PaddleOCRProjector", "self.pre_norm(image_feature)", "image_feature"), "the projector leaves its norm out"),
)

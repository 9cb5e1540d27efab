"""Models whose connector folds neighbouring patches into one: Cohere2-Vision and transformers' own InternVL."""

from __future__ import annotations

from tests.twins.catalog.common import CLIP_MEAN, CLIP_STD, ENDS, SIGLIP, TEXT
from tests.twins.catalog.standard import standard
from tests.twins.shapes import Edit, Family

COHERE2_VISION = Family(
    name="cohere2_vision",
    stems=("Cohere2Vision",),
    base="Cohere2Vision",
    config={
        "tie_word_embeddings": True,
        "downsample_factor": 2,
        "alignment_intermediate_size": 128,
        "vision_config": SIGLIP,
        "text_config": {
            **{key: value for key, value in TEXT.items() if key not in ("rms_norm_eps", "tie_word_embeddings")},
            "model_type": "cohere2",
            "logit_scale": 0.5,
            "layer_norm_eps": 1e-5,
            "sliding_window": 64,
            "layer_types": ["sliding_attention", "full_attention"],
            "tie_word_embeddings": True,
        },
    },
    tokens=("<|START_OF_IMG|>", "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>", "<|END_OF_IMG|>"),
    token_keys={"image_token_id": "<|IMG_PATCH|>", **ENDS},
    image="<|IMG_PATCH|>",
    preprocessor={
        "image_processor_type": "Cohere2VisionImageProcessor",
        "processor_class": "Cohere2VisionProcessor",
        "size": {"height": 56, "width": 56},
        "patch_size": 2,
        "min_patches": 1,
        "max_patches": 4,
        "crop_to_patches": True,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    },
    processor={"processor_class": "Cohere2VisionProcessor"},
    named_tokens={
        "boi_token": "<|START_OF_IMG|>",
        "eoi_token": "<|END_OF_IMG|>",
        "image_token": "<|IMG_PATCH|>",
        "img_line_break_token": "<|IMG_LINE_BREAK|>",
    },
)
COHERE_TWINS = standard(
    COHERE2_VISION,
    ("ptarmigan", "capercaillie", "corncrake", "moorhen"),
    {"vision_tower": "eyes", "multi_modal_projector": "bridge", "linear_1": "widen", "linear_2": "project"},
    (Edit("Cohere2VisionMultiModalProjector", "x, gate = hidden_states.chunk(2, dim=-1)",
          "gate, x = hidden_states.chunk(2, dim=-1)"), "the gate is the other half"),
)  # fmt: skip
INTERNVL = Family(
    name="internvl",
    stems=("InternVL",),
    base="InternVL",
    config={
        "tie_word_embeddings": False,
        "image_seq_length": 4,
        "downsample_ratio": 0.5,
        "vision_config": {
            "model_type": "internvl_vision",
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "attention_bias": True,
            "image_size": [56, 56],
            "patch_size": [14, 14],
        },
        "text_config": {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], **TEXT},
    },
    tokens=("<img>", "<IMG_CONTEXT>", "</img>", "<video>"),
    token_keys={"image_token_id": "<IMG_CONTEXT>", **ENDS},
    image="<IMG_CONTEXT>",
    preprocessor={
        "image_processor_type": "GotOcr2ImageProcessor",
        "processor_class": "InternVLProcessor",
        "size": {"height": 56, "width": 56},
        "min_patches": 1,
        "max_patches": 4,
        "crop_to_patches": True,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    },
    processor={"processor_class": "InternVLProcessor", "image_seq_length": 4},
    video={"video_processor_type": "InternVLVideoProcessor", "processor_class": "InternVLProcessor",
           "size": {"height": 56, "width": 56}},
    named_tokens={
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    },
    vision_classes=("InternVLVisionAttention", "InternVLVisionPatchEmbeddings", "InternVLVisionEmbeddings",
                    "InternVLVisionMLP", "InternVLVisionLayer", "InternVLVisionEncoder", "InternVLVisionModel"),
    vision_config="InternVLVisionConfig",
    edits=(Edit("InternVLModel", "AutoModel.from_config(config.vision",
                "InternVLVisionModel._from_config(config.vision"),),
)  # fmt: skip
INTERNVL_TWINS = standard(
    INTERNVL,
    ("lapwing", "phalarope", "sanderling", "dunlinet"),
    {"multi_modal_projector": "bridge", "linear_1": "widen", "linear_2": "project", "lambda_1": "scale_one"},
    (
        Edit("InternVLMultiModalProjector", "self.layer_norm(image_features)", "image_features"),
        "the projector leaves its norm out",
    ),
)
TWINS = (*COHERE_TWINS, *INTERNVL_TWINS)

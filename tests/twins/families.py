"""The families at a tiny size, under transformers' own names."""

from __future__ import annotations

from tests.twins.shapes import Family

TEXT = {
    "vocab_size": 384,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "bos_token_id": None,
}
ENDS = {"text_config.eos_token_id": "<|im_end|>", "text_config.pad_token_id": "<|endoftext|>"}
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
HALF = [0.5, 0.5, 0.5]

QWEN2_VL = Family(
    name="qwen2_vl",
    stems=("Qwen2VL", "Qwen2"),
    base="Qwen2VL",
    config={
        "tie_word_embeddings": False,
        "vision_config": {
            "model_type": "qwen2_vl_vision",
            "depth": 2,
            "embed_dim": 64,
            "hidden_size": 128,
            "hidden_act": "quick_gelu",
            "mlp_ratio": 2,
            "num_heads": 2,
            "in_channels": 3,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        "text_config": {
            "model_type": "qwen2_vl_text",
            **TEXT,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        },
    },
    tokens=("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
    token_keys={
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
        **ENDS,
    },
    image="<|vision_start|><|image_pad|><|vision_end|>",
    preprocessor={
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
        "min_pixels": 3136,
        "max_pixels": 50176,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    },
    processor={},
    named_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    video={
        "video_processor_type": "Qwen2VLVideoProcessor",
        "processor_class": "Qwen2VLProcessor",
        "min_pixels": 3136,
        "max_pixels": 50176,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    },
    vision_classes=("PatchEmbed", "VisionAttention", "Qwen2VLVisionBlock", "Qwen2VLVisionRotaryEmbedding",
                    "Qwen2VisionTransformerPretrainedModel"),
    vision_config="Qwen2VLVisionConfig",
)  # fmt: skip

ROW_COL = tuple(f"<row_{row}_col_{col}>" for row in range(1, 5) for col in range(1, 5))
IDEFICS3 = Family(
    name="idefics3",
    stems=("Idefics3",),
    base="Idefics3",
    config={
        "tie_word_embeddings": False,
        "scale_factor": 2,
        "vision_config": {
            "model_type": "idefics3_vision",
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
            "hidden_act": "gelu_pytorch_tanh",
        },
        "text_config": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "head_dim": 32, **TEXT},
    },
    tokens=("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *ROW_COL),
    token_keys={"image_token_id": "<image>", "pad_token_id": "<|endoftext|>", **ENDS},
    image="<image>",
    preprocessor={
        "image_processor_type": "Idefics3ImageProcessor",
        "processor_class": "Idefics3Processor",
        "do_convert_rgb": True,
        "do_image_splitting": True,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "size": {"longest_edge": 112},
        "max_image_size": {"longest_edge": 56},
        "image_mean": HALF,
        "image_std": HALF,
        "resample": 1,
    },
    processor={"processor_class": "Idefics3Processor", "image_seq_len": 4},
    vision_classes=("Idefics3VisionEmbeddings", "Idefics3VisionAttention", "Idefics3VisionMLP", "Idefics3EncoderLayer",
                    "Idefics3Encoder", "Idefics3VisionTransformer"),
    vision_config="Idefics3VisionConfig",
)  # fmt: skip

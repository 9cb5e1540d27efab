# Copyright 2025 The Skylark Authors. Licensed under the Apache License, Version 2.0.
"""Configuration of Skylark-VL: an image encoder, a connector and a Qwen2 decoder."""

from transformers import PretrainedConfig, Qwen2Config


class SkylarkVisualConfig(PretrainedConfig):
    model_type = "skylark_visual"

    def __init__(
        self,
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        num_channels=3,
        image_size=448,
        patch_size=14,
        hidden_act="gelu",
        norm_type="layer_norm",
        layer_norm_eps=1e-6,
        qkv_bias=True,
        qk_normalization=False,
        initializer_factor=0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_channels = num_channels
        self.image_size = image_size
        self.patch_size = patch_size
        self.hidden_act = hidden_act
        self.norm_type = norm_type
        self.layer_norm_eps = layer_norm_eps
        self.qkv_bias = qkv_bias
        self.qk_normalization = qk_normalization
        self.initializer_factor = initializer_factor


class SkylarkVLConfig(PretrainedConfig):
    model_type = "skylark_vl"
    sub_configs = {"visual_config": SkylarkVisualConfig, "language_config": Qwen2Config}

    def __init__(
        self,
        visual_config=None,
        language_config=None,
        vision_feature_layer=-1,
        shuffle_ratio=0.5,
        shuffle_version="v2",
        pixel_mean=(0.485, 0.456, 0.406),
        pixel_std=(0.229, 0.224, 0.225),
        vision_token_id=None,
        **kwargs,
    ):
        if isinstance(visual_config, PretrainedConfig):
            visual_config = visual_config.to_dict()
        if isinstance(language_config, PretrainedConfig):
            language_config = language_config.to_dict()
        self.visual_config = SkylarkVisualConfig(**(visual_config or {}))
        self.language_config = Qwen2Config(**(language_config or {}))
        self.vision_feature_layer = vision_feature_layer
        self.shuffle_ratio = shuffle_ratio
        self.shuffle_version = shuffle_version
        self.pixel_mean = list(pixel_mean)
        self.pixel_std = list(pixel_std)
        self.vision_token_id = vision_token_id
        kwargs.setdefault("tie_word_embeddings", self.language_config.tie_word_embeddings)
        super().__init__(**kwargs)

    def get_text_config(self, decoder=None, encoder=None):
        return self.language_config

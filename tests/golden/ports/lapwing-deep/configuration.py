# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from typing import Any

from transformers import AutoConfig, PreTrainedConfig


class LapwingModelForVisionVisionConfig(PreTrainedConfig):
    model_type = "lapwing_vision"
    attribute_map = {
        "hidden_size": "width",
        "image_size": "resolution",
        "patch_size": "patch",
        "num_attention_heads": "heads",
        "qk_normalization": "qk_norm",
        "layer_norm_eps": "norm_eps",
        "hidden_act": "act",
        "norm_type": "norm",
        "num_hidden_layers": "depth",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.intermediate_size = int(
            kwargs.get("width", 0) * kwargs.get("mlp_ratio", 0)
        )


class LapwingModelForVisionConfig(PreTrainedConfig):
    model_type = "lapwing"
    sub_configs = {
        "vision_config": LapwingModelForVisionVisionConfig,
        "lm_config": AutoConfig,
    }
    attribute_map = {"text_config": "lm_config"}

    def __init__(self, **kwargs: Any) -> None:
        vision_config = kwargs.pop("vision_config", None)
        if vision_config is None:
            vision_config = kwargs.get("mm", {}).get("vision", {})
        text_config = kwargs.pop("lm_config", None) or {}
        self.vision_config = LapwingModelForVisionVisionConfig(**vision_config)
        self.text_config = AutoConfig.for_model(
            **{"model_type": "qwen2", **text_config}
        )
        values = {
            "force_image_size": None,
            "downsample_ratio": 0.5,
            "ps_version": "v2",
            "dynamic_image_size": True,
            **kwargs,
            "select_layer": kwargs.get("mm", {}).get("feature_layer", -1),
            "tie_word_embeddings": text_config.get("tie_word_embeddings", False),
        }
        super().__init__(**values)

# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from typing import Any

from transformers import AutoConfig, PreTrainedConfig


class OspreyVisionConfig(PreTrainedConfig):
    model_type = "osprey_vlm_vision"


class OspreyConfig(PreTrainedConfig):
    model_type = "osprey_vlm"
    sub_configs = {"visual_config": OspreyVisionConfig, "language_config": AutoConfig}
    attribute_map = {
        "downsample_ratio": "shuffle_ratio",
        "select_layer": "vit_layer",
        "vision_config": "visual_config",
        "text_config": "language_config",
    }

    def __init__(self, **kwargs: Any) -> None:
        vision_config = kwargs.pop("visual_config", None) or {}
        text_config = kwargs.pop("language_config", None) or {}
        self.vision_config = OspreyVisionConfig(**vision_config)
        self.text_config = AutoConfig.for_model(
            **{"model_type": "qwen2", **text_config}
        )
        values = {
            "force_image_size": None,
            "ps_version": "v1",
            "dynamic_image_size": True,
            **kwargs,
            "tie_word_embeddings": text_config.get("tie_word_embeddings", True),
        }
        super().__init__(**values)

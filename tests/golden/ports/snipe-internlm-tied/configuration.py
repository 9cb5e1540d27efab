# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from typing import Any

from transformers import PreTrainedConfig


class SnipeVisionConfig(PreTrainedConfig):
    model_type = "snipe_vision"


class SnipeTextConfig(PreTrainedConfig):
    model_type = "internlm2"


class SnipeConfig(PreTrainedConfig):
    model_type = "snipe"
    sub_configs = {"vision": SnipeVisionConfig, "language": SnipeTextConfig}
    attribute_map = {
        "downsample_ratio": "scale",
        "ps_version": "version",
        "select_layer": "layer",
        "vision_config": "vision",
        "text_config": "language",
    }

    def __init__(self, **kwargs: Any) -> None:
        vision_config = kwargs.pop("vision", None) or {}
        text_config = kwargs.pop("language", None) or {}
        self.vision_config = SnipeVisionConfig(**vision_config)
        self.text_config = SnipeTextConfig(**text_config)
        values = {
            "force_image_size": None,
            "dynamic_image_size": True,
            **kwargs,
            "tie_word_embeddings": text_config.get("tie_word_embeddings", True),
        }
        super().__init__(**values)

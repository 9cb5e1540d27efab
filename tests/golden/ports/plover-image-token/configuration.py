# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from typing import Any

from transformers import AutoConfig, PreTrainedConfig


class PloverVLVisionConfig(PreTrainedConfig):
    model_type = "plover_vision"


class PloverVLConfig(PreTrainedConfig):
    model_type = "plover"
    sub_configs = {"vision_config": PloverVLVisionConfig, "text_config": AutoConfig}
    attribute_map = {"select_layer": "vision_select_layer"}

    def __init__(self, **kwargs: Any) -> None:
        vision_config = kwargs.pop("vision_config", None) or {}
        text_config = kwargs.pop("text_config", None) or {}
        self.vision_config = PloverVLVisionConfig(**vision_config)
        self.text_config = AutoConfig.for_model(
            **{"model_type": "llama", **text_config}
        )
        values = {
            "force_image_size": None,
            "ps_version": "v1",
            "dynamic_image_size": True,
            **kwargs,
            "tie_word_embeddings": text_config.get("tie_word_embeddings", False),
        }
        super().__init__(**values)

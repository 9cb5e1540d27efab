# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from typing import Any

from transformers import AutoConfig, PreTrainedConfig


class HeronVisionConfig(PreTrainedConfig):
    model_type = "heron_chat_vision"


class HeronConfig(PreTrainedConfig):
    model_type = "heron_chat"
    sub_configs = {"vision_config": HeronVisionConfig, "llm_config": AutoConfig}
    attribute_map = {"text_config": "llm_config"}

    def __init__(self, **kwargs: Any) -> None:
        vision_config = kwargs.pop("vision_config", None) or {}
        text_config = kwargs.pop("llm_config", None) or {}
        self.vision_config = HeronVisionConfig(**vision_config)
        self.text_config = AutoConfig.for_model(
            **{"model_type": "qwen2", **text_config}
        )
        values = {
            **kwargs,
            "tie_word_embeddings": text_config.get("tie_word_embeddings", False),
        }
        super().__init__(**values)

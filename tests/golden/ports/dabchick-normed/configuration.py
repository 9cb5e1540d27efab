# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from typing import Any

from transformers import LlavaConfig

NAMES = {
    "visual_config": "vision_config",
    "llm_config": "text_config",
    "image_token_id": "image_token_index",
    "mm_vision_select_layer": "vision_feature_layer",
}


class DabchickConfig(LlavaConfig):
    model_type = "dabchick"

    def __init__(self, **kwargs: Any) -> None:
        values = {NAMES.get(key, key): value for key, value in kwargs.items()}
        super().__init__(
            **{
                "projector_hidden_act": "gelu",
                "multimodal_projector_bias": True,
                "vision_feature_select_strategy": "full",
                **values,
            }
        )

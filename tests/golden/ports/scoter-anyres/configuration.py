# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from typing import Any

from transformers import LlavaNextConfig

NAMES = {
    "eye_config": "vision_config",
    "picture_token": "image_token_index",
    "possible_resolutions": "image_grid_pinpoints",
}


class ScoterConfig(LlavaNextConfig):
    model_type = "scoter"

    def __init__(self, **kwargs: Any) -> None:
        values = {NAMES.get(key, key): value for key, value in kwargs.items()}
        super().__init__(
            **{
                "projector_hidden_act": "gelu",
                "multimodal_projector_bias": True,
                "vision_feature_select_strategy": "default",
                **values,
            }
        )

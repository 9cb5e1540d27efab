# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from typing import Any

from transformers import LlavaConfig


class WhimbrelConfig(LlavaConfig):
    model_type = "whimbrel_vl"

    def __init__(self, **kwargs: Any) -> None:
        values = dict(kwargs)
        super().__init__(
            **{
                "projector_hidden_act": "silu",
                "vision_feature_layer": -3,
                "multimodal_projector_bias": False,
                "vision_feature_select_strategy": "full",
                **values,
            }
        )

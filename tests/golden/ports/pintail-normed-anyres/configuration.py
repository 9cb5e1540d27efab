# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from typing import Any

from transformers import LlavaNextConfig

NAMES = {"image_token_id": "image_token_index"}


class PintailConfig(LlavaNextConfig):
    model_type = "pintail"

    def __init__(self, **kwargs: Any) -> None:
        values = {NAMES.get(key, key): value for key, value in kwargs.items()}
        super().__init__(
            **{
                "projector_hidden_act": "gelu",
                "multimodal_projector_bias": True,
                **values,
            }
        )

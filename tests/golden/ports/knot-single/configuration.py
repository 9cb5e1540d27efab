# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from typing import Any

from transformers import AutoConfig, PreTrainedConfig


class KnotVLVisionConfig(PreTrainedConfig):
    model_type = "knot_vision"


class KnotVLConfig(PreTrainedConfig):
    model_type = "knot"
    sub_configs = {"vit_cfg": KnotVLVisionConfig, "llm_cfg": AutoConfig}
    attribute_map = {
        "downsample_ratio": "ratio",
        "ps_version": "unshuffle",
        "select_layer": "vit_out",
        "vision_config": "vit_cfg",
        "text_config": "llm_cfg",
    }

    def __init__(self, **kwargs: Any) -> None:
        vision_config = kwargs.pop("vit_cfg", None) or {}
        text_config = kwargs.pop("llm_cfg", None) or {}
        self.vision_config = KnotVLVisionConfig(**vision_config)
        self.text_config = AutoConfig.for_model(
            **{"model_type": "llama", **text_config}
        )
        values = {
            "force_image_size": None,
            "min_dynamic_patch": 1,
            "max_dynamic_patch": 1,
            "dynamic_image_size": False,
            "use_thumbnail": False,
            **kwargs,
            "tie_word_embeddings": text_config.get("tie_word_embeddings", True),
        }
        super().__init__(**values)

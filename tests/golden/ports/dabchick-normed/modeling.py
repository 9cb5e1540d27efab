# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

import torch.nn as nn
from transformers.models.llava import LlavaProcessor

from vllm.config import VllmConfig
from vllm.model_executor.models.llava import (
    LlavaDummyInputsBuilder,
    LlavaForConditionalGeneration,
    LlavaMultiModalProcessor,
    LlavaProcessingInfo,
)
from vllm.model_executor.models.utils import WeightsMapper
from vllm.multimodal import MULTIMODAL_REGISTRY


class DabchickProcessingInfo(LlavaProcessingInfo):
    def get_hf_processor(self, **kwargs: object) -> LlavaProcessor:
        config = self.get_hf_config()
        kwargs.setdefault("image_token", "<|picture|>")
        kwargs.setdefault("patch_size", config.vision_config.patch_size)
        kwargs.setdefault("num_additional_image_tokens", 0)
        kwargs.setdefault(
            "vision_feature_select_strategy", config.vision_feature_select_strategy
        )
        return super().get_hf_processor(**kwargs)


@MULTIMODAL_REGISTRY.register_processor(
    LlavaMultiModalProcessor,
    info=DabchickProcessingInfo,
    dummy_inputs=LlavaDummyInputsBuilder,
)
class DabchickForCausalLM(LlavaForConditionalGeneration):
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "encoder.vision_model.": "vision_tower.vision_model.",
            "encoder.": "vision_tower.vision_model.",
            "bridge.pre.": "multi_modal_projector.0.",
            "bridge.up.": "multi_modal_projector.1.",
            "bridge.down.": "multi_modal_projector.3.",
            "bridge.": "multi_modal_projector.",
            "decoder.": "language_model.",
        }
    )

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        if modality.startswith("image"):
            return "<|picture|>"
        return super().get_placeholder_str(modality, i)

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        config = self.config
        vit_hidden_size = config.vision_config.hidden_size
        llm_hidden_size = config.text_config.hidden_size
        with self._mark_tower_model(vllm_config, "image"):
            self.multi_modal_projector = nn.Sequential(
                nn.LayerNorm(vit_hidden_size, eps=1e-06),
                nn.Linear(vit_hidden_size, 2 * llm_hidden_size),
                nn.GELU(),
                nn.Linear(2 * llm_hidden_size, llm_hidden_size),
            )

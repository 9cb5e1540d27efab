# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from transformers.models.llava import LlavaProcessor

from vllm.model_executor.models.llava import (
    LlavaDummyInputsBuilder,
    LlavaForConditionalGeneration,
    LlavaMultiModalProcessor,
    LlavaProcessingInfo,
)
from vllm.model_executor.models.utils import WeightsMapper
from vllm.multimodal import MULTIMODAL_REGISTRY


class WhimbrelProcessingInfo(LlavaProcessingInfo):
    def get_hf_processor(self, **kwargs: object) -> LlavaProcessor:
        config = self.get_hf_config()
        kwargs.setdefault("image_token", "<img_feature>")
        kwargs.setdefault("patch_size", config.vision_config.patch_size)
        kwargs.setdefault("num_additional_image_tokens", 1)
        kwargs.setdefault(
            "vision_feature_select_strategy", config.vision_feature_select_strategy
        )
        return super().get_hf_processor(**kwargs)


@MULTIMODAL_REGISTRY.register_processor(
    LlavaMultiModalProcessor,
    info=WhimbrelProcessingInfo,
    dummy_inputs=LlavaDummyInputsBuilder,
)
class WhimbrelForConditionalGeneration(LlavaForConditionalGeneration):
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "model.vision_tower.vision_model.": "vision_tower.vision_model.",
            "model.vision_tower.": "vision_tower.vision_model.",
            "model.multi_modal_projector.": "multi_modal_projector.",
        }
    )

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        if modality.startswith("image"):
            return "<img_feature>"
        return super().get_placeholder_str(modality, i)

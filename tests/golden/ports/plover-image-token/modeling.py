# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

import torch.nn as nn
from transformers import PreTrainedConfig

from vllm.model_executor.models.internvl import (
    BaseInternVLDummyInputsBuilder,
    BaseInternVLMultiModalProcessor,
    BaseInternVLProcessingInfo,
    InternVLChatModel,
)
from vllm.model_executor.models.utils import WeightsMapper
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.transformers_utils.processors.internvl import (
    InternVLImageProcessor,
    InternVLProcessor,
)


class PloverVLProcessingInfo(BaseInternVLProcessingInfo):
    def get_hf_processor(self, **kwargs: object) -> InternVLProcessor:
        config = self.get_hf_config()
        image_config = self.ctx.model_config.hf_image_processor_config

        kwargs = self.ctx.get_merged_mm_kwargs(kwargs)
        kwargs.setdefault("image_size", config.vision_config.image_size)
        kwargs.setdefault("min_dynamic_patch", image_config["min_num"])
        kwargs.setdefault("max_dynamic_patch", image_config["max_num"])
        kwargs.setdefault("dynamic_image_size", config.dynamic_image_size)
        kwargs.setdefault("use_thumbnail", image_config["use_thumbnail"])
        image_processor = InternVLImageProcessor(**kwargs)

        grid_length = image_processor.image_size // config.vision_config.patch_size
        return InternVLProcessor(
            tokenizer=self.get_tokenizer(),
            image_processor=image_processor,
            image_seq_length=int(grid_length**2 * config.downsample_ratio**2),
            ctx_image_token="<image>",
            start_image_token="<im_start_px>",
            end_image_token="<im_end_px>",
        )


@MULTIMODAL_REGISTRY.register_processor(
    BaseInternVLMultiModalProcessor,
    info=PloverVLProcessingInfo,
    dummy_inputs=BaseInternVLDummyInputsBuilder,
)
class PloverVLModel(InternVLChatModel):
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "vision_encoder.": "vision_model.",
            "projector.": "mlp1.",
        }
    )

    def _init_mlp1(self, config: PreTrainedConfig) -> nn.Module:
        vit_hidden_size = config.vision_config.hidden_size
        merged_size = vit_hidden_size * int(1 / self.downsample_ratio) ** 2
        llm_hidden_size = config.text_config.hidden_size

        return nn.Sequential(
            nn.LayerNorm(merged_size),
            nn.Linear(merged_size, llm_hidden_size, bias=False),
            nn.GELU(),
            nn.Linear(llm_hidden_size, llm_hidden_size, bias=False),
        )

# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from functools import partial

import torch
import torch.nn as nn
from PIL import Image
from torchvision.transforms import Normalize
from torchvision.transforms.functional import to_tensor
from transformers import PreTrainedConfig

from vllm.model_executor.layers.quantization import QuantizationConfig
from vllm.model_executor.models.internvl import (
    BaseInternVLDummyInputsBuilder,
    BaseInternVLMultiModalProcessor,
    BaseInternVLProcessingInfo,
    InternVLChatModel,
)
from vllm.model_executor.models.siglip import SiglipVisionModel
from vllm.model_executor.models.utils import WeightsMapper
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.image import convert_image_mode
from vllm.multimodal.inputs import MultiModalKwargsItem
from vllm.transformers_utils.processors.internvl import (
    InternVLImageProcessor,
    InternVLProcessor,
    dynamic_preprocess_internvl,
    get_internvl_target_ratios,
)


class SiskinImageProcessor(InternVLImageProcessor):
    def _images_to_pixel_values_lst(
        self,
        images: list[Image.Image],
        min_dynamic_patch: int | None = None,
        max_dynamic_patch: int | None = None,
        dynamic_image_size: bool | None = None,
    ) -> list[torch.Tensor]:
        min_num, max_num = self.resolve_min_max_num(
            min_dynamic_patch=min_dynamic_patch,
            max_dynamic_patch=max_dynamic_patch,
            dynamic_image_size=dynamic_image_size,
            use_thumbnail=False,
        )
        cut = partial(
            dynamic_preprocess_internvl,
            target_ratios=get_internvl_target_ratios(min_num, max_num),
            image_size=self.image_size,
            use_thumbnail=self.use_thumbnail,
        )
        images = [convert_image_mode(image, "RGB") for image in images]
        normalize = Normalize(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        return [
            normalize(torch.stack([to_tensor(tile) for tile in cut(image)]))
            for image in images
        ]


class SiskinProcessingInfo(BaseInternVLProcessingInfo):
    def get_hf_processor(self, **kwargs: object) -> InternVLProcessor:
        config = self.get_hf_config()
        image_config = self.ctx.model_config.hf_image_processor_config

        kwargs = self.ctx.get_merged_mm_kwargs(kwargs)
        kwargs.setdefault("image_size", config.vision_config.image_size)
        kwargs.setdefault("min_dynamic_patch", image_config["min_tiles"])
        kwargs.setdefault("max_dynamic_patch", image_config["max_tiles"])
        kwargs.setdefault("dynamic_image_size", config.dynamic_image_size)
        kwargs.setdefault("use_thumbnail", image_config["use_thumbnail"])
        image_processor = SiskinImageProcessor(**kwargs)

        grid_length = image_processor.image_size // config.vision_config.patch_size
        return InternVLProcessor(
            tokenizer=self.get_tokenizer(),
            image_processor=image_processor,
            image_seq_length=int(grid_length**2 * config.downsample_ratio**2),
            ctx_image_token="<image_soft_token>",
            start_image_token="<start_of_image>",
            end_image_token="<end_of_image>",
        )


@MULTIMODAL_REGISTRY.register_processor(
    BaseInternVLMultiModalProcessor,
    info=SiskinProcessingInfo,
    dummy_inputs=BaseInternVLDummyInputsBuilder,
)
class SiskinForConditionalGeneration(InternVLChatModel):
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "vision_tower.vision_model.": "vision_model.vision_model.",
            "vision_tower.": "vision_model.vision_model.",
            "multi_modal_projector.linear_1.": "mlp1.0.",
            "multi_modal_projector.linear_2.": "mlp1.2.",
            "multi_modal_projector.": "mlp1.",
        }
    )

    def _init_vision_model(
        self,
        config: PreTrainedConfig,
        quant_config: QuantizationConfig | None,
        *,
        prefix: str,
    ) -> SiglipVisionModel:
        vision_config = config.vision_config
        num_hidden_layers = vision_config.num_hidden_layers + config.select_layer + 1
        return SiglipVisionModel(
            vision_config,
            quant_config=quant_config,
            num_hidden_layers_override=num_hidden_layers,
            require_post_norm=True,
            prefix=prefix,
        )

    def _init_mlp1(self, config: PreTrainedConfig) -> nn.Module:
        vit_hidden_size = config.vision_config.hidden_size
        merged_size = vit_hidden_size * int(1 / self.downsample_ratio) ** 2
        llm_hidden_size = config.text_config.hidden_size

        return nn.Sequential(
            nn.Linear(merged_size, llm_hidden_size),
            nn.GELU(),
            nn.Linear(llm_hidden_size, llm_hidden_size),
        )

    def extract_feature(self, pixel_values: torch.Tensor) -> torch.Tensor:
        vit_embeds = self.vision_model(pixel_values)

        grid_length = int(vit_embeds.shape[1] ** 0.5)
        vit_embeds = vit_embeds.unflatten(1, (grid_length, grid_length))
        vit_embeds = self.pixel_shuffle(vit_embeds, scale_factor=self.downsample_ratio)
        return self.mlp1(vit_embeds.flatten(1, 2))

    def get_mm_lora_token_counts(
        self,
        *,
        modality: str,
        mm_kwargs: MultiModalKwargsItem | None,
        num_mm_embeds: int,
    ) -> tuple[int, int | None]:
        num_patches = num_mm_embeds // self.num_image_token
        tower_tokens = num_patches * self.patch_tokens
        return tower_tokens, num_patches * self.num_image_token

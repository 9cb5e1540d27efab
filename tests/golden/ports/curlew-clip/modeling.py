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
from vllm.model_executor.models.clip import CLIPVisionModel
from vllm.model_executor.models.internvl import (
    BaseInternVLDummyInputsBuilder,
    BaseInternVLMultiModalProcessor,
    BaseInternVLProcessingInfo,
    InternVLChatModel,
)
from vllm.model_executor.models.utils import WeightsMapper
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.image import convert_image_mode
from vllm.transformers_utils.processors.internvl import (
    InternVLImageProcessor,
    InternVLProcessor,
    calculate_internvl_targets,
    get_internvl_target_ratios,
)


class CurlewImageProcessor(InternVLImageProcessor):
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
        target_ratios = get_internvl_target_ratios(min_num, max_num)
        cut = partial(self._cut, target_ratios=target_ratios)
        images = [convert_image_mode(image, "RGB") for image in images]
        normalize = Normalize(
            mean=(0.48145466, 0.4578275, 0.40821073),
            std=(0.26862954, 0.26130258, 0.27577711),
        )
        return [
            normalize(torch.stack([to_tensor(tile) for tile in cut(image)]))
            for image in images
        ]

    def _cut(
        self, image: Image.Image, target_ratios: list[tuple[int, int]]
    ) -> list[Image.Image]:
        size = self.image_size
        _, width, height = calculate_internvl_targets(
            orig_width=image.width,
            orig_height=image.height,
            target_ratios=target_ratios,
            image_size=size,
            use_thumbnail=False,
        )
        canvas = image.resize((width, height), Image.Resampling.BILINEAR)
        tiles = [
            canvas.crop((x, y, x + size, y + size))
            for y in range(0, height, size)
            for x in range(0, width, size)
        ]
        if self.use_thumbnail and len(tiles) > 1:
            tiles.append(image.resize((size, size), Image.Resampling.BILINEAR))
        return tiles


class CurlewProcessingInfo(BaseInternVLProcessingInfo):
    def get_hf_processor(self, **kwargs: object) -> InternVLProcessor:
        config = self.get_hf_config()
        image_config = self.ctx.model_config.hf_image_processor_config

        kwargs = self.ctx.get_merged_mm_kwargs(kwargs)
        kwargs.setdefault("image_size", config.vision_config.image_size)
        kwargs.setdefault("min_dynamic_patch", image_config["min_tiles"])
        kwargs.setdefault("max_dynamic_patch", image_config["max_tiles"])
        kwargs.setdefault("dynamic_image_size", config.dynamic_image_size)
        kwargs.setdefault("use_thumbnail", image_config["use_thumbnail"])
        image_processor = CurlewImageProcessor(**kwargs)

        grid_length = image_processor.image_size // config.vision_config.patch_size
        return InternVLProcessor(
            tokenizer=self.get_tokenizer(),
            image_processor=image_processor,
            image_seq_length=int(grid_length**2 * config.downsample_ratio**2),
            ctx_image_token="<im_patch>",
            start_image_token="<im_open>",
            end_image_token="<im_close>",
        )


@MULTIMODAL_REGISTRY.register_processor(
    BaseInternVLMultiModalProcessor,
    info=CurlewProcessingInfo,
    dummy_inputs=BaseInternVLDummyInputsBuilder,
)
class CurlewForCausalLM(InternVLChatModel):
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "vision_tower.vision_model.": "vision_model.vision_model.",
            "vision_tower.": "vision_model.vision_model.",
            "mm_projector.": "mlp1.",
        }
    )

    def _init_vision_model(
        self,
        config: PreTrainedConfig,
        quant_config: QuantizationConfig | None,
        *,
        prefix: str,
    ) -> CLIPVisionModel:
        vision_config = config.vision_config
        num_hidden_layers = vision_config.num_hidden_layers + config.select_layer + 1
        return CLIPVisionModel(
            vision_config,
            quant_config=quant_config,
            num_hidden_layers_override=num_hidden_layers,
            require_post_norm=False,
            prefix=prefix,
        )

    def _init_mlp1(self, config: PreTrainedConfig) -> nn.Module:
        vit_hidden_size = config.vision_config.hidden_size
        merged_size = vit_hidden_size * int(1 / self.downsample_ratio) ** 2
        llm_hidden_size = config.text_config.hidden_size

        return nn.Sequential(
            nn.Linear(merged_size, config.mm_hidden_width),
            nn.GELU(),
            nn.Linear(config.mm_hidden_width, llm_hidden_size),
        )

# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from collections.abc import Mapping
from functools import partial

import torch
import torch.nn as nn
from PIL import Image
from torchvision.transforms import Normalize
from torchvision.transforms.functional import to_tensor
from transformers import PreTrainedConfig

from vllm.model_executor.models.internvl import (
    BaseInternVLDummyInputsBuilder,
    BaseInternVLMultiModalProcessor,
    BaseInternVLProcessingInfo,
    InternVLChatModel,
)
from vllm.model_executor.models.utils import WeightsMapper
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.image import convert_image_mode
from vllm.multimodal.inputs import BatchedTensorInputs
from vllm.multimodal.parse import MultiModalDataItems
from vllm.multimodal.processing import PromptReplacement, cached_encode
from vllm.transformers_utils.processors.internvl import (
    InternVLImageProcessor,
    InternVLProcessor,
    calculate_internvl_targets,
    get_internvl_target_ratios,
)


class KnotVLImageProcessor(InternVLImageProcessor):
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
        normalize = Normalize(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
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


class KnotVLProcessingInfo(BaseInternVLProcessingInfo):
    def get_hf_processor(self, **kwargs: object) -> InternVLProcessor:
        config = self.get_hf_config()

        kwargs = self.ctx.get_merged_mm_kwargs(kwargs)
        kwargs.setdefault("image_size", config.vision_config.image_size)
        kwargs.setdefault("min_dynamic_patch", config.min_dynamic_patch)
        kwargs.setdefault("max_dynamic_patch", config.max_dynamic_patch)
        kwargs.setdefault("dynamic_image_size", config.dynamic_image_size)
        kwargs.setdefault("use_thumbnail", config.use_thumbnail)
        image_processor = KnotVLImageProcessor(**kwargs)

        grid_length = image_processor.image_size // config.vision_config.patch_size
        return InternVLProcessor(
            tokenizer=self.get_tokenizer(),
            image_processor=image_processor,
            image_seq_length=int(grid_length**2 * config.downsample_ratio**2),
            ctx_image_token="[PATCH]",
            start_image_token="[IMG]",
            end_image_token="[/IMG]",
        )


class KnotVLDummyInputsBuilder(BaseInternVLDummyInputsBuilder[KnotVLProcessingInfo]):
    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        return "[image]" * mm_counts.get("image", 0)


class KnotVLMultiModalProcessor(BaseInternVLMultiModalProcessor[KnotVLProcessingInfo]):
    def _get_prompt_repl_image(
        self,
        mm_items: MultiModalDataItems,
        hf_processor: InternVLProcessor,
        out_mm_data: BatchedTensorInputs,
    ) -> PromptReplacement:
        repl = super()._get_prompt_repl_image(mm_items, hf_processor, out_mm_data)
        tokenizer = self.info.get_tokenizer()
        target = cached_encode(tokenizer, "[image]", add_special_tokens=False)
        return PromptReplacement(repl.modality, target, repl.replacement)


@MULTIMODAL_REGISTRY.register_processor(
    KnotVLMultiModalProcessor,
    info=KnotVLProcessingInfo,
    dummy_inputs=KnotVLDummyInputsBuilder,
)
class KnotVLModel(InternVLChatModel):
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "vit.": "vision_model.",
            "aligner.": "mlp1.",
            "llm.": "language_model.",
        }
    )

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        if modality.startswith("image"):
            return "[image]"
        return super().get_placeholder_str(modality, i)

    def _init_mlp1(self, config: PreTrainedConfig) -> nn.Module:
        vit_hidden_size = config.vision_config.hidden_size
        merged_size = vit_hidden_size * int(1 / self.downsample_ratio) ** 2
        llm_hidden_size = config.text_config.hidden_size

        return nn.Sequential(
            nn.Linear(merged_size, llm_hidden_size, bias=False),
            nn.GELU(),
            nn.Linear(llm_hidden_size, llm_hidden_size, bias=False),
        )

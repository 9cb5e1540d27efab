# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from functools import partial

import torch
from PIL import Image
from torchvision.transforms.functional import to_tensor

from vllm.config import VllmConfig
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
    dynamic_preprocess_internvl,
    get_internvl_target_ratios,
)


class SkylarkVLImageProcessor(InternVLImageProcessor):
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
        return [
            torch.stack([to_tensor(tile) for tile in cut(image)]) for image in images
        ]


class SkylarkVLProcessingInfo(BaseInternVLProcessingInfo):
    def get_hf_processor(self, **kwargs: object) -> InternVLProcessor:
        config = self.get_hf_config()
        image_config = self.ctx.model_config.hf_image_processor_config

        kwargs = self.ctx.get_merged_mm_kwargs(kwargs)
        kwargs.setdefault("image_size", config.vision_config.image_size)
        kwargs.setdefault("min_dynamic_patch", image_config["min_tiles"])
        kwargs.setdefault("max_dynamic_patch", image_config["max_tiles"])
        kwargs.setdefault("dynamic_image_size", config.dynamic_image_size)
        kwargs.setdefault("use_thumbnail", image_config["use_thumbnail"])
        image_processor = SkylarkVLImageProcessor(**kwargs)

        grid_length = image_processor.image_size // config.vision_config.patch_size
        return InternVLProcessor(
            tokenizer=self.get_tokenizer(),
            image_processor=image_processor,
            image_seq_length=int(grid_length**2 * config.downsample_ratio**2),
            ctx_image_token="<|vision_patch|>",
            start_image_token="<|vision_open|>",
            end_image_token="<|vision_close|>",
        )


@MULTIMODAL_REGISTRY.register_processor(
    BaseInternVLMultiModalProcessor,
    info=SkylarkVLProcessingInfo,
    dummy_inputs=BaseInternVLDummyInputsBuilder,
)
class SkylarkVLForCausalLM(InternVLChatModel):
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "model.vit.": "vision_model.",
            "model.connector.": "mlp1.",
            "model.llm.": "language_model.",
            "model.norm_mean": "norm_mean",
            "model.norm_std": "norm_std",
        }
    )

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.register_buffer("norm_mean", torch.zeros(1, 3, 1, 1))
        self.register_buffer("norm_std", torch.zeros(1, 3, 1, 1))

    def extract_feature(self, pixel_values: torch.Tensor) -> torch.Tensor:
        pixel_values = (pixel_values - self.norm_mean) / self.norm_std
        return super().extract_feature(pixel_values)

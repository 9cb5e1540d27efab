# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: Copyright contributors to the vLLM project

from functools import partial

import torch
from PIL import Image
from torchvision.transforms import Normalize
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
    calculate_internvl_targets,
    get_internvl_target_ratios,
)


class SnipeImageProcessor(InternVLImageProcessor):
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
        canvas = image.resize((width, height), Image.Resampling.LANCZOS)
        tiles = [
            canvas.crop((x, y, x + size, y + size))
            for y in range(0, height, size)
            for x in range(0, width, size)
        ]
        if self.use_thumbnail and len(tiles) > 1:
            tiles.append(image.resize((size, size), Image.Resampling.LANCZOS))
        return tiles


class SnipeProcessingInfo(BaseInternVLProcessingInfo):
    def get_hf_processor(self, **kwargs: object) -> InternVLProcessor:
        config = self.get_hf_config()
        image_config = self.ctx.model_config.hf_image_processor_config

        kwargs = self.ctx.get_merged_mm_kwargs(kwargs)
        kwargs.setdefault("image_size", config.vision_config.image_size)
        kwargs.setdefault("min_dynamic_patch", image_config["min_tiles"])
        kwargs.setdefault("max_dynamic_patch", image_config["max_tiles"])
        kwargs.setdefault("dynamic_image_size", config.dynamic_image_size)
        kwargs.setdefault("use_thumbnail", image_config["use_thumbnail"])
        image_processor = SnipeImageProcessor(**kwargs)

        grid_length = image_processor.image_size // config.vision_config.patch_size
        return InternVLProcessor(
            tokenizer=self.get_tokenizer(),
            image_processor=image_processor,
            image_seq_length=int(grid_length**2 * config.downsample_ratio**2),
            ctx_image_token="<IMG_PAD>",
            start_image_token="<IMG>",
            end_image_token="</IMG>",
        )


@MULTIMODAL_REGISTRY.register_processor(
    BaseInternVLMultiModalProcessor,
    info=SnipeProcessingInfo,
    dummy_inputs=BaseInternVLDummyInputsBuilder,
)
class SnipeModel(InternVLChatModel):
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "vit.": "vision_model.",
            "connector.": "mlp1.",
            "llm.": "language_model.",
        }
    )

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        num_hidden_layers = self.config.vision_config.num_hidden_layers
        self.hf_to_vllm_mapper = self.hf_to_vllm_mapper | WeightsMapper(
            orig_to_new_prefix={
                f"vision_model.encoder.layers.{i}.": None
                for i in range(len(self.vision_model.encoder.layers), num_hidden_layers)
            }
        )

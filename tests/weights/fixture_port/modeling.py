from typing import Any

import torch
from vllm.model_executor.layers.linear import ReplicatedLinear
from vllm.model_executor.models.internvl import (
    BaseInternVLDummyInputsBuilder,
    BaseInternVLMultiModalProcessor,
    BaseInternVLProcessingInfo,
    InternVLChatModel,
)
from vllm.model_executor.models.utils import WeightsMapper
from vllm.multimodal import MULTIMODAL_REGISTRY


@MULTIMODAL_REGISTRY.register_processor(
    BaseInternVLMultiModalProcessor, info=BaseInternVLProcessingInfo, dummy_inputs=BaseInternVLDummyInputsBuilder
)
class FixtureVLModel(InternVLChatModel):
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            "model.eye.": "vision_model.",
            "model.bridge.": "mlp1.",
            "model.brain.": "language_model.",
            "train_head.": None,
        },
    )

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.register_buffer("pixel_shift", torch.zeros(3))


class FixtureSplitVLModel(FixtureVLModel):
    hf_to_vllm_mapper = FixtureVLModel.hf_to_vllm_mapper | WeightsMapper(
        orig_to_new_stacked={f".attn.{shard}_proj.": (".attn.qkv.", shard) for shard in "qkv"}
    )


class FixtureMisnamedVLModel(FixtureVLModel):
    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.gate = ReplicatedLinear(8, 8, prefix="bridge.gate")


class FixtureTyingVLModel(FixtureVLModel):
    """Ties a head of its own to the embeddings once they are loaded, as Phi-3-vision's class does."""

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        self.tokens = torch.nn.Module()
        self.tokens.weight = torch.nn.Parameter(torch.empty(4, 4))

    def load_weights(self, weights: Any) -> set[str]:
        loaded: set[str] = super().load_weights(weights)
        self.tokens = self.language_model.model.embed_tokens
        return {*loaded, "tokens.weight"}

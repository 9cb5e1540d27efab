from typing import Any

from transformers import CLIPVisionConfig, PreTrainedConfig, Qwen2Config


class FixtureConfig(PreTrainedConfig):
    model_type = "fixture_vl"

    def __init__(self, tower: Any = None, text_config: Any = None, **kwargs: Any) -> None:
        self.vision_config = CLIPVisionConfig(**(tower or {}))
        self.vision_config.qkv_bias = True
        self.vision_config.qk_normalization = False
        self.vision_config.initializer_factor = 1.0
        self.vision_config.norm_type = "layer_norm"
        self.text_config = Qwen2Config(**(text_config or {}))
        self.text_config.architectures = ["Qwen2ForCausalLM"]
        self.select_layer = -1
        self.ps_version = "v2"
        super().__init__(**kwargs)

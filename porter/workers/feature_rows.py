"""How many feature rows the port's own model gives: it is built without weights and run on what the processor made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from porter_worker import build
from porter_worker.placeholders import TokenFault

SMALL = 200_000_000


class Rows:
    """Feature rows per item, from the model's own embed method; items of one shape are run once."""

    def __init__(self, model: Any, method: str, device: str, config: Any) -> None:
        self.embed: Any = getattr(model, method, None)
        if not callable(self.embed):
            raise TokenFault(f"{type(model).__name__} has no method {method}, by which vLLM asks for image features")
        self.device = device
        self.config = config
        self.known: dict[Any, list[int]] = {}

    def of(self, modality: str, items: list[Any]) -> list[int]:
        key = (modality, tuple(shape_of(item.get_data()) for item in items))
        if key not in self.known:
            self.known[key] = self._run(modality, items)
        return self.known[key]

    def _run(self, modality: str, items: list[Any]) -> list[int]:
        import torch
        from vllm.config import set_current_vllm_config
        from vllm.multimodal.inputs import MultiModalKwargsItems

        data = MultiModalKwargsItems({modality: items}).get_data(device=self.device)
        with torch.inference_mode(), set_current_vllm_config(self.config):
            made = self.embed(**data)
        return [each.numel() // each.shape[-1] for each in made]


def shape_of(value: Any) -> Any:
    """What the number of rows may depend on: shapes, and the values of small whole numbers."""
    import torch

    if isinstance(value, torch.Tensor):
        counted = not value.is_floating_point() and value.numel() <= 64
        return (tuple(value.shape), tuple(value.flatten().tolist()) if counted else None)
    if isinstance(value, dict):
        return tuple((name, shape_of(value[name])) for name in sorted(value))
    if isinstance(value, (list, tuple)):
        return tuple(shape_of(item) for item in value)
    return value if isinstance(value, (int, str, bool)) else None


@contextlib.contextmanager
def built_model(config: Any) -> Iterator[tuple[Any, str]]:
    """The model and its device: with dummy weights when it is small, else on meta. No trace is left for the engine."""
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory
    from vllm.model_executor.layers import rotary_embedding
    from vllm.platforms import current_platform

    device = str(current_platform.device_type) if elements(config) <= SMALL else "meta"
    try:
        yield (on_meta(config) if device == "meta" else with_dummy_weights(config, device)), device
    finally:
        config.compilation_config.static_forward_context.clear()
        getattr(rotary_embedding, "_ROPE_DICT", {}).clear()
        cleanup_dist_env_and_memory()


def elements(config: Any) -> int:
    """Roughly how many parameters the language model has."""
    text = config.model_config.hf_text_config
    width = int(getattr(text, "hidden_size", 0) or 0)
    layers = int(getattr(text, "num_hidden_layers", 0) or 0)
    return width * (int(getattr(text, "vocab_size", 0) or 0) + 12 * layers * width)


def on_meta(config: Any) -> Any:
    import torch

    model = build.module(config)
    for layer in model.modules():
        if hasattr(layer, "quant_method") and not hasattr(layer, "cpu_linear"):
            layer.cpu_linear = torch.nn.functional.linear
    return model


def with_dummy_weights(config: Any, device: str) -> Any:
    """Small numbers for weights, and layers made ready as vLLM's own loader does."""
    import torch
    from vllm.config import set_current_vllm_config
    from vllm.model_executor.model_loader.utils import process_weights_after_loading

    model = build.module(config, device)
    with torch.no_grad(), set_current_vllm_config(config):
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.normal_(std=0.02)
        process_weights_after_loading(model, config.model_config, torch.device(device))
    return model.eval()

"""vLLM's dummy weights are too small for an answer to depend on a picture; a small model gets drawn ones instead."""

from __future__ import annotations

from typing import Any

from porter_worker import draw

SMALL = 200_000_000


def draw_dummy_weights() -> None:
    """From now on the loader of dummy weights draws those of small float models as the reference's are drawn."""
    from vllm.model_executor.model_loader.dummy_loader import DummyModelLoader

    original = DummyModelLoader.load_weights
    if getattr(original, "draws", False):
        return

    def load_weights(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(self, model, *args, **kwargs)
        parameters = list(model.parameters())
        small = sum(parameter.numel() for parameter in parameters) <= SMALL
        if small and all(parameter.is_floating_point() for parameter in parameters):
            draw.draw_parameters(model, 0, "normal")
        return made

    load_weights.draws = True  # type: ignore[attr-defined]
    DummyModelLoader.load_weights = load_weights

"""What vLLM's own loading would say about a checkpoint: the first line of its error, or nothing.

Runs only in a worker, on the meta device: the loader is fed names and shapes in place of files.
"""

from __future__ import annotations

from typing import Any

from porter_worker.said import line_of


def first_error(model: Any, config: Any, tensors: list[tuple[str, Any]]) -> str | None:
    """None when vLLM would load these tensors without an error, whatever they leave empty."""
    from vllm.config import LoadConfig
    from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

    loader = DefaultModelLoader(LoadConfig())
    loader.get_all_weights = lambda *_: iter(tensors)
    try:
        loader.load_weights(model, config.model_config)
    except Exception as error:
        line: str = line_of(error)
        return line
    return None

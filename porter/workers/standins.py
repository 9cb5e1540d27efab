"""What a module asks for while it is built and does not need for its names and shapes: tokenizer, limits, kernels.

Runs only in a worker.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any


class AnyTokenizer:
    """Knows every token, under number 0: a class that looks one up while it is built gets an answer."""

    def __init__(self) -> None:
        self.vocab: defaultdict[str, int] = defaultdict(int)

    def get_vocab(self) -> defaultdict[str, int]:
        return self.vocab

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        return [0 for _ in tokens] if isinstance(tokens, (list, tuple)) else 0

    def encode(self, *_: Any, **__: Any) -> list[int]:
        return [0]

    def decode(self, *_: Any, **__: Any) -> str:
        return ""


def give_any_tokenizer() -> None:
    """Before a model file is imported, which takes the function by name."""
    from vllm import tokenizers

    if hasattr(tokenizers, "cached_tokenizer_from_config"):
        tokenizers.cached_tokenizer_from_config = lambda *_, **__: AnyTokenizer()


def ask_no_processor() -> None:
    """Checks of the engine config ask a model's processor for its limits, and that may ask for a tokenizer.

    Modules need neither, so limits that cannot be had are answered for.
    """
    from types import SimpleNamespace

    from vllm.multimodal import MULTIMODAL_REGISTRY

    original: Any = getattr(MULTIMODAL_REGISTRY, "get_processing_info", None)
    if original is None:
        return

    def info(*arguments: Any, **options: Any) -> Any:
        found = original(*arguments, **options)
        try:
            found.supported_mm_limits  # noqa: B018
        except Exception:
            return SimpleNamespace(supported_mm_limits={"image": None}, get_mm_max_tokens_per_item=lambda **_: None)
        return found

    MULTIMODAL_REGISTRY.get_processing_info = info


def without_unknown_quantization(folder: Path) -> str | None:
    """The quantisation method of config.json when this vLLM has none of that name; it is taken out of the file then.

    `folder` is porter's own copy. The module is built with plain weights: names can be checked, packed shapes cannot.
    """
    from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS
    from vllm.platforms import current_platform

    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    stated = config.get("quantization_config")
    method = stated.get("quant_method") if isinstance(stated, dict) else None
    usable = getattr(current_platform, "supported_quantization", None) or QUANTIZATION_METHODS
    if not isinstance(method, str) or (method in QUANTIZATION_METHODS and method in usable):
        return None
    del config["quantization_config"]
    path.write_text(json.dumps(config), encoding="utf-8")
    return method

"""Small vLLM source trees for tests: the shapes of the real files, none of their text, with switches for API drift."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

MODELS = """import x

_TEXT_GENERATION_MODELS = {
    # [Decoder-only]
    "AlphaForCausalLM": ("alpha", "AlphaForCausalLM"),
}

_MULTIMODAL_MODELS = {
    # [Decoder-only]
    "AppleModel": ("apple", "AppleModel"),  # keep me
    # a word about bananas
    "BananaForConditionalGenerationLong": (
        "banana",
        "BananaForConditionalGenerationLong",
    ),  # noqa: E501
    "ZebraModel": ("vllm.models.zebra", "ZebraModel"),
    "MangoChatModel": ("mango", "MangoChatModel"),
    "PearModel": ("pear", "PearModel"),
    # [Encoder-decoder]
    "AcornModel": ("acorn", "AcornModel"),
}

_PREVIOUSLY_SUPPORTED_MODELS = {
    "OldModel": "0.9.2",
    "PearModel": "0.1.0",
}

_VLLM_MODELS = {**_TEXT_GENERATION_MODELS, **_MULTIMODAL_MODELS}
"""

CONFIG = """from transformers import PreTrainedConfig

_CONFIG_REGISTRY: dict[str, type] = LazyConfigDict(
    apple="AppleConfig",
    mango="MangoConfig",  # why
    **{"odd-name": "OddConfig"},
    zebra="ZebraConfig",
)

_CONFIG_ATTRS_MAPPING: dict[str, str] = {
    "llm_config": "text_config",
}

_AUTO_CONFIG_KWARGS_OVERRIDES: dict[str, dict[str, object]] = {
    "mango_chat": {"has_no_defaults_at_init": True},
}
"""

CONFIGS = """_CLASS_TO_MODULE: dict[str, str] = {
    "AppleConfig": "vllm.transformers_utils.configs.apple",
    "ZebraConfig": "vllm.transformers_utils.configs.zebra",
}

__all__ = [
    "AppleConfig",
    "ZebraConfig",
]
"""

EXAMPLES = """from dataclasses import dataclass, field


@dataclass(frozen=True)
class _HfExamplesInfo:
    default: str
    extras: dict = field(default_factory=dict)
    trust_remote_code: bool = False
    max_model_len: int | None = None


_MULTIMODAL_EXAMPLE_MODELS = {
    # [Decoder-only]
    "AppleModel": _HfExamplesInfo("org/apple"),
    "PearModel": _HfExamplesInfo("org/pear", trust_remote_code=True),
    # [Encoder-decoder]
    "AcornModel": _HfExamplesInfo("org/acorn"),
}
"""

DOCS = """# Supported Models

## List of Text-only Language Models

### Generative Models

#### Text Generation

| Architecture | Models |
| --- | --- |
| `AlphaForCausalLM` | Alpha |

## List of Multimodal Language Models

### Generative Models

#### Text Generation

Some words.

| Architecture | Models | Inputs | Example HF Models | [LoRA](../lora.md) | [PP](../pp.md) |
| ------------ | ------ | ------ | ----------------- | ------------------ | -------------- |
| `AppleModel` | Apple | T + I<sup>+</sup> | `org/apple` | ✅︎ | ✅︎ |
| `PearModel` | Pear | T + I | `org/pear`, etc. | | ✅︎ |

Another table.

| Architecture | Models |
| --- | --- |
| `Backend` | Backend |
"""

INTERFACES = """class _Base:
    def get_placeholder_str(cls, modality, i): ...


class SupportsMultiModal(_Base):
    def embed_multimodal(self, **kwargs): ...
    def embed_input_ids(self, input_ids): ...
    def _mark_tower_model(self, vllm_config, modalities): ...
"""

UTILS = """from dataclasses import dataclass


@dataclass
class WeightsMapper:
    orig_to_new_substr: dict = None
    orig_to_new_prefix: dict = None

    def __or__(self, other): ...


class AutoWeightsLoader:
    def __init__(self, module, *, ignore_unexpected_prefixes=None): ...
    def load_weights(self, weights, *, mapper=None): ...
"""

PROCESSING = """from .dummy_inputs import BaseDummyInputsBuilder
from .processor import BaseMultiModalProcessor, BaseProcessingInfo, cached_encode
"""

PROCESSOR = """class BaseProcessingInfo:
    def get_supported_mm_limits(self): ...
    def get_data_parser(self): ...


def cached_encode(tokenizer, text): ...


class BaseMultiModalProcessor:
    def _get_prompt_updates(self, mm_items, hf_processor_mm_kwargs, out_mm_kwargs: MultiModalKwargsItems): ...
    def _postprocess_hf_mm_data(self, mm_data, hf_processor_mm_kwargs, processed_data): ...
"""

DUMMY = """from vllm.config.multimodal import MultiModalDummyOptions
from vllm.inputs import MultiModalDataDict


class BaseDummyInputsBuilder:
    def get_dummy_mm_data(self, seq_len: int, mm_counts, mm_options: MultiModalDummyOptions) -> MultiModalDataDict: ...
"""

FILES: Mapping[str, str] = {
    "pyproject.toml": "[tool.ruff]\nline-length = 88\n",
    "requirements/common.txt": "torch == 2\ntransformers >= 5.1, < 6  # pinned\n",
    "docs/models/supported_models.md": DOCS,
    "tests/models/registry.py": EXAMPLES,
    "vllm/__init__.py": "",
    "vllm/_version.py": "__version__ = version = '1.2.3'\n__commit_id__ = commit_id = 'gabc123'\n",
    "vllm/inputs.py": "class MultiModalDataDict: ...\n",
    "vllm/model_executor/models/registry.py": MODELS,
    "vllm/model_executor/models/interfaces.py": INTERFACES,
    "vllm/model_executor/models/utils.py": UTILS,
    "vllm/multimodal/__init__.py": "MULTIMODAL_REGISTRY = object()\n",
    "vllm/multimodal/processing/__init__.py": PROCESSING,
    "vllm/multimodal/processing/processor.py": PROCESSOR,
    "vllm/multimodal/processing/dummy_inputs.py": DUMMY,
    "vllm/transformers_utils/config.py": CONFIG,
    "vllm/transformers_utils/configs/__init__.py": CONFIGS,
}


def write_tree(root: Path, changed: Mapping[str, str | None] | None = None) -> Path:
    """Write the tree with some files replaced, or left out (None); returns its root."""
    for path, text in {**FILES, **(changed or {})}.items():
        if text is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
    return root

"""The original of a family as transformers has it: its model, its configs, its processor, read from source."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from porter.families.library import Library, library_beside
from porter.jsontypes import JSON
from porter.source.alike import Side
from porter.source.codebase import CodeBase, Definition

ORIGINALS: Mapping[str, str] = {
    "llava_original": "LlavaForConditionalGeneration",
    "llava_next_original": "LlavaNextForConditionalGeneration",
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
    "llava_onevision": "LlavaOnevisionForConditionalGeneration",
    "idefics3": "Idefics3ForConditionalGeneration",
    "smolvlm": "SmolVLMForConditionalGeneration",
    "lightonocr": "LightOnOcrForConditionalGeneration",
    "mistral3": "Mistral3ForConditionalGeneration",
    "gemma3": "Gemma3ForConditionalGeneration",
    "paligemma": "PaliGemmaForConditionalGeneration",
    "lfm2_vl": "Lfm2VlForConditionalGeneration",
    "aria": "AriaForConditionalGeneration",
    "cohere2_vision": "Cohere2VisionForConditionalGeneration",
    "glm4v": "Glm4vForConditionalGeneration",
    "internvl_original": "InternVLForConditionalGeneration",
    "minicpmv4_6": "MiniCPMV4_6ForConditionalGeneration",
    "minicpmv4_7": "MiniCPMV4_7ForConditionalGeneration",
    "qwen3_vl_moe": "Qwen3VLMoeForConditionalGeneration",
    "qwen3_5": "Qwen3_5ForConditionalGeneration",
    "qwen3_5_moe": "Qwen3_5MoeForConditionalGeneration",
    "glm4v_moe": "Glm4vMoeForConditionalGeneration",
    "glm_ocr": "GlmOcrForConditionalGeneration",
    "exaone4_5": "Exaone4_5_ForConditionalGeneration",
    "ernie4_5_vl_moe": "Ernie4_5_VLMoeForConditionalGeneration",
    "gemma3n": "Gemma3nForConditionalGeneration",
    "gemma4": "Gemma4ForConditionalGeneration",
    "granite4_vision": "Granite4VisionForConditionalGeneration",
    "llama4": "Llama4ForConditionalGeneration",
    "step3p7": "Step3p7ForConditionalGeneration",
}
"""Family to the architecture that transformers has under this name, and the tree too. Not PaddleOCR-VL: transformers
5.19 fits its positions from corner to corner, vLLM 0.32 does not."""
COMPARED = frozenset(
    [
        *("llava_original", "llava_next_original", "llava_onevision", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"),
        *("idefics3", "smolvlm", "mistral3", "gemma3", "cohere2_vision", "glm4v", "internvl_original"),
    ]
)
"""Families of which porter's authors have compared ports with transformers' numbers, on vLLM 0.32."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Where the tree's class says less than the original: config values that only it reads, and values that its code
    fixes and the original takes from the config: (attribute of the port, expression)."""

    given: Mapping[str, JSON] = field(default_factory=dict)
    """By path: `text_config.x` is one of that part."""
    settings: tuple[tuple[str, str], ...] = ()
    largest: tuple[str, str] | None = None
    """(module, class) of the tree whose processing info finds the largest image where this one's has it fixed."""

    def inside(self, part: str) -> Mapping[str, JSON]:
        """The values of one part of the config, "" for the config itself."""
        split = {path: path.rpartition(".") for path in self.given}
        return {name: self.given[path] for path, (owner, _, name) in split.items() if owner == part}


NORM_EPS = (("multi_modal_projector.norm.variance_epsilon", "self.config.text_config.rms_norm_eps"),)
GAPS: Mapping[str, Gap] = {
    "llava_onevision": Gap(largest=("llava_next", "LlavaNextProcessingInfo")),
    "glm4v": Gap({"text_config.attention_bias": True}),
    "qwen3_vl_moe": Gap({"text_config.norm_topk_prob": True}),
    "cohere2_vision": Gap(settings=(("language_model.logits_processor.scale", "1.0"),)),
    "mistral3": Gap(settings=NORM_EPS),
    "lightonocr": Gap(
        {"vision_feature_layer": -1, "projector_hidden_act": "gelu", "multimodal_projector_bias": False}, NORM_EPS
    ),
}


SAID = re.compile(r'"""[\s\S]*?"""|#[^\n]*')
KINDS = ("modeling", "configuration", "processing")
FEW = 4
LEAST_SHARE = 0.25
"""Share of the original's telling words, those that FEW originals have at most, that a copy of it must hold to be
looked at closely: a copy renames what is its own, and mostly leaves locals and arguments as they are."""
MOST = 2


@dataclass(frozen=True, slots=True)
class Original:
    """`side` holds the files of one folder of transformers' models; `model` and `config` are its roots."""

    side: Side
    model: Definition
    config: Definition
    model_type: str
    folder: str
    models: Mapping[str, str]
    """model_type to the class that transformers looks up for it."""
    processor: str
    """The processor class that transformers looks up for it, "" without one."""
    processing: str = ""
    """The file of that class."""


@lru_cache(maxsize=64)
def original(package: Path, architecture: str) -> Original | None:
    """The model that transformers has under this name, None without one."""
    library = library_beside(package)
    for model_type in library.model_types(architecture):
        found = _read(library, model_type, architecture)
        if found is not None:
            return found
    return None


def native(package: Path, model_type: JSON) -> Original | None:
    """The model that transformers itself builds for a model_type, None without one."""
    library = library_beside(package)
    architecture = library.whole_model(model_type) if isinstance(model_type, str) else None
    return _of_type(package, str(model_type), architecture) if architecture is not None else None


@lru_cache(maxsize=16)
def _of_type(package: Path, model_type: str, architecture: str) -> Original | None:
    return _read(library_beside(package), model_type, architecture)


def _read(library: Library, model_type: str, architecture: str) -> Original | None:
    paths = [path for kind in KINDS if (path := library.file(model_type, kind)) is not None]
    code = CodeBase({path: library.code.texts[path] for path in paths})
    model = _defined(code, paths[:1], architecture)
    config = _defined(code, paths[1:2], library.configs.get(model_type, ""))
    if model is None or config is None:
        return None
    models = library.table("MODEL_MAPPING_NAMES")
    processor = library.table("PROCESSOR_MAPPING_NAMES").get(model_type, "")
    own = library.file(model_type, "processing") or ""
    return Original(Side.of(code), model, config, model_type, library.folder(model_type), models, processor, own)


def _defined(code: CodeBase, paths: list[str], name: str) -> Definition | None:
    found = code.meaning(paths[0], name) if paths else None
    return found if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef) else None


def resembles(package: Path, architecture: str, python: Mapping[str, str], all_of: tuple[str, ...]) -> bool:
    """Whether a repo's code could be a copy or a subclass of the original: a look at words, before any walk."""
    held = frozenset[str]().union(*(_words(text) for text in python.values()))
    return architecture in held or architecture in _nearest(package, held, all_of)


@lru_cache(maxsize=8)
def _nearest(package: Path, held: frozenset[str], architectures: tuple[str, ...]) -> tuple[str, ...]:
    """The originals of which the code holds the largest shares of telling words, MOST of them at most."""
    telling = _telling(package, architectures)
    shares = {name: len(words & held) / max(1, len(words)) for name, words in telling.items()}
    order = sorted((name for name in shares if shares[name] >= LEAST_SHARE), key=lambda name: -shares[name])
    return tuple(order[:MOST])


@lru_cache(maxsize=8)
def _telling(package: Path, architectures: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
    """The words of each original that few others have."""
    library = library_beside(package)
    found: dict[str, frozenset[str]] = {}
    for name in architectures:
        files = [library.file(item, "modeling") for item in library.model_types(name)]
        path = next((file for file in files if file is not None), None)
        if path is not None:
            found[name] = _words(library.code.texts[path])
    count = Counter(word for words in found.values() for word in words)
    return {name: frozenset(word for word in words if count[word] <= FEW) for name, words in found.items()}


@lru_cache(maxsize=256)
def _words(text: str) -> frozenset[str]:
    """What a file says in code: a copy may leave comments and docstrings out."""
    return frozenset(re.findall(r"[A-Za-z_]\w+", SAID.sub("", text)))

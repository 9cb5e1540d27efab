"""What the tree at hand has for an original: its class, its processing trio, the text of an image; from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from porter.errors import TreeError
from porter.families.held import MAPPER, held_by
from porter.vllm_tree.classes import (
    ClassReading,
    find_class,
    find_method,
    imported_from,
    lineage,
    registered_processor,
)
from porter.vllm_tree.prompts import inserts_images
from porter.vllm_tree.registry import architectures, keys_of
from porter.vllm_tree.syntax import calls, dotted
from porter.vllm_tree.tree import Tree
from porter.weights.mapper import NameRules

HOOK = "get_hf_processor"
CONFIG_HOOK = "get_hf_config"
LOADER = "load_weights"
WHOLE_CONFIGS = ("config", "hf_config")
MODALITIES = ("image", "video", "audio", "")
CONVERTORS = ("transformers_utils/model_arch_config_convertor.py", "MODEL_ARCH_CONFIG_CONVERTORS")
"""The table of how vLLM reads sizes off configs, by model_type."""
ADJUSTED = ("model_executor/models/config.py", "MODELS_CONFIG_MAP")
"""The table of what vLLM changes of its own settings, by the architecture's name."""
PREFIX_LM_FILES = ("transformers_utils/model_arch_config_convertor.py", "config/model.py")


@dataclass(frozen=True, slots=True)
class Trio:
    """What one module registers. `hf_processor` is transformers' class that the processing info asks for, "" where it
    asks for any."""

    module: str
    info: str
    processor: str
    dummy: str
    hf_processor: str
    hf_module: str
    config: str
    """transformers' config class that it insists on, "" where it takes any."""
    literal: bool
    """The dummy prompt is written with tokens that stand in the tree's code."""


@dataclass(frozen=True, slots=True)
class TwinAnchors:
    """`mapper` are the class's own renames; `prefix_lm`: vLLM knows by the model_type that images attend both ways;
    `trios`: the model's own, then those of its bases, for which a repo's files may ask instead."""

    relpath: str
    module: str
    model_class: str
    trios: tuple[Trio, ...]
    placeholder: str
    video: str
    mapper: NameRules
    prefix_lm: bool
    inserts: bool
    """Its processor puts images into the prompt by itself: no text stands for them."""
    maps: bool
    """Its `load_weights` takes the class's mapper."""
    typed: bool
    """The class, or what vLLM reads of configs, goes by the config's model_type, and knows the original's only."""
    adjusted: bool = False
    """vLLM changes settings of its own for the architecture's name: a port has another one."""


def read_anchors(tree: Tree, architecture: str, model_type: str = "") -> TwinAnchors:
    """Read the tree's class for an architecture of transformers, whose name may differ in case. Raises TreeError
    naming what this tree lacks."""
    known = {name.lower(): entry for name, entry in architectures(tree).items()}
    entry = known.get(architecture.lower())
    file = entry.file(tree) if entry is not None and not entry.removed else None
    model = find_class(tree, file, entry.class_name) if entry is not None and file is not None else None
    if model is None:
        raise TreeError(f"this vLLM ({tree.version}) has no {architecture}", where=str(tree.package))
    trios = tuple(_trios(tree, model))
    if not trios:
        raise TreeError(f"{model.file}: {model.name} is registered without a processor", where=model.file)
    return TwinAnchors(
        relpath=model.file,
        module=_module(model.file),
        model_class=model.name,
        trios=trios,
        placeholder=_placeholder(tree, model, "image"),
        video=_placeholder(tree, model, "video"),
        mapper=held_by(tree, model).rules,
        prefix_lm=model_type in _prefix_lm_types(tree),
        inserts=inserts_images(tree, model),
        maps=_maps(tree, model),
        typed=model_type in keys_of(tree, *CONVERTORS)
        or any(model_type in _strings(test) for cls in lineage(tree, model) for test in _type_tests(cls.node)),
        adjusted=entry is not None and entry.name in keys_of(tree, *ADJUSTED),
    )


def _maps(tree: Tree, model: ClassReading) -> bool:
    found = find_method(tree, model, LOADER)
    inside = ast.walk(found[1]) if found is not None else ()
    return any(isinstance(item, ast.Attribute) and item.attr == MAPPER for item in inside)


def _module(file: str) -> str:
    return file.rpartition("/")[2].removesuffix(".py")


def _trios(tree: Tree, model: ClassReading) -> Iterator[Trio]:
    """The model's own, then those of the classes that it inherits from."""
    for cls in lineage(tree, model):
        found = registered_processor(cls)
        if found is not None and found.info is not None and found.dummy_inputs is not None:
            info = find_class(tree, cls.file, found.info)
            asked = _asked(tree, info, HOOK) if info is not None else ("", "")
            config = _asked(tree, info, CONFIG_HOOK)[0] if info is not None else ""
            literal = _writes_tokens(tree, cls.file, found.dummy_inputs)
            yield Trio(_module(cls.file), found.info, found.processor, found.dummy_inputs, *asked, config, literal)


def _writes_tokens(tree: Tree, file: str, dummy: str) -> bool:
    cls = find_class(tree, file, dummy)
    found = find_method(tree, cls, "get_dummy_text") if cls is not None else None
    inside = ast.walk(found[1]) if found is not None else ()
    texts = [node.value for node in inside if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return any(text not in MODALITIES for text in texts)


def _prefix_lm_types(tree: Tree) -> frozenset[str]:
    """The model_types for which vLLM lets the tokens of an image attend to each other."""
    for file in PREFIX_LM_FILES:
        for node in ast.walk(tree.module(file)) if tree.has(file) else ():
            if isinstance(node, ast.FunctionDef) and node.name == "is_mm_prefix_lm":
                listed = [item for item in ast.walk(node) if isinstance(item, (ast.Tuple, ast.List, ast.Set))]
                names = {item.value for group in listed for item in group.elts if isinstance(item, ast.Constant)}
                if names:
                    return frozenset(name for name in names if isinstance(name, str))
    return frozenset()


def _asked(tree: Tree, info: ClassReading, hook: str) -> tuple[str, str]:
    """(class, its module) that a hook of the info asks its context for."""
    found = find_method(tree, info, hook)
    for call in calls(found[1], hook) if found is not None else ():
        name = dotted(call.args[0]) if call.args else ""
        module = imported_from(tree, found[0].file, name) if found is not None and name else None
        if module is not None:
            return name, module
    return "", ""


def _type_tests(cls: ast.ClassDef) -> Iterator[ast.Compare]:
    """Where a class compares the model_type of the whole config with names."""
    for node in ast.walk(cls):
        read = node.left if isinstance(node, ast.Compare) else None
        owner, _, name = (dotted(read) or "").rpartition(".") if read is not None else ("", "", "")
        if isinstance(node, ast.Compare) and name == "model_type" and owner.rpartition(".")[2] in WHOLE_CONFIGS:
            yield node


def _placeholder(tree: Tree, model: ClassReading, modality: str) -> str:
    """The literal that stands for an image or a video in prompts; "" where it is computed."""
    found = find_method(tree, model, "get_placeholder_str")
    for item in ast.walk(found[1]) if found is not None else ():
        if isinstance(item, ast.If) and modality in _strings(item.test):
            texts = [
                text for statement in item.body if isinstance(statement, ast.Return) for text in _strings(statement)
            ]
            return texts[0] if len(texts) == 1 else ""
    return ""


def _strings(node: ast.AST) -> list[str]:
    return [item.value for item in ast.walk(node) if isinstance(item, ast.Constant) and isinstance(item.value, str)]

"""What the LLaVA base is in the tree at hand: classes, hooks, attributes read; all from its source."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from porter.errors import TreeError
from porter.families.internvl.towers import TowerAnchor, tower_anchors
from porter.families.llava.spec import LlavaBase
from porter.vllm_tree.classes import (
    ClassReading,
    classes_of,
    find_class,
    find_method,
    imported_from,
    meaning,
    registered_processor,
)
from porter.vllm_tree.config_reads import required_reads
from porter.vllm_tree.syntax import calls, dotted, parameter_names
from porter.vllm_tree.tree import Tree

INFO_HOOK = "get_hf_processor"
CONNECTOR = "multi_modal_projector"
TOWER = "vision_tower"
DUMMY = "LlavaDummyInputsBuilder"
CONNECTOR_ARGUMENTS = ("vision_hidden_size", "text_hidden_size", "projector_hidden_act", "multimodal_projector_bias")
CONNECTOR_STEPS = ("linear_1", "act", "linear_2")
BUILDER = ("hf_config", "quant_config", "require_post_norm", "prefix")


@dataclass(frozen=True, slots=True)
class LlavaAnchors:
    """The base's contract. `reads` maps each attribute that it reads without a default to the line."""

    relpath: str
    base: LlavaBase
    towers: Mapping[str, TowerAnchor]
    reads: Mapping[str, int]


def read_anchors(tree: Tree, relpath: str, model_class: str) -> LlavaAnchors:
    """Read the base from `relpath`. Raises TreeError naming the part that this tree lacks."""
    tree.module(relpath)
    model = _class(tree, relpath, model_class)
    init = _method(tree, model, "__init__")
    info, hf_processor, hf_module = _info(tree, relpath)
    _check_connector(tree, relpath, init)
    base = LlavaBase(
        module=relpath.rpartition("/")[2].removesuffix(".py"),
        model=model_class,
        info=info.name,
        processor=_processor(tree, relpath, model, info.name),
        dummy=_class(tree, relpath, DUMMY).name,
        config=_config(tree, relpath, model),
        hf_processor=hf_processor,
        hf_module=hf_module,
        placeholder=_placeholder(tree, model),
        build_tower=_builder(tree, relpath, init),
        marks=bool(calls(init, "_mark_tower_model")),
    )
    return LlavaAnchors(relpath, base, tower_anchors(tree), required_reads(tree, relpath, model_class, info.name))


def _lacks(relpath: str, what: str) -> TreeError:
    return TreeError(f"{relpath} of this vLLM has no {what}", where=relpath)


def _class(tree: Tree, relpath: str, name: str) -> ClassReading:
    found = find_class(tree, relpath, name)
    if found is None:
        raise _lacks(relpath, f"class {name}")
    return found


def _method(tree: Tree, cls: ClassReading, name: str) -> ast.FunctionDef:
    found = find_method(tree, cls, name)
    if found is None or found[0].file != cls.file:
        raise _lacks(cls.file, f"{cls.name}.{name}")
    return found[1]


def _info(tree: Tree, relpath: str) -> tuple[ClassReading, str, str]:
    """(processing info, HF processor, its module): the info class whose processor is LLaVA's."""
    for cls in classes_of(tree, relpath):
        hook = cls.methods.get(INFO_HOOK)
        found = [dotted(call.args[0]) for call in calls(hook, INFO_HOOK) if call.args] if hook is not None else []
        module = imported_from(tree, relpath, found[0]) if found else None
        if module is not None and found[0].startswith("Llava"):
            return cls, found[0], module
    raise _lacks(relpath, "processing info that asks for LLaVA's processor")


def _processor(tree: Tree, relpath: str, model: ClassReading, info: str) -> str:
    """The multi-modal processor that the model is registered with, or that is made for the info class."""
    trio = registered_processor(model)
    if trio is not None and find_class(tree, relpath, trio.processor) is not None:
        return trio.processor
    for cls in classes_of(tree, relpath):
        brackets = [base for base in cls.node.bases if isinstance(base, ast.Subscript)]
        if any(dotted(base.slice) == info for base in brackets):
            return cls.name
    raise _lacks(relpath, f"processor for {info}")


def _config(tree: Tree, relpath: str, model: ClassReading) -> str:
    """transformers' config class, which the base's processing info insists on."""
    for cls in classes_of(tree, relpath):
        hook = cls.methods.get("get_hf_config")
        found = [dotted(call.args[0]) for call in calls(hook, "get_hf_config") if call.args] if hook else []
        if found and imported_from(tree, relpath, found[0]) == "transformers":
            return found[0]
    raise _lacks(relpath, f"config class of {model.name}")


def _check_connector(tree: Tree, relpath: str, init: ast.FunctionDef) -> None:
    """Raises TreeError unless the base's connector is Linear, activation, Linear with a bias that the config gives."""
    for node in ast.walk(init):
        named = isinstance(node, ast.Assign) and dotted(node.targets[0]) == f"self.{CONNECTOR}"
        if named and isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            cls = _class(tree, relpath, dotted(node.value.func))
            names = parameter_names(_method(tree, cls, "__init__"))
            steps = [dotted(call.func).removeprefix("self.") for call in _in_order(_method(tree, cls, "forward"))]
            if names[1:5] == CONNECTOR_ARGUMENTS and steps == list(CONNECTOR_STEPS):
                return
    raise _lacks(relpath, f"{CONNECTOR} of {', '.join(CONNECTOR_STEPS)}")


def _in_order(node: ast.FunctionDef) -> list[ast.Call]:
    found = [item for item in ast.walk(node) if isinstance(item, ast.Call)]
    return sorted(found, key=lambda item: (item.lineno, item.col_offset))


def _builder(tree: Tree, relpath: str, init: ast.FunctionDef) -> str:
    """The function of the module that builds the tower from the config."""
    for node in ast.walk(init):
        named = isinstance(node, ast.Assign) and dotted(node.targets[0]) == f"self.{TOWER}"
        if named and isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            found = meaning(tree, relpath, dotted(node.value.func))
            function = getattr(found, "node", None)
            if isinstance(function, ast.FunctionDef) and parameter_names(function) == BUILDER:
                return function.name
    raise _lacks(relpath, f"function of ({', '.join(BUILDER)}) that builds {TOWER}")


def _placeholder(tree: Tree, model: ClassReading) -> str:
    for item in ast.walk(_method(tree, model, "get_placeholder_str")):
        if isinstance(item, ast.Return) and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str):
            return item.value.value
    raise _lacks(model.file, "literal image placeholder")

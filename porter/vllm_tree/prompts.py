"""Whether a class of the tree, or a port of one, puts images into a prompt by itself: then no text stands for them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.vllm_tree.classes import (
    ClassReading,
    find_class,
    find_method,
    lineage,
    read_class,
    registered_processor,
)
from porter.vllm_tree.registry import architectures
from porter.vllm_tree.syntax import calls
from porter.vllm_tree.tree import Tree

UPDATES, INSERTS, REPLACES = "_get_prompt_updates", "PromptInsertion", "PromptReplacement"


def inserts_images(tree: Tree, model: ClassReading) -> bool:
    """Whether the processor that the class is registered with inserts, and replaces nothing."""
    for cls in lineage(tree, model):
        found = registered_processor(cls)
        if found is not None:
            processor = find_class(tree, cls.file, found.processor)
            return processor is not None and _processor_inserts(tree, processor)
    return False


def registered_inserts(tree: Tree, architecture: str) -> bool:
    """`inserts_images` of the class that the tree has for an architecture."""
    entry = architectures(tree).get(architecture)
    file = entry.file(tree) if entry is not None and not entry.removed else None
    model = find_class(tree, file, entry.class_name) if entry is not None and file is not None else None
    return model is not None and inserts_images(tree, model)


def port_inserts(tree: Tree, module: ast.Module, name: str) -> bool:
    """`inserts_images` of a class in a module outside the tree, that inherits from the tree's."""
    own = _own(module, name)
    if own is None:
        return False
    found = registered_processor(own)
    if found is None:
        return any(inserts_images(tree, base) for base in _imported(tree, module, own.bases))
    processor = _own(module, found.processor)
    if processor is None:
        return any(_processor_inserts(tree, known) for known in _imported(tree, module, (found.processor,)))
    if UPDATES in processor.methods:
        return _inserts(processor.methods[UPDATES])
    return any(_processor_inserts(tree, base) for base in _imported(tree, module, processor.bases))


def _processor_inserts(tree: Tree, processor: ClassReading) -> bool:
    found = find_method(tree, processor, UPDATES)
    return found is not None and _inserts(found[1])


def _inserts(method: ast.FunctionDef) -> bool:
    return any(calls(method, INSERTS)) and not any(calls(method, REPLACES))


def _own(module: ast.Module, name: str) -> ClassReading | None:
    nodes = (node for node in module.body if isinstance(node, ast.ClassDef) and node.name == name)
    return next((read_class("", node) for node in nodes), None)


def _imported(tree: Tree, module: ast.Module, names: tuple[str, ...]) -> Iterator[ClassReading]:
    """The classes of the tree that a module outside it means by these names."""
    for node in module.body:
        file = tree.dotted_path(node.module) if isinstance(node, ast.ImportFrom) and node.module else None
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            wanted = file is not None and (alias.asname or alias.name) in names
            found = find_class(tree, file, alias.name) if file is not None and wanted else None
            if found is not None:
                yield found

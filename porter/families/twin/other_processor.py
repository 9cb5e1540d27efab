"""Another processor of transformers in place of the one that vLLM's class asks for: whether it has what is read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from porter.families.library import Library, library_beside
from porter.families.lineages import ClassAt, Lineage, lineage_of
from porter.families.twin.anchors import HOOK, Trio, TwinAnchors
from porter.families.twin.original import Original
from porter.source.alike_parts import set_on_self
from porter.vllm_tree.classes import ClassReading, find_class, find_method, lineage
from porter.vllm_tree.tree import Tree

MODELS = "model_executor/models/"


@dataclass(frozen=True, slots=True)
class Processing:
    """`processor` is transformers' class in place of the one that the trio asks for, "" where that is it; `renames`
    are (attribute that vLLM's code reads, the class's own name for it)."""

    trio: Trio
    processor: str = ""
    renames: tuple[tuple[str, str], ...] = ()


def another(tree: Tree, anchors: TwinAnchors, found: Original, name: str) -> tuple[Processing | None, str]:
    """The model's own trio with another processor of transformers', or why not."""
    library, trio = library_beside(tree.package), anchors.trios[0]
    mine, other = (_processor(library, item) for item in (trio.hf_processor or found.processor, name))
    if mine is None or other is None:
        return None, f"transformers {library.version} has no {name}"
    if not _only_asks(tree, anchors, trio):
        return None, f"{trio.info}.{HOOK} does more than ask for it"
    renames: list[tuple[str, str]] = []
    for attribute in sorted(_read(tree, trio)):
        if _has(other, attribute) or not _has(mine, attribute):
            continue
        own = _own_name(mine, other, attribute)
        if own is None:
            return None, f"it has no {attribute}"
        renames.append((attribute, own))
    return Processing(trio, name, tuple(renames)), ""


def _processor(library: Library, name: str) -> Lineage | None:
    at = library.find_processor(name)
    return lineage_of(ClassAt(library.code, *at), library) if at is not None else None


def _has(processor: Lineage, name: str) -> bool:
    init = processor.method("__init__")
    given = [arg.arg for arg in (*init[1].args.args, *init[1].args.kwonlyargs)] if init is not None else []
    return name in given or processor.sets((name,)) is not None


def _own_name(mine: Lineage, other: Lineage, attribute: str) -> str | None:
    """What another processor calls an attribute: the one that holds the same text."""
    texts = dict(_texts(mine))
    names = [name for name, held in _texts(other) if held & texts.get(attribute, frozenset()) and name not in texts]
    return names[0] if len(names) == 1 else None


def _texts(processor: Lineage) -> Iterator[tuple[str, frozenset[str]]]:
    """The strings, names of attributes left out, that `__init__` sets attributes from."""
    init = processor.method("__init__")
    for statement in init[1].body if init is not None else ():
        target = set_on_self(statement)
        if target is not None:
            said = (node.value for node in ast.walk(target[1]) if isinstance(node, ast.Constant))
            yield target[0], frozenset(text for text in said if isinstance(text, str) and not text.isidentifier())


def _classes(tree: Tree, trio: Trio) -> Iterator[ClassReading]:
    """The classes of a trio, and those of other models that they inherit from."""
    for name in (trio.info, trio.processor, trio.dummy):
        cls = find_class(tree, f"{MODELS}{trio.module}.py", name)
        for item in lineage(tree, cls) if cls is not None else ():
            if item.file.startswith(MODELS):
                yield item


def _only_asks(tree: Tree, anchors: TwinAnchors, trio: Trio) -> bool:
    """Whether the hook of the info hands on what it is given, and nothing else."""
    info = find_class(tree, f"{MODELS}{trio.module}.py", trio.info)
    found = find_method(tree, info, HOOK) if info is not None else None
    body = [item for item in found[1].body if not _docstring(item)] if found is not None else []
    call = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None
    return isinstance(call, ast.Call) and all(item.arg is None for item in call.keywords) and len(call.args) <= 1


def _docstring(item: ast.stmt) -> bool:
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)


def _read(tree: Tree, trio: Trio) -> set[str]:
    """The attributes that a trio's code reads of the processor."""
    asked = trio.hf_processor
    return {name for cls in _classes(tree, trio) for method in cls.methods.values() for name in _reads(method, asked)}


def _reads(method: ast.FunctionDef, asked: str) -> Iterator[str]:
    arguments = (*method.args.args, *method.args.kwonlyargs)
    typed = {arg.arg for arg in arguments if arg.annotation is not None and ast.unparse(arg.annotation) == asked}
    held = {
        target.id
        for node in ast.walk(method)
        if isinstance(node, ast.Assign) and _asks(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(method):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            named = isinstance(node.value, ast.Name) and node.value.id in typed | held
            if named or _asks(node.value):
                yield node.attr


def _asks(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == HOOK

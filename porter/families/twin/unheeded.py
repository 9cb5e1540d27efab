"""Values of a config that the original reads and the tree's class does not: there the class has one of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.families.base import Blocker, ReadingLike
from porter.families.held import held_by
from porter.families.twin.configs import NO_FIELDS, PartMap, fields, literal, sub_configs
from porter.families.twin.original import Original
from porter.source.alike import Alike
from porter.source.codebase import Definition
from porter.vllm_tree.classes import find_class, imported_from, lineage
from porter.vllm_tree.tree import Tree
from porter.vllm_tree.words import words

MODELS = "vllm.model_executor.models."
TEXT = "text_config"
"""Read by the language model's class, whichever that is."""


def unheeded(
    reading: ReadingLike, walk: Alike, found: Original, parts: tuple[PartMap, ...], tree: Tree, base: tuple[str, str]
) -> Iterator[Blocker]:
    """What is another value than the original's default, of parts that have a class of their own; `base` is the file
    and the name of the tree's class."""
    model = find_class(tree, *base)
    if model is None:
        return
    files = {cls.file for cls in lineage(tree, model)}
    files |= {site.file for sites in held_by(tree, model).sites.values() for site in sites}
    classes = sub_configs(walk.library, found.config)
    pairs = [(part, cls) for part in parts if part.name != TEXT and (cls := classes.get(part.name)) is not None]
    others = [(part.name, *other) for part, cls in pairs for other in _other(reading, walk, part, cls)]
    strange = [other for other in others if not _heard(tree, files, other[1])]
    read = _read(found) if strange else frozenset()
    wider = _beside(tree, files) if strange else set()
    for part, name, value in strange:
        if name in read and not _heard(tree, wider, name):
            yield Blocker("config", f"{part}.{name} is {value!r}, {model.name} of vLLM does not read it")


def _heard(tree: Tree, files: set[str], name: str) -> bool:
    return any(name in words(tree, file) for file in files)


def _beside(tree: Tree, files: set[str]) -> set[str]:
    """The files, and the models' files that they import from, one after the other."""
    waiting, seen = list(files), set[str]()
    while waiting:
        file = waiting.pop()
        source = tree.code.file(tree.code_path(file)) if file not in seen else None
        seen.add(file)
        modules = {imported_from(tree, file, name) for name in source.imports} if source is not None else set()
        found = (tree.dotted_path(module) for module in modules if module and module.startswith(MODELS))
        waiting += [path for path in found if path is not None]
    return seen


def _other(reading: ReadingLike, walk: Alike, part: PartMap, cls: Definition) -> Iterator[tuple[str, object]]:
    """(field, value) of what the repo has otherwise than the original's default."""
    inside = reading.snapshot.config().get(part.key)
    document = inside if isinstance(inside, dict) else {}
    for name, default in fields(walk.library, cls).items():
        usual, native = literal(default)
        key = part.renames.get(name, name)
        value = part.forced.get(name, document.get(key, part.given.get(name, native)))
        if usual and value != native and name not in NO_FIELDS:
            yield name, value


def _read(found: Original) -> frozenset[str]:
    """Attributes that the original's model code loads."""
    nodes = (node for file in found.side.code.files() if "modeling" in file.path for node in ast.walk(file.tree))
    return frozenset(n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load))

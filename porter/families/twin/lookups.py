"""Parts that the original looks up by their config, where the tree's class always builds one class."""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterator

from porter.families.base import ReadingLike
from porter.families.held import Held, children_of, held_by
from porter.families.internvl.judgement import Notes, blocked
from porter.families.twin.anchors import TwinAnchors
from porter.families.twin.configs import PartMap
from porter.families.twin.original import Original
from porter.families.twin.weights import Modules, assigned
from porter.source.alike_classes import lineage, methods_of
from porter.source.codebase import Definition
from porter.vllm_tree.classes import find_class
from porter.vllm_tree.classes import lineage as tree_lineage
from porter.vllm_tree.tree import Tree

DEEPEST = 3


def judge_lookups(
    reading: ReadingLike,
    tree: Tree,
    anchors: TwinAnchors,
    found: Original,
    modules: Modules,
    parts: tuple[PartMap, ...],
) -> Notes:
    """Blocked where the repo's config names another model for a part than the one that the tree's class builds."""
    notes = Notes()
    keys = {part.name: part.key for part in parts if part.model_type is None}
    for path, name in _looked_up(modules, found.model):
        inside = reading.snapshot.config().get(keys.get(name, ""))
        stated = inside.get("model_type") if isinstance(inside, dict) else None
        theirs = found.models.get(stated) if isinstance(stated, str) else None
        built = _built(tree, anchors, path) & {*found.models.values()}
        if theirs is not None and built and _stem(theirs) not in map(_stem, built):
            why = f"{keys[name]} is a {stated}, {anchors.model_class} always builds {', '.join(sorted(built))}"
            notes = notes.plus(blocked("language model", why))
    return notes


def _stem(name: str) -> str:
    """A model's name without what says which part of it a class is: the tree's classes are cut otherwise."""
    return re.sub(r"(Text|Vision)?(Model|Transformer)$", "", name)


def _looked_up(modules: Modules, root: Definition) -> Iterator[tuple[str, str]]:
    """(path of the part, name of its config) of each part that an auto class makes."""
    waiting: deque[tuple[Definition, tuple[str, ...]]] = deque([(root, ())])
    while waiting:
        cls, path = waiting.popleft()
        inits = [init for item in lineage(modules.walk.library.code, cls) if (init := methods_of(item).get("__init__"))]
        for name, value in (pair for init in inits for pair in assigned(init)):
            config = _auto(value)
            if config is not None:
                yield ".".join((*path, name)), config
        for name, child in modules.children(cls).items() if len(path) < DEEPEST else ():
            if isinstance(child, Definition) and name not in modules.listed(cls):
                waiting.append((child, (*path, name)))


def _auto(value: ast.expr) -> str | None:
    if not isinstance(value, ast.Call) or not ast.unparse(value.func).startswith("AutoModel"):
        return None
    given = next((item for item in (*value.args, *(item.value for item in value.keywords))), None)
    return given.attr if isinstance(given, ast.Attribute) else None


def _built(tree: Tree, anchors: TwinAnchors, path: str) -> set[str]:
    """The class, and its bases, that the tree's class always makes at a path; none where that is chosen."""
    model = find_class(tree, anchors.relpath, anchors.model_class)
    place = (anchors.mapper.apply(f"{path}.weight") or "").removesuffix(".weight")
    held = held_by(tree, model) if model is not None else None
    for name in place.split("."):
        inner = children_of(tree, held, name) if held is not None else None
        held = inner if isinstance(inner, Held) else None
    return {cls.name for cls in tree_lineage(tree, held.cls)} if held is not None else set()

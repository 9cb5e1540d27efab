"""Classes with their bases across code bases: the repo's own code, and transformers behind it."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from porter.families.library import Library
from porter.source.codebase import CodeBase, Definition, External
from porter.vllm_tree.classes import class_attributes

MAX_BASES = 40
ENDS = ("torch.", "nn.", "abc.", "typing.", "enum.", "object")


@dataclass(frozen=True, slots=True)
class ClassAt:
    """A class and the code base that its file belongs to."""

    code: CodeBase
    file: str
    node: ast.ClassDef

    @property
    def place(self) -> str:
        return f"{self.file}:{self.node.lineno}"


@dataclass(frozen=True, slots=True)
class Lineage:
    """A class and its bases, nearest first. `outside` are bases that no code at hand defines."""

    classes: tuple[ClassAt, ...]
    outside: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Every base is known: `nn.Module` and the like end a lineage, they do not hide one."""
        return all(name.startswith(ENDS) or name.rpartition(".")[2] in ROOTS for name in self.outside)

    def descends(self, root: str) -> bool:
        """Whether one of transformers' own base classes is among the bases."""
        return any(name.rpartition(".")[2] == root for name in self.outside)

    def method(self, name: str) -> tuple[ClassAt, ast.FunctionDef] | None:
        for owner in self.classes:
            for item in owner.node.body:
                if isinstance(item, ast.FunctionDef) and item.name == name:
                    return owner, item
        return None

    def attribute(self, name: str) -> tuple[ClassAt, ast.expr] | None:
        for owner in self.classes:
            for target, value in class_attributes(owner.node):
                if target == name:
                    return owner, value
        return None

    def sets(self, names: tuple[str, ...]) -> tuple[ClassAt, ast.AST] | None:
        """The first place where a method sets one of these on self, or a property or class attribute has the name."""
        for owner in self.classes:
            for node in ast.walk(owner.node):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in names:
                    return owner, node
                if isinstance(node, ast.FunctionDef) and node.name in names:
                    return owner, node
            for target, value in class_attributes(owner.node):
                if target in names:
                    return owner, value
        return None


def lineage_of(start: ClassAt, library: Library) -> Lineage:
    """The class and every base that the repo's code or transformers defines."""
    found: list[ClassAt] = []
    outside: list[str] = []
    queue = [start]
    while queue and len(found) < MAX_BASES:
        current = queue.pop(0)
        if any(current.node is known.node for known in found):
            continue
        found.append(current)
        for base in current.node.bases:
            name = ast.unparse(base.value if isinstance(base, ast.Subscript) else base)
            inner = resolve(current, name, library)
            if isinstance(inner, ClassAt):
                queue.append(inner)
            else:
                outside.append(inner)
    return Lineage(tuple(found), tuple(dict.fromkeys(outside)))


def resolve(owner: ClassAt, name: str, library: Library) -> ClassAt | str:
    """The class that a name means in the owner's file; its dotted name when no code at hand defines it."""
    head, _, rest = name.partition(".")
    if not rest and head in ROOTS:
        return head
    meaning = owner.code.meaning(owner.file, head)
    if isinstance(meaning, Definition) and isinstance(meaning.node, ast.ClassDef) and not rest:
        return ClassAt(owner.code, meaning.file, meaning.node)
    if isinstance(meaning, External):
        dotted = f"{meaning.dotted}.{rest}" if rest else meaning.dotted
        return in_library(dotted, library) or dotted
    return name


ROOTS = frozenset(
    {
        "PreTrainedModel", "GenerationMixin", "ProcessorMixin", "PushToHubMixin", "PreTrainedConfig",
        "PretrainedConfig", "EmbeddingAccessMixin", "ModuleUtilsMixin", "PeftAdapterMixin",
    }
)  # fmt: skip
"""transformers' own base classes, known by their names: nothing that a condition asks for is written in them."""


def in_library(dotted: str, library: Library) -> ClassAt | None:
    """A class by its dotted name: from the file it names, or by transformers' tables where that is the package."""
    module, _, name = dotted.rpartition(".")
    if dotted.partition(".")[0] != "transformers" or name in ROOTS:
        return None
    # the package's own __init__ re-exports everything: following it would parse every model of transformers
    path = library.code.resolve_module("", module) if "." in module else None
    if path is not None and path.endswith("__init__.py"):
        path = None
    found = library.code.find_class(path, name) if path is not None else None
    if found is None:
        found = library.find_model(name)
    return ClassAt(library.code, *found) if found is not None else None

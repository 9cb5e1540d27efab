"""Spellings of one expression: shapes asked for in two ways, lists that are written out, devices."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable

from porter.source.codebase import CodeBase, Definition, External

OUTPUT = "ModelOutput"
ASIDE = ("image_hidden_states", "video_hidden_states", "hidden_states", "attentions")
"""What outputs of models hold beside what the next step takes."""


def makes_output(code: CodeBase, file: str, call: ast.Call) -> bool:
    """Whether a call makes one of the code's own output objects."""
    meant = code.meaning(file, call.func.id) if isinstance(call.func, ast.Name) else None
    return isinstance(meant, Definition) and _is_output(code, meant)


def handed_on(trees: Iterable[ast.AST]) -> frozenset[str]:
    """The fields beside the next step's that are read nowhere but to be said again under their own name."""
    read: set[str] = set()
    for tree in trees:
        nodes = list(ast.walk(tree))
        said = {(id(node.value), node.arg) for node in nodes if isinstance(node, ast.keyword)}
        for node in nodes:
            if isinstance(node, ast.Attribute) and node.attr in ASIDE and isinstance(node.ctx, ast.Load):
                read |= {node.attr} if (id(node), node.attr) not in said else set()
    return frozenset(ASIDE) - read


def _is_output(code: CodeBase, cls: Definition) -> bool:
    bases = cls.node.bases if isinstance(cls.node, ast.ClassDef) else []
    meant = [code.meaning(cls.file, base.id) for base in bases if isinstance(base, ast.Name)]
    return any(isinstance(item, External) and OUTPUT in item.name for item in meant)


def is_device(node: ast.AST) -> bool:
    """`x.device` of a plain name."""
    return isinstance(node, ast.Attribute) and node.attr == "device" and _names_only(node.value)


def _names_only(node: ast.AST) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def written_out(node: ast.AST) -> ast.AST:
    """A sequence as a tuple of its items, sizes as subscripts of the shape; anything else as it is."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return ast.Tuple([_shape(item) for item in node.elts], ast.Load())
    if not isinstance(node, ast.ListComp):
        return _shape(node) if isinstance(node, ast.expr) else node
    items = _turns(node)
    return ast.Tuple([_shape(item) for item in items], ast.Load()) if items is not None else node


def _turns(node: ast.ListComp) -> list[ast.expr] | None:
    """The items of a list over a few constants that stand in the code."""
    over = node.generators[0]
    values = over.iter.elts if isinstance(over.iter, (ast.Tuple, ast.List)) else []
    plain = len(node.generators) == 1 and not over.ifs and isinstance(over.target, ast.Name)
    if not plain or not values or not all(isinstance(item, ast.Constant) for item in values):
        return None
    assert isinstance(over.target, ast.Name)
    return [_With(over.target.id, value).visit(copy.deepcopy(node.elt)) for value in values]


class _With(ast.NodeTransformer):
    """An expression with a value in place of a name."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self.name, self.value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.value if node.id == self.name else node


def _shape(node: ast.expr) -> ast.expr:
    """`x.size(0)` as `x.shape[0]`."""
    asked = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "size"
    if not asked or not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return node
    assert isinstance(node.func, ast.Attribute)
    shape = ast.Attribute(node.func.value, "shape", ast.Load())
    return ast.copy_location(ast.Subscript(shape, node.args[0], ast.Load()), node)

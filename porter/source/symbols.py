"""Values of code as expressions over a config object: what a width is made of, so that other code can say it again."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from porter.source.codebase import CodeBase, Definition, snippet

CONFIG = "config"
FUNCTIONS = frozenset(["int", "len", "isinstance", "max", "min"])
TYPES = frozenset(["int", "float", "list", "tuple", "str"])
REBUILT = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.Tuple, ast.List)
Attribute = Callable[[tuple[str, ...], str], "ast.expr | None"]
"""(path of a config object, attribute that the code reads of it) to what that is, None where it has none."""

Same = Callable[[Definition], "str | None"]
"""The dotted name of the class elsewhere that a class of the code is a copy of, None without one."""


def nothing(cls: Definition) -> str | None:
    return None


class Unread(Exception):
    """Something of the code that cannot be said in full."""


@dataclass(slots=True)
class Symbols:
    """The names of one function of `file`: what each stands for, as an expression over `config`."""

    code: CodeBase
    file: str
    attribute: Attribute
    names: dict[str, ast.expr] = field(default_factory=dict)
    on_self: dict[str, ast.expr] = field(default_factory=dict)
    same: Same = nothing

    def value(self, node: ast.expr) -> ast.expr:
        """The expression with every name put in. Raises Unread."""
        if isinstance(node, ast.Constant):
            return node
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Subscript):
            return self._item(node)
        if isinstance(node, REBUILT):
            return self._rebuilt(node)
        raise Unread(snippet(node))

    def taken(self, nodes: list[ast.expr]) -> list[ast.expr]:
        """Arguments of a call, those behind a star spread."""
        found: list[ast.expr] = []
        for node in nodes:
            value = self.value(node.value if isinstance(node, ast.Starred) else node)
            if not isinstance(node, ast.Starred):
                found.append(value)
            elif isinstance(value, (ast.Tuple, ast.List)):
                found.extend(value.elts)
            else:
                raise Unread(snippet(node))
        return found

    def assigned(self, target: ast.expr, value: ast.expr) -> None:
        """Binds a name, or the names of a tuple. Raises Unread for any other target."""
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for inner, item in zip(target.elts, value.elts, strict=True):
                self.assigned(inner, item)
        else:
            raise Unread(snippet(target))

    def _name(self, node: ast.Name) -> ast.expr:
        if node.id in self.names:
            return self.names[node.id]
        found = self.code.meaning(self.file, node.id)
        if isinstance(found, Definition) and isinstance(found.node, ast.Constant):
            return found.node
        if found is None and node.id in TYPES:
            return node
        raise Unread(f"{node.id} is not known")

    def _attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == "self" and "self" not in self.names:
            if node.attr in self.on_self:
                return self.on_self[node.attr]
            raise Unread(snippet(node))
        return self._read(node.value, node.attr) or _refuse(f"no config is seen to have {snippet(node)}")

    def _read(self, holder: ast.expr, name: str) -> ast.expr | None:
        path = path_of(self.value(holder))
        if path is None:
            raise Unread(f"{snippet(holder)} is no config object")
        return self.attribute(path, name)

    def _call(self, node: ast.Call) -> ast.expr:
        func = node.func.id if isinstance(node.func, ast.Name) else ""
        if node.keywords or func in self.names or self.code.meaning(self.file, func) is not None:
            raise Unread(snippet(node))
        if func == "getattr" and len(node.args) in (2, 3) and isinstance(node.args[1], ast.Constant):
            found = self._read(node.args[0], str(node.args[1].value))
            return found or (self.value(node.args[2]) if len(node.args) == 3 else _refuse(snippet(node)))
        if func not in FUNCTIONS:
            raise Unread(snippet(node))
        return ast.Call(node.func, self.taken(node.args), [])

    def _item(self, node: ast.Subscript) -> ast.expr:
        value = self.value(node.value)
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(value, (ast.Tuple, ast.List)) and isinstance(index, int) and index < len(value.elts):
            return value.elts[index]
        raise Unread(snippet(node))

    def _rebuilt(self, node: ast.expr) -> ast.expr:
        spread = isinstance(node, (ast.Tuple, ast.List))
        parts: dict[str, Any] = dict(ast.iter_fields(node))
        for name, inner in parts.items():
            if isinstance(inner, ast.expr):
                parts[name] = self.value(inner)
            elif isinstance(inner, list) and inner and isinstance(inner[0], ast.expr):
                parts[name] = self.taken(inner) if spread else [self.value(item) for item in inner]
        return type(node)(**parts)


def _refuse(why: str) -> ast.expr:
    raise Unread(why)


def config_at(path: tuple[str, ...]) -> ast.expr:
    """`config.a.b`."""
    found: ast.expr = ast.Name(CONFIG, ast.Load())
    for name in path:
        found = ast.Attribute(found, name, ast.Load())
    return found


def path_of(node: ast.expr) -> tuple[str, ...] | None:
    """The attributes behind `config`; None for any other expression."""
    found: list[str] = []
    while isinstance(node, ast.Attribute):
        found.insert(0, node.attr)
        node = node.value
    return tuple(found) if isinstance(node, ast.Name) and node.id == CONFIG else None

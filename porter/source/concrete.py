"""Two functions on drawn inputs: whether they give the same, followed over small arrays. Nothing is executed."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from porter.source.alike_effects import is_silent
from porter.source.arrays import Array, Number, Unfollowed, choose, elementwise, inverted
from porter.source.codebase import snippet

BINARY: Mapping[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.Eq: operator.eq,
    ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.Gt: operator.gt, ast.LtE: operator.le, ast.GtE: operator.ge,
}  # fmt: skip
DOTTED = re.compile(r"torch(\.\w+)+")
HELD = ("device", "dtype")
WHOLE = "dtype of whole numbers"
SAME = ("to", "contiguous", "clone", "detach", "type_as")
"""Methods of tensors after which the numbers are what they were."""


def returned(function: ast.FunctionDef, given: Mapping[str, Any], held: Mapping[str, Any]) -> Any:
    """What a method gives for arguments by name; `held` are values by their text (`self.config.x`). Raises Unfollowed
    at anything that it has no rule for."""
    run = _Run(dict(given), held)
    try:
        run.body(function.body)
    except _Return as answer:
        return answer.value
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError, RecursionError, AttributeError) as error:
        raise Unfollowed(str(error)) from None
    raise Unfollowed("no return was reached")


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Run:
    def __init__(self, names: dict[str, Any], held: Mapping[str, Any]) -> None:
        self.names, self.held = names, held

    def body(self, statements: list[ast.stmt]) -> None:
        for item in statements:
            if isinstance(item, ast.Return) and item.value is not None:
                raise _Return(self.value(item.value))
            if isinstance(item, ast.If):
                self.body(item.body if self.truth(item.test) else item.orelse)
            elif isinstance(item, ast.Assign):
                value = self.value(item.value)
                for target in item.targets:
                    self.assign(target, value)
            elif not is_silent(item):
                raise Unfollowed(snippet(item))

    def truth(self, node: ast.expr) -> bool:
        value = self.value(node)
        if isinstance(value, Array):
            raise Unfollowed(snippet(node))
        return bool(value)

    def assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, ast.Tuple) and isinstance(value, tuple):
            for part, item in zip(target.elts, value, strict=True):
                self.assign(part, item)
        elif isinstance(target, ast.Subscript) and isinstance(held := self.value(target.value), Array):
            held.put(self.key(target.slice), value)
        else:
            raise Unfollowed(snippet(target))

    def value(self, node: ast.expr) -> Any:
        text = snippet(node)
        if text in self.held:
            return self.held[text]
        known = _READ.get(type(node))
        if known is None:
            raise Unfollowed(text)
        return known(self, node)

    def name(self, node: ast.Name) -> Any:
        if node.id not in self.names:
            raise Unfollowed(node.id)
        return self.names[node.id]

    def attribute(self, node: ast.Attribute) -> Any:
        if node.attr in HELD:
            of = self.names.get(node.value.id) if isinstance(node.value, ast.Name) else None
            return WHOLE if node.attr == "dtype" and isinstance(of, Array) and _whole(of) else node.attr
        value = self.value(node.value)
        if isinstance(value, Array) and node.attr in ("shape", "ndim"):
            return value.shape if node.attr == "shape" else len(value.shape)
        raise Unfollowed(snippet(node))

    def compared(self, node: ast.Compare) -> Any:
        left, right = self.value(node.left), self.value(node.comparators[0])
        if len(node.ops) > 1:
            raise Unfollowed(snippet(node))
        if isinstance(node.ops[0], (ast.Is, ast.IsNot)):
            return (left is right) == isinstance(node.ops[0], ast.Is)
        return self.calculated(type(node.ops[0]), left, right)

    def calculated(self, kind: type, left: Any, right: Any) -> Any:
        if kind not in BINARY:
            raise Unfollowed(kind.__name__)
        if isinstance(left, Array) or isinstance(right, Array):
            return elementwise(BINARY[kind], left, right)
        return BINARY[kind](left, right)

    def binary(self, node: ast.BinOp) -> Any:
        return self.calculated(type(node.op), self.value(node.left), self.value(node.right))

    def unary(self, node: ast.UnaryOp) -> Any:
        value = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return not self.truth(node.operand)
        if isinstance(node.op, ast.USub):
            return elementwise(operator.neg, value) if isinstance(value, Array) else -value
        if isinstance(node.op, ast.Invert) and isinstance(value, Array):
            return elementwise(inverted, value)
        raise Unfollowed(snippet(node))

    def key(self, node: ast.expr) -> tuple[object, ...]:
        parts = node.elts if isinstance(node, ast.Tuple) else [node]
        return tuple(self.part(item) for item in parts)

    def part(self, node: ast.expr) -> object:
        if not isinstance(node, ast.Slice):
            return self.value(node)
        return slice(*(self.value(item) if item is not None else None for item in (node.lower, node.upper, node.step)))

    def subscript(self, node: ast.Subscript) -> Any:
        value, key = self.value(node.value), self.key(node.slice)
        if isinstance(value, Array):
            return value.taken(key)
        return value[key[0]]

    def call(self, node: ast.Call) -> Any:
        if any(isinstance(item, ast.Starred) for item in node.args) or any(item.arg is None for item in node.keywords):
            raise Unfollowed(snippet(node))
        named = {str(item.arg): self.value(item.value) for item in node.keywords}
        if named.pop("dtype", None) == WHOLE:
            raise Unfollowed(snippet(node))
        named.pop("device", None)
        text = snippet(node.func)
        if DOTTED.fullmatch(text) and "torch" not in self.names:
            return _torch(text.rpartition(".")[2], [self.value(item) for item in node.args], named)
        if not isinstance(node.func, ast.Attribute):
            raise Unfollowed(text)
        owner = self.value(node.func.value)
        if not isinstance(owner, Array):
            raise Unfollowed(text)
        return _method(owner, node.func.attr, [self.value(item) for item in node.args], named)


_READ: Mapping[type, Callable[[_Run, Any], Any]] = {
    ast.Name: _Run.name,
    ast.Constant: lambda run, node: node.value,
    ast.Attribute: _Run.attribute,
    ast.Compare: _Run.compared,
    ast.BinOp: _Run.binary,
    ast.UnaryOp: _Run.unary,
    ast.Subscript: _Run.subscript,
    ast.Call: _Run.call,
    ast.Tuple: lambda run, node: tuple(run.value(item) for item in node.elts),
    ast.IfExp: lambda run, node: run.value(node.body if run.truth(node.test) else node.orelse),
}


def _whole(array: Array) -> bool:
    return all(isinstance(item, int) for item in array.data)


def _torch(name: str, args: list[Any], named: dict[str, Any]) -> Any:
    if name in ("zeros_like", "ones_like") and isinstance(args[0], Array):
        return args[0].filled(0 if name == "zeros_like" else 1)
    if name == "arange" and len(args) == 1 and not named:
        return Array.counted(args[0])
    if name == "where" and len(args) == 3 and not named:
        return elementwise(choose, *args)
    if name == "pad" and isinstance(args[0], Array) and len(args[1]) == 2 and set(named) <= {"value"}:
        before, after = args[1]
        return args[0].padded(before, after, named.get("value", 0))
    if name in ("all", "any", "sum", "cumsum", "unsqueeze", "masked_scatter") and isinstance(args[0], Array):
        return _method(args[0], name, args[1:], named)
    raise Unfollowed(f"torch.{name}")


REDUCED: Mapping[str, Callable[[list[Number]], Number]] = {"sum": sum, "all": all, "any": any}


def _method(owner: Array, name: str, args: list[Any], named: dict[str, Any]) -> Any:
    if name in SAME:
        cut = any(item == WHOLE if isinstance(item, str) else isinstance(item, Array) and _whole(item) for item in args)
        if cut and not _whole(owner):
            raise Unfollowed(f"a tensor's {name}")
        return Array(owner.shape, list(owner.data))
    if name in REDUCED and set(named) <= {"dim"}:
        return owner.reduced(named.get("dim", args[0] if args else None), REDUCED[name])
    if name == "cumsum" and set(named) <= {"dim"}:
        return owner.cumsum(named["dim"] if named else args[0])
    if name in ("new_zeros", "new_ones") and len(args) == 1 and not named:
        return Array(tuple(args[0]), [0 if name == "new_zeros" else 1] * prod(args[0]))
    if name == "size" and not named:
        return owner.shape[args[0]] if args else owner.shape
    if name == "expand_as" and not named:
        return owner.expand(*args[0].shape)
    if name in ("unsqueeze", "expand", "reshape", "view", "masked_scatter") and not named:
        shape = args[0] if len(args) == 1 and isinstance(args[0], tuple) else args
        return getattr(owner, "reshape" if name == "view" else name)(*shape)
    raise Unfollowed(f"a tensor's {name}")

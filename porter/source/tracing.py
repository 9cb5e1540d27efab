"""Following the forward of a module into a graph. Nothing runs: sizes are numbers, tensors are where they come from.

It is stricter than the interpreter: whatever it does not know ends it, with the line that did.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from porter.source.attributes import instance_attribute
from porter.source.codebase import External, snippet, where
from porter.source.interpreter import Interpreter, is_decorated
from porter.source.trace_calls import FUNCTIONS, METHODS, call_leaf
from porter.source.traces import Graph, Traced, Unread, broadcast, taken
from porter.source.values import ConstTensor, Function, Instance, Layer, Val, is_unknown, plain

MAX_DEPTH = 24
BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "matmul"}
COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right, ast.NotIn: lambda left, right: left not in right,
}  # fmt: skip
NUMBERS: Mapping[str, Callable[..., Any]] = {
    "int": int, "float": float, "bool": bool, "len": len, "max": max, "min": min, "range": range, "round": round,
    "tuple": lambda value=(): list(value), "list": lambda value=(): list(value), "sqrt": lambda value: value**0.5,
    "enumerate": lambda value: [list(pair) for pair in enumerate(value)], "abs": abs,
    "zip": lambda *values: [list(pair) for pair in zip(*values, strict=False)],
}  # fmt: skip


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Bound:
    """A method of a tensor."""

    def __init__(self, owner: Traced, name: str) -> None:
        self.owner, self.name = owner, name


class Tracer:
    """One graph of one module."""

    def __init__(self, run: Interpreter) -> None:
        self.run = run
        self.graph = Graph()
        self.depth = 0

    def module(self, module: object, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call a module. Raises Unread."""
        if isinstance(module, Layer):
            if module.cls.name in ("Sequential", "ModuleList") and len(args) == 1:
                for item in module.items:
                    args = [self.module(item.value, args, {})]
                return args[0]
            return call_leaf(self.graph, module, args, kwargs)
        if not isinstance(module, Instance):
            raise Unread("a call of something that is no module")
        self.run.start(module)
        found = self.run.find_method(module.cls, "forward")
        if found is None:
            raise Unread(f"{module.cls.name} has no forward")
        return self.function(Function(found[0].file, found[1], module, found[0]), args, kwargs)

    def function(self, function: Function, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Follow a function of the repo. Raises Unread."""
        node = function.node
        if self.depth > MAX_DEPTH or isinstance(node, ast.Lambda):
            raise Unread(f"{function.file} {where(node)}: too deep, or a lambda")
        if node.decorator_list and not is_decorated(node, "staticmethod", "property"):
            raise Unread(f"{function.file} {where(node)}: {node.name} is decorated")
        self.depth += 1
        try:
            frame = _Frame(self, function, args, kwargs)
            frame.body(node.body)
        except _Return as done:
            return done.value
        finally:
            self.depth -= 1
        return None

    def joined(self, sign: str, left: Any, right: Any) -> Traced:
        """Arithmetic of a tensor with a tensor or a number; sums and products have no order."""
        shapes = [item.shape if isinstance(item, Traced) else () for item in (left, right)]
        if sign == "matmul":
            if min(map(len, shapes)) < 2 or shapes[0][-1] != shapes[1][-2]:
                raise Unread(f"matmul of {shapes[0]} and {shapes[1]}")
            shape = (*broadcast(shapes[0][:-2], shapes[1][:-2]), shapes[0][-2], shapes[1][-1])
            return self.graph.add(sign, shape, (left, right))
        tensors = [item for item in (left, right) if isinstance(item, Traced)]
        numbers = [item for item in (left, right) if not isinstance(item, Traced)]
        if any(isinstance(item, bool) or not isinstance(item, (int, float)) for item in numbers):
            raise Unread(f"{sign} of a tensor and {numbers[0]!r}")
        if sign in "+*":
            tensors.sort(key=lambda item: id(item.node))
        elif numbers and numbers[0] is left:
            sign = f"number {sign}"
        return self.graph.add(sign, broadcast(*shapes), tensors, numbers)


class _Frame:
    """One call: its names, and the code that it follows."""

    def __init__(self, tracer: Tracer, function: Function, args: list[Any], kwargs: dict[str, Any]) -> None:
        self.tracer, self.run, self.file, self.owner = tracer, tracer.run, function.file, function.owner
        self.names: dict[str, Any] = {}
        assert isinstance(function.node, ast.FunctionDef)
        self._bind(function.node, args, dict(kwargs))

    def _bind(self, node: ast.FunctionDef, args: list[Any], kwargs: dict[str, Any]) -> None:
        spec = node.args
        given = [self.owner, *args] if self.owner is not None and not is_decorated(node, "staticmethod") else args
        names = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
        if len(given) > len(names) and spec.vararg is None:
            raise self.unread(node, "it is given too many arguments")
        self.names.update(zip(names, given, strict=False))
        if spec.vararg is not None:
            self.names[spec.vararg.arg] = list(given[len(names) :])
        defaults = dict(zip(reversed(names), reversed(spec.defaults), strict=False))
        defaults.update({a.arg: d for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=False) if d is not None})
        for name in (*names[len(given) :], *(argument.arg for argument in spec.kwonlyargs)):
            if name in kwargs:
                self.names[name] = kwargs.pop(name)
            elif name in defaults:
                self.names[name] = self.value(defaults[name])
        if spec.kwarg is not None:
            self.names[spec.kwarg.arg] = kwargs
        elif kwargs:
            raise self.unread(node, f"it takes no {', '.join(kwargs)}")

    def unread(self, node: ast.AST, why: str = "") -> Unread:
        return Unread(f"{self.file} {where(node)}: {snippet(node)}{': ' if why else ''}{why}")

    # statements ---------------------------------------------------------------------------------------------------

    def body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        self.run.step()
        if isinstance(node, ast.Return):
            raise _Return(self.value(node.value) if node.value is not None else None)
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            self.assign(node.targets[0], self.value(node.value))
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assign(node.target, self.value(node.value))
        elif isinstance(node, ast.AugAssign):
            self.assign(node.target, self.binary(node, node.op, self.value(node.target), self.value(node.value)))
        elif isinstance(node, ast.If):
            self.body(node.body if self.truth(node.test) else node.orelse)
        elif isinstance(node, ast.For) and not node.orelse:
            for item in self.turns(node.iter):
                self.assign(node.target, item)
                self.body(node.body)
        elif not isinstance(node, (ast.Pass, ast.Assert)) and not _is_text(node):
            raise self.unread(node)

    def turns(self, node: ast.expr) -> list[Any]:
        value = self.value(node)
        if isinstance(value, Layer) and value.cls.name in ("ModuleList", "Sequential"):
            return [item.value for item in value.items]
        if isinstance(value, (list, range)):
            return list(value)
        raise self.unread(node, "a loop over something unknown")

    def assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            if isinstance(value, Traced):
                value = [taken(value, 0, index) for index in range(value.shape[0])]
            if not isinstance(value, list) or len(value) != len(target.elts):
                raise self.unread(target, "it is not that many")
            for inner, item in zip(target.elts, value, strict=True):
                self.assign(inner, item)
        else:
            raise self.unread(target)

    def truth(self, node: ast.expr) -> bool:
        value = self.value(node)
        if isinstance(value, (bool, int, float, str, list, dict)) or value is None:
            return bool(value)
        raise self.unread(node, "a branch that cannot be decided")

    # expressions --------------------------------------------------------------------------------------------------

    def value(self, node: ast.expr) -> Any:
        self.run.step()
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return (
                self.names[node.id]
                if node.id in self.names
                else self.known(self.run.module_name(self.file, node.id), node)
            )
        if isinstance(node, ast.BinOp):
            return self.binary(node, node.op, self.value(node.left), self.value(node.right))
        if isinstance(node, (ast.Tuple, ast.List)):
            return [self.value(item) for item in node.elts]
        if isinstance(node, ast.IfExp):
            return self.value(node.body if self.truth(node.test) else node.orelse)
        for kind, follow in _EXPRESSIONS.items():
            if isinstance(node, kind):
                return follow(self, node)
        raise self.unread(node)

    def known(self, value: Val, node: ast.AST, name: str = "") -> Any:
        """What the interpreter gives for a name or an attribute, as a value of this walk."""
        inner = value.value
        if isinstance(inner, ConstTensor):
            if not inner.shape or not all(isinstance(size, int) for size in inner.shape):
                raise self.unread(node, "a tensor of unknown shape")
            return self.tracer.graph.add("parameter" if inner.parameter else "buffer", inner.shape, name=name)
        if is_unknown(value):
            raise self.unread(node)
        return inner if isinstance(inner, (Instance, Layer, Function, External)) else plain(value)

    def attribute(self, node: ast.Attribute) -> Any:
        holder = self.value(node.value)
        if isinstance(holder, Traced):
            if node.attr == "shape":
                return list(holder.shape)
            if node.attr in ("dtype", "device"):
                return None
            return _Bound(holder, node.attr)
        if isinstance(holder, External):
            return External(f"{holder.dotted}.{node.attr}")
        if isinstance(holder, Layer) and node.attr in ("weight", "bias"):
            return External(f"{holder.cls.dotted}.{node.attr}")  # good for its dtype alone
        if isinstance(holder, Instance):
            found = instance_attribute(self.run, holder, node.attr, f"{self.file} {where(node)}")
            return self.known(found, node, f"{id(holder)}.{node.attr}")
        if isinstance(holder, dict) and node.attr in holder:
            return holder[node.attr]
        raise self.unread(node)

    def call(self, node: ast.Call) -> Any:
        called = self.value(node.func)
        args = [self.value(item) for item in node.args if not isinstance(item, ast.Starred)]
        if len(args) < len(node.args):
            raise self.unread(node)
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value)
            kwargs.update({keyword.arg: value} if keyword.arg is not None else value)
        try:
            return self.result(node, called, args, kwargs)
        except (TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
            raise self.unread(node, str(error)) from error

    def result(self, node: ast.Call, called: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if isinstance(called, (Instance, Layer)):
            return self.tracer.module(called, args, kwargs)
        if isinstance(called, Function):
            return self.tracer.function(called, args, kwargs)
        if isinstance(called, _Bound) and called.name in METHODS:
            return METHODS[called.name](self.tracer.graph, called.owner, *args, **kwargs)
        if isinstance(called, External):
            name = called.name
            if name in FUNCTIONS and any(isinstance(item, (Traced, list)) for item in (*args, *kwargs.values())):
                return FUNCTIONS[name](self.tracer.graph, *args, **kwargs)
            if name in ("matmul", "bmm", "add", "mul"):
                return self.tracer.joined({"add": "+", "mul": "*"}.get(name, "matmul"), *args, **kwargs)
            if name in NUMBERS and not any(isinstance(item, Traced) for item in args):
                return NUMBERS[name](*args, **kwargs)
            if "Output" in name:
                return kwargs if not args else [*args, *kwargs.values()]
        raise self.unread(node, "an operator that is not known")

    def binary(self, node: ast.AST, sign: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(left, Traced) or isinstance(right, Traced):
            if type(sign) not in SIGNS:
                raise self.unread(node)
            return self.tracer.joined(SIGNS[type(sign)], left, right)
        numbers = all(isinstance(item, (int, float, list)) for item in (left, right))
        if type(sign) not in BINARY or not numbers:
            raise self.unread(node)
        return BINARY[type(sign)](left, right)

    def subscript(self, node: ast.Subscript) -> Any:
        holder = self.value(node.value)
        if isinstance(holder, Traced):
            return METHODS["index"](self.tracer.graph, holder, self.indices(node.slice))
        if isinstance(holder, Layer) and isinstance(node.slice, ast.Constant):
            return holder.items[int(str(node.slice.value))].value
        if isinstance(node.slice, ast.Slice) and isinstance(holder, list):
            return holder[self.indices(node.slice)[0]]
        try:
            return holder[self.value(node.slice)]
        except (TypeError, LookupError) as error:
            raise self.unread(node) from error

    def indices(self, node: ast.expr) -> list[Any]:
        if isinstance(node, ast.Tuple):
            return [self.indices(item)[0] for item in node.elts]
        if isinstance(node, ast.Slice):
            ends = [self.value(end) if end is not None else None for end in (node.lower, node.upper, node.step)]
            return [slice(*ends)]
        return [self.value(node)]

    def compare(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for sign, item in zip(node.ops, node.comparators, strict=True):
            right = self.value(item)
            tensors = any(isinstance(item, Traced) for item in (left, right))
            unknown = any(isinstance(item, External) for item in (left, right))
            if unknown or (tensors and not isinstance(sign, (ast.Is, ast.IsNot))):
                raise self.unread(node, "a comparison that cannot be decided")
            if not COMPARE[type(sign)](left, right):
                return False
            left = right
        return True

    def boolean(self, node: ast.BoolOp) -> Any:
        value: Any = None
        for item in node.values:
            value = self.value(item)
            if isinstance(value, Traced) or bool(value) == isinstance(node.op, ast.Or):
                return value
        return value

    def unary(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            return not self.truth(node.operand)
        value = self.value(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(value, (int, float)):
            return -value
        raise self.unread(node)


_EXPRESSIONS: Mapping[type[ast.expr], Callable[[_Frame, Any], Any]] = {
    ast.Attribute: _Frame.attribute,
    ast.Call: _Frame.call,
    ast.Subscript: _Frame.subscript,
    ast.Compare: _Frame.compare,
    ast.BoolOp: _Frame.boolean,
    ast.UnaryOp: _Frame.unary,
}


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)

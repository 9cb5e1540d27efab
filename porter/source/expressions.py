"""Expressions of the abstract interpreter, one function per kind."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from porter.source import calls, layers
from porter.source.attributes import attribute
from porter.source.codebase import External, snippet, where
from porter.source.interpreter import MAX_TURNS, Frame
from porter.source.statements import assign, iterable, truth
from porter.source.subscripts import subscript
from porter.source.tensors import Features, Pixels, combined
from porter.source.values import (
    ConstTensor,
    Function,
    Pieces,
    Repeat,
    Src,
    Unknown,
    Val,
    is_plain,
    is_unknown,
    merge_sources,
    plain,
    unknown,
)

if TYPE_CHECKING:
    from porter.source.interpreter import Interpreter

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}
SYMBOLS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: lambda a, b: a is b or (a == b and type(a) is type(b) and isinstance(a, (bool, type(None)))),
    ast.IsNot: lambda a, b: not (a is b or (a == b and type(a) is type(b) and isinstance(a, (bool, type(None))))),
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
MAX_TEXT = 100_000


def evaluate(run: Interpreter, node: ast.expr, frame: Frame) -> Val:
    """The value of an expression; Unknown with its line when it cannot be followed."""
    handler = HANDLERS.get(type(node))
    if handler is None:
        return unknown(f"cannot read {type(node).__name__}", f"{frame.file} {where(node)}")
    return handler(run, node, frame)


def lost(node: ast.AST, frame: Frame) -> Val:
    return unknown(snippet(node, 80), f"{frame.file} {where(node)}")


def _constant(run: Interpreter, node: ast.Constant, frame: Frame) -> Val:
    return Val(node.value, (Src(frame.file, where(node), snippet(node)),))


def _name(run: Interpreter, node: ast.Name, frame: Frame) -> Val:
    return run.lookup(node.id, frame)


def _attribute(run: Interpreter, node: ast.Attribute, frame: Frame) -> Val:
    return attribute(run, run.evaluate(node.value, frame), node.attr, node, frame)


def _binary(run: Interpreter, node: ast.BinOp, frame: Frame) -> Val:
    left, right = run.evaluate(node.left, frame), run.evaluate(node.right, frame)
    symbolic = _tensor_arithmetic(run, node, left, right)
    if symbolic is not None:
        return Val(symbolic, merge_sources((left, right)))
    pieces = text_arithmetic(run, node, left, right, frame)
    if pieces is not None:
        return Val(pieces, merge_sources((left, right)))
    if is_unknown(left) or is_unknown(right):
        return lost(node, frame)
    return _plain_binary(node, left, right, frame)


def _plain_binary(node: ast.BinOp, left: Val, right: Val, frame: Frame) -> Val:
    a, b = left.value, right.value
    if isinstance(node.op, ast.Pow):
        small = isinstance(a, (int, float)) and isinstance(b, (int, float)) and abs(a) < 1e9 and abs(b) <= 16
        function: Callable[[Any, Any], Any] | None = operator.pow if small else None
    else:
        function = BINARY.get(type(node.op))
    if _too_large(node.op, a, b):
        return lost(node, frame)
    if isinstance(a, dict) and isinstance(b, dict) and isinstance(node.op, ast.BitOr):
        return Val({**a, **b}, merge_sources((left, right)))
    try:
        return lost(node, frame) if function is None else Val(function(a, b), merge_sources((left, right)))
    except (TypeError, ValueError, ArithmeticError):
        return lost(node, frame)


def _too_large(op: ast.operator, a: Any, b: Any) -> bool:
    """Hostile code must not make porter compute a huge value."""
    if any(isinstance(item, int) and item.bit_length() > 256 for item in (a, b)):
        return True
    sizes = [len(item) if isinstance(item, (str, list, tuple, bytes)) else None for item in (a, b)]
    if isinstance(op, ast.Mod) and isinstance(a, (str, bytes)):
        return isinstance(a, bytes) or _wide_format(a)
    if isinstance(op, ast.Mult) and sizes != [None, None]:
        count = b if sizes[0] is not None else a
        return not isinstance(count, int) or (sizes[0] or sizes[1] or 0) * count > MAX_TEXT
    return sum(size or 0 for size in sizes) > MAX_TEXT


def _wide_format(text: str) -> bool:
    """A `%` format that may pad its result beyond any use."""
    return "*" in text or any(digit and len(list(run)) > 3 for digit, run in groupby(text, str.isdigit))


def _tensor_arithmetic(run: Interpreter, node: ast.BinOp, left: Val, right: Val) -> object | None:
    """Arithmetic on pixels or features records what was done; between constants it stays a constant of unknown
    numbers."""
    sides = ((left.value, right.value, ""), (right.value, left.value, "r"))
    for holder, other, side in sorted(sides, key=lambda item: not isinstance(item[0], (Pixels, Features))):
        operand = (
            other.name if isinstance(other, ConstTensor) else repr(other) if isinstance(other, (int, float)) else "?"
        )
        symbol = side + SYMBOLS.get(type(node.op), "op")
        if isinstance(holder, Pixels):
            return Pixels(holder.shape, (*holder.ops, (symbol, operand)))
        if isinstance(holder, Features):
            if isinstance(other, Unknown):
                run.captured.append(holder)
                return holder
            step: dict[str, object] = {"op": "arithmetic", "text": snippet(node), "line": node.lineno}
            if isinstance(other, Features):
                return combined(left.value, right.value, step)
            return layers.stepped(holder, step)
        if isinstance(holder, ConstTensor):
            return ConstTensor(holder.shape, None, holder.name)
    return None


def _unary(run: Interpreter, node: ast.UnaryOp, frame: Frame) -> Val:
    value = run.evaluate(node.operand, frame)
    if isinstance(node.op, ast.Not):
        known = truth(value)
        return lost(node, frame) if known is None else Val(not known, value.src)
    if isinstance(value.value, (int, float)):
        return Val(-value.value if isinstance(node.op, ast.USub) else value.value, value.src)
    return lost(node, frame)


def _boolean(run: Interpreter, node: ast.BoolOp, frame: Frame) -> Val:
    stop_at = isinstance(node.op, ast.Or)
    undecided = False
    value = Val(None)
    for part in node.values:
        value = run.evaluate(part, frame)
        known = truth(value)
        if known is stop_at:
            return value
        undecided = undecided or known is None
    return lost(node, frame) if undecided else value


def _compare(run: Interpreter, node: ast.Compare, frame: Frame) -> Val:
    left = run.evaluate(node.left, frame)
    values = [left]
    for symbol, part in zip(node.ops, node.comparators, strict=False):
        right = run.evaluate(part, frame)
        values.append(right)
        known = _compare_pair(symbol, left, right)
        if isinstance(symbol, (ast.In, ast.NotIn)) and isinstance(left.value, str):
            run.replacements.append(("in", [left], Src(frame.file, where(node), snippet(node))))
        if known is None:
            return lost(node, frame)
        if not known:
            return Val(False, merge_sources(values))
        left = right
    return Val(True, merge_sources(values))


def _compare_pair(symbol: ast.cmpop, left: Val, right: Val) -> bool | None:
    if is_unknown(left) or is_unknown(right):
        return None
    a, b = left.value, right.value
    if isinstance(symbol, (ast.Is, ast.IsNot)) and (a is None) != (b is None):
        return isinstance(symbol, ast.IsNot)
    if isinstance(a, External) or isinstance(b, External):
        return None
    a, b = _comparable(a), _comparable(b)
    if isinstance(a, Unknown) or isinstance(b, Unknown):
        return None
    try:
        return bool(COMPARE[type(symbol)](a, b))
    except (TypeError, KeyError):
        return None


def _comparable(value: Any) -> Any:
    """Containers without origins; Unknown when something in them is."""
    if not isinstance(value, (list, tuple, dict)):
        return value
    stripped = plain(value)
    return stripped if is_plain(stripped) else Unknown("not known throughout")


def _conditional(run: Interpreter, node: ast.IfExp, frame: Frame) -> Val:
    test = truth(run.evaluate(node.test, frame))
    if test is None:
        return lost(node, frame)
    return run.evaluate(node.body if test else node.orelse, frame)


def _sequence(run: Interpreter, node: ast.List | ast.Tuple | ast.Set, frame: Frame) -> Val:
    items: list[Val] = []
    for element in node.elts:
        if isinstance(element, ast.Starred):
            items.extend(iterable(run.evaluate(element.value, frame)) or [unknown("star", frame.file)])
        else:
            items.append(run.evaluate(element, frame))
    return Val(items, (Src(frame.file, where(node), snippet(node)),))


def _dict(run: Interpreter, node: ast.Dict, frame: Frame) -> Val:
    result: dict[Any, Val] = {}
    for key, value in zip(node.keys, node.values, strict=False):
        inner = run.evaluate(value, frame)
        if key is None:
            result.update(inner.value if isinstance(inner.value, dict) else {})
            continue
        name = run.evaluate(key, frame).value
        if isinstance(name, (str, int, bool)):
            result[name] = inner
    return Val(result, (Src(frame.file, where(node), snippet(node)),))


def text_arithmetic(run: Interpreter, node: ast.BinOp, left: Val, right: Val, frame: Frame) -> Pieces | None:
    """`token * n` and `start + token * n + end` with an unknown n."""
    if isinstance(node.op, ast.Mult):
        token, count = (left, right) if isinstance(left.value, (str, Pieces)) else (right, left)
        found = replace(token.value, looped=True) if isinstance(token.value, Pieces) else None
        repeated = isinstance(token.value, str) and not isinstance(count.value, (str, list, tuple, Pieces))
        found = Pieces((Repeat(token),)) if repeated and len(token.value) > 2 else found
    elif isinstance(node.op, ast.Add):
        found = _added(left, right)
    else:
        found = None
    if found is not None:
        run.pieces.append((found, Src(frame.file, where(node), snippet(node))))
    return found


def _symbolic_text(*values: Val) -> bool:
    return any(isinstance(value.value, Pieces) for value in values)


def _added(left: Val, right: Val) -> Pieces | None:
    if not _symbolic_text(left, right):
        return None
    parts: list[Val | Repeat] = []
    for side in (left, right):
        parts.extend(side.value.inside() if isinstance(side.value, Pieces) else [side])
    return Pieces(tuple(parts[:64]))


def _joined_pieces(run: Interpreter, node: ast.JoinedStr, values: list[Val], frame: Frame) -> Pieces | None:
    if not _symbolic_text(*values):
        return None
    parts: list[Val | Repeat] = []
    for value in values:
        parts.extend(value.value.inside() if isinstance(value.value, Pieces) else [value])
    found = Pieces(tuple(parts[:64]))
    run.pieces.append((found, Src(frame.file, where(node), snippet(node))))
    return found


def _joined(run: Interpreter, node: ast.JoinedStr, frame: Frame) -> Val:
    values = [
        run.evaluate(piece.value if isinstance(piece, ast.FormattedValue) else piece, frame) for piece in node.values
    ]
    pieces = _joined_pieces(run, node, values, frame)
    if pieces is not None:
        return Val(pieces, merge_sources(values))
    if any(not isinstance(value.value, (str, int, float, bool)) for value in values):
        return lost(node, frame)
    if sum(len(value.value) for value in values if isinstance(value.value, str)) > MAX_TEXT:
        return lost(node, frame)
    return Val("".join(str(value.value) for value in values), merge_sources(values))


def _lambda(run: Interpreter, node: ast.Lambda, frame: Frame) -> Val:
    return Val(Function(frame.file, node, None, frame.defining, frame.names))


def _comprehension(run: Interpreter, node: ast.ListComp | ast.GeneratorExp | ast.SetComp, frame: Frame) -> Val:
    inner = Frame(frame.file, dict(frame.names), frame.owner, frame.defining, frame.depth)
    results: list[Val] = []
    if not _generate(run, node.generators, inner, lambda: results.append(run.evaluate(node.elt, inner))):
        return lost(node, frame)
    return Val(results, (Src(frame.file, where(node), snippet(node)),))


def _dict_comprehension(run: Interpreter, node: ast.DictComp, frame: Frame) -> Val:
    inner = Frame(frame.file, dict(frame.names), frame.owner, frame.defining, frame.depth)
    results: dict[Any, Val] = {}

    def add() -> None:
        key = run.evaluate(node.key, inner).value
        if isinstance(key, (str, int)):
            results[key] = run.evaluate(node.value, inner)

    return Val(results) if _generate(run, node.generators, inner, add) else lost(node, frame)


def _generate(run: Interpreter, generators: list[ast.comprehension], frame: Frame, emit: Callable[[], object]) -> bool:
    if not generators:
        emit()
        return True
    first, rest = generators[0], generators[1:]
    items = iterable(run.evaluate(first.iter, frame))
    if items is None or len(items) > MAX_TURNS:
        return False
    for item in items:
        if not frame.turn():
            return False
        assign(run, first.target, item, frame)
        if all(truth(run.evaluate(test, frame)) is not False for test in first.ifs) and not _generate(
            run, rest, frame, emit
        ):
            return False
    return True


def _starred(run: Interpreter, node: ast.Starred, frame: Frame) -> Val:
    return run.evaluate(node.value, frame)


def _named(run: Interpreter, node: ast.NamedExpr, frame: Frame) -> Val:
    value = run.evaluate(node.value, frame)
    assign(run, node.target, value, frame)
    return value


def _subscript(run: Interpreter, node: ast.Subscript, frame: Frame) -> Val:
    return subscript(run, run.evaluate(node.value, frame), node, frame)


def _slice(run: Interpreter, node: ast.Slice, frame: Frame) -> Val:
    parts = [
        run.evaluate(part, frame).value if part is not None else None for part in (node.lower, node.upper, node.step)
    ]
    return lost(node, frame) if any(isinstance(part, Unknown) for part in parts) else Val(slice(*parts))


HANDLERS: dict[type[ast.expr], Callable[..., Val]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.List: _sequence,
    ast.Tuple: _sequence,
    ast.Set: _sequence,
    ast.Dict: _dict,
    ast.JoinedStr: _joined,
    ast.Lambda: _lambda,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.SetComp: _comprehension,
    ast.DictComp: _dict_comprehension,
    ast.Starred: _starred,
    ast.NamedExpr: _named,
    ast.Subscript: _subscript,
    ast.Slice: _slice,
    ast.Call: calls.call,
}

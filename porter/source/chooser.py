"""What a function keeps of a loop over pairs, in a normal form: two functions with one form choose the same pair.

A form is exact: operands change places only where a float result cannot tell. Anything unknown gives no form at all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Union

Form = Union[str, tuple["Form", ...]]
PAIR, ACROSS, DOWN = "pair", "across", "down"
ROLES = {
    "aspect": ("aspect_ratio", "image_aspect_ratio", "orig_aspect_ratio", "original_aspect_ratio", "aspect"),
    "width": ("width", "orig_width", "image_width", "original_width"),
    "height": ("height", "orig_height", "image_height", "original_height"),
    "side": ("image_size", "tile_size", "input_size", "img_size", "base_size"),
}
PARAMETERS = {name: role for role, names in ROLES.items() for name in names}
WHOLE = (ACROSS, DOWN, "width", "height", "side")
SYMMETRIC = ("min", "max")
LESS = {ast.Lt: ("<", False), ast.Gt: ("<", True), ast.LtE: ("<=", False), ast.GtE: ("<=", True)}
EQUAL = {ast.Eq: "==", ast.NotEq: "!="}
DYADIC = 1024
"""Constants that are whole multiples of its inverse multiply whole numbers without rounding."""
MOST = 400
"""Nodes of a function that is worth reading."""


class Unread(Exception):
    """Something in the function has no normal form."""


@dataclass(slots=True)
class _Loop:
    """What is known while the function is followed. `kept`: (conditions, name, value) in order."""

    names: dict[str, Form]
    state: dict[str, Form] = field(default_factory=dict)
    kept: list[tuple[tuple[Form, ...], str, Form]] = field(default_factory=list)


def form_of(function: ast.FunctionDef) -> str | None:
    """The normal form of a function that goes once through pairs and answers the one that it kept; None for others."""
    if sum(1 for _ in ast.walk(function)) > MOST:
        return None
    try:
        return _form(function)
    except Unread:
        return None


def _form(function: ast.FunctionDef) -> str:
    spec = function.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    loop = _Loop({name: PARAMETERS[name] for name in names if name in PARAMETERS})
    body = [statement for statement in function.body if not _is_text(statement)]
    places = [index for index, statement in enumerate(body) if isinstance(statement, ast.For)]
    if len(places) != 1 or len(body) != places[0] + 2:
        raise Unread
    over, end = body[places[0]], body[-1]
    assigned = _conditional(over)
    for statement in body[: places[0]]:
        for name, value in _assignments(statement):
            (loop.state if name in assigned else loop.names)[name] = _expression(value, loop)
    if not isinstance(over, ast.For) or over.orelse or not isinstance(over.iter, ast.Name):
        raise Unread
    if over.iter.id not in names or not isinstance(end, ast.Return) or not isinstance(end.value, ast.Name):
        raise Unread
    _bind(over.target, loop)
    _follow(over.body, (), loop)
    return _written(loop, end.value.id)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _conditional(over: ast.stmt) -> set[str]:
    """Names that are assigned under a condition: what the loop carries on."""
    inside = (node for branch in ast.walk(over) if isinstance(branch, ast.If) for node in ast.walk(branch))
    return {name for node in inside if isinstance(node, ast.Assign) for name, _ in _assignments(node)}


def _assignments(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    """(name, value) of `a = x` and of `a, b = x, y`. Raises Unread."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        raise Unread
    target, value = statement.targets[0], statement.value
    both = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
    names = target.elts if both and isinstance(target, ast.Tuple) else [target]
    values = value.elts if both and isinstance(value, ast.Tuple) else [value]
    found = [(name.id, given) for name, given in zip(names, values, strict=False) if isinstance(name, ast.Name)]
    if len(found) != len(names) or len(names) != len(values):
        raise Unread
    return found


def _bind(target: ast.expr, loop: _Loop) -> None:
    """The names of one pair: `for pair in ...` or `for across, down in ...`."""
    if isinstance(target, ast.Name):
        loop.names[target.id] = PAIR
        return
    names = [item.id for item in target.elts if isinstance(item, ast.Name)] if isinstance(target, ast.Tuple) else []
    if len(names) != 2:
        raise Unread
    loop.names |= {names[0]: ACROSS, names[1]: DOWN}


def _follow(body: Sequence[ast.stmt], conditions: tuple[Form, ...], loop: _Loop) -> None:
    """Keep what is assigned under conditions. A test after a change would ask about what was changed: Unread."""
    before = len(loop.kept)
    for statement in body:
        if len(loop.kept) > before and not (conditions and isinstance(statement, ast.Assign)):
            raise Unread
        if isinstance(statement, ast.If):
            test = _expression(statement.test, loop)
            _follow(statement.body, (*conditions, test), loop)
            _follow(statement.orelse, (*conditions, ("not", test)), loop)
        elif not _is_text(statement):
            made = [(name, _expression(value, loop)) for name, value in _assignments(statement)]
            if any((name in loop.state) != bool(conditions) for name, _ in made):
                raise Unread
            loop.names |= {} if conditions else dict(made)
            loop.kept += [(conditions, name, found) for name, found in made if conditions]


def _written(loop: _Loop, answered: str) -> str:
    """The form with neutral names: what is answered, and what is carried along with it.

    A value that depends on what is carried would make the order of changes matter.
    """
    others = [name for name in loop.state if name != answered]
    if answered not in loop.state or len(others) > 1 or not loop.kept:
        raise Unread
    neutral = {answered: "chosen", **dict.fromkeys(others, "best")}
    if any(_mentions(value, "carried") for _, _, value in loop.kept):
        raise Unread
    starts = sorted(f"{neutral[name]} = {_text(value, neutral)}" for name, value in loop.state.items())
    rows = [
        (" and ".join(_text(test, neutral) for test in _each(tests)), f"{neutral[name]} = {_text(value, neutral)}")
        for tests, name, value in loop.kept
    ]
    tests = list(dict.fromkeys(test for test, _ in rows))
    kept = [f"if {test}: " + ", ".join(sorted(done for at, done in rows if at == test)) for test in tests]
    return "; ".join([*starts, *kept])


def _each(tests: Sequence[Form]) -> list[Form]:
    """Nested conditions and the parts of one are the same."""
    parts = [part for test in tests for part in (test[1:] if test[0] == "and" else (test,))]
    return sorted(parts, key=repr)


def _mentions(form: Form, word: str) -> bool:
    return isinstance(form, tuple) and (form[0] == word or any(_mentions(item, word) for item in form))


def _text(form: Form, neutral: dict[str, str]) -> str:
    if isinstance(form, str):
        return form
    if form[0] == "carried":
        return neutral[str(form[1])]
    return f"{form[0]}({', '.join(_text(item, neutral) for item in form[1:])})"


def _expression(node: ast.expr, loop: _Loop) -> Form:
    """The normal form of an expression. Raises Unread."""
    infinite = _infinite(node)
    if infinite is not None:
        return infinite
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return repr(node.value)
    if isinstance(node, ast.Name):
        return _name(node.id, loop)
    for kind, step in STEPS.items():
        if isinstance(node, kind):
            return step(node, loop)  # type: ignore[no-any-return,operator]
    raise Unread


def _infinite(node: ast.expr) -> str | None:
    """`float("inf")`, `math.inf` and their negatives."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _infinite(node.operand)
        return None if inner is None else "-inf"
    if isinstance(node, ast.Attribute) and node.attr == "inf":
        return "inf"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float" and node.args:
        text = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        return text if text in ("inf", "-inf") else None
    return None


def _name(name: str, loop: _Loop) -> Form:
    if name in loop.state:
        return ("carried", name)
    if name not in loop.names:
        raise Unread
    return loop.names[name]


def _subscript(node: ast.Subscript, loop: _Loop) -> Form:
    index = node.slice.value if isinstance(node.slice, ast.Constant) else None
    if _expression(node.value, loop) != PAIR or index not in (0, 1):
        raise Unread
    return DOWN if index else ACROSS


def _pair(node: ast.Tuple, loop: _Loop) -> Form:
    parts = tuple(_expression(item, loop) for item in node.elts)
    return PAIR if parts == (ACROSS, DOWN) else ("tuple", *parts)


def _binary(node: ast.BinOp, loop: _Loop) -> Form:
    left, right = _expression(node.left, loop), _expression(node.right, loop)
    if isinstance(node.op, ast.Mult):
        return _product(left, right)
    signs = {ast.Add: "+", ast.Sub: "-", ast.Div: "/"}
    sign = next((sign for kind, sign in signs.items() if isinstance(node.op, kind)), None)
    if sign is None:
        raise Unread
    return (sign, *(sorted((left, right), key=repr) if sign == "+" else (left, right)))


def _product(left: Form, right: Form) -> Form:
    """A product: factors that multiply without rounding in any order, else two factors in either order."""
    factors = [item for side in (left, right) for item in (side[1:] if side[0] == "*" else (side,))]
    exact = all(_exact(item) for item in factors)
    return ("*", *sorted(factors if exact else (left, right), key=repr))


def _exact(form: Form) -> bool:
    if isinstance(form, str):
        return form in WHOLE or _dyadic(form)
    return form[0] == "*" and all(_exact(item) for item in form[1:])


def _dyadic(text: str) -> bool:
    try:
        return (float(text) * DYADIC).is_integer()
    except ValueError:
        return False


def _unary(node: ast.UnaryOp, loop: _Loop) -> Form:
    if isinstance(node.op, ast.Not):
        return ("not", _expression(node.operand, loop))
    raise Unread


def _call(node: ast.Call, loop: _Loop) -> Form:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    parts = [_expression(item, loop) for item in node.args]
    if node.keywords or not ((name in SYMMETRIC and len(parts) == 2) or (name == "abs" and len(parts) == 1)):
        raise Unread
    if name == "abs":
        return _distance(parts[0])
    return (name, *sorted(parts, key=repr))


def _distance(inner: Form) -> Form:
    """`abs(a - b)` is `abs(b - a)`."""
    if isinstance(inner, tuple) and inner[0] == "-":
        return ("abs", ("-", *sorted(inner[1:], key=repr)))
    return ("abs", inner)


def _compare(node: ast.Compare, loop: _Loop) -> Form:
    sides = [_expression(item, loop) for item in (node.left, *node.comparators)]
    tests = [_test(sign, pair) for sign, pair in zip(node.ops, pairwise(sides), strict=True)]
    return tests[0] if len(tests) == 1 else ("and", *sorted(tests, key=repr))


def _test(sign: ast.cmpop, pair: tuple[Form, Form]) -> Form:
    if type(sign) in LESS:
        word, turned = LESS[type(sign)]
        return (word, *(reversed(pair) if turned else pair))
    if type(sign) in EQUAL:
        return (EQUAL[type(sign)], *sorted(pair, key=repr))
    raise Unread


def _both(node: ast.BoolOp, loop: _Loop) -> Form:
    parts: Iterable[Form] = (_expression(item, loop) for item in node.values)
    return ("and" if isinstance(node.op, ast.And) else "or", *sorted(parts, key=repr))


STEPS = {
    ast.Subscript: _subscript,
    ast.Tuple: _pair,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.Call: _call,
    ast.Compare: _compare,
    ast.BoolOp: _both,
}

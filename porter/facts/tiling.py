"""The tiling rule as code states it: tile grids (i, j) with `low <= i * j <= high`, whatever the bounds are called."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.facts.callers import functions, value_inside
from porter.facts.code import methods
from porter.facts.configs import Configs, Found
from porter.facts.syntax import called
from porter.source.codebase import snippet, where
from porter.source.interpreter import Stop
from porter.source.values import Function, Src, Val, plain
from porter.source.walking import nodes

MOST_TILES = 512
HALF = 0.5
LOWER = {
    ast.LtE: "max_dynamic_patch",
    ast.Lt: "max_dynamic_patch",
    ast.GtE: "min_dynamic_patch",
    ast.Gt: "min_dynamic_patch",
}


def tiling_bounds(configs: Configs) -> dict[str, Found]:
    """min_dynamic_patch and max_dynamic_patch from the comparison that chooses tile grids; {} when there is none."""
    for function in _functions(configs):
        found: dict[str, Found] = {}
        for node, attribute, bound in _compared(function):
            value = _evaluate(configs, function, bound)
            if isinstance(plain(value), int):
                place = Src(function.file, where(node), snippet(node))
                found.setdefault(attribute, Found(plain(value), (*value.src[:3], place)))
        if len(found) == 2 and _counts_tiles(found):
            return found
    return {}


def filtered_grids(configs: Configs) -> Src | None:
    """Where grids are left out by a remainder: a choice of its own, such as that of a second pass over an image."""
    for function in _functions(configs):
        if not any(True for _ in _compared(function)):
            continue
        for node in nodes(function.node):
            tests = node.ifs if isinstance(node, ast.comprehension) else [node.test] if isinstance(node, ast.If) else []
            for inner in (item for test in tests for item in nodes(test)):
                if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Mod):
                    return Src(function.file, where(inner), snippet(tests[0]))
    return None


def other_choice(configs: Configs) -> Src | None:
    """Where a grid is chosen by another rule than the closest aspect, of equals the larger where the image covers over
    half of it."""
    for function in _functions(configs):
        aspects = [node for node in nodes(function.node) if _aspect(node)]
        gap = any(called(node) == "abs" for node in nodes(function.node))
        half = any(isinstance(node, ast.Constant) and node.value == HALF for node in nodes(function.node))
        if aspects and not (gap and half):
            return Src(function.file, where(aspects[0]), snippet(aspects[0]))
    return None


def _aspect(node: ast.AST) -> bool:
    """`grid[0] / grid[1]`."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
        return False
    left, right = _side(node.left), _side(node.right)
    return left is not None and right is not None and left[0] == right[0] and left[1] != right[1]


def _side(node: ast.expr) -> tuple[str, int] | None:
    """(grid, 0 or 1) of `grid[0]` or `grid[1]`."""
    index = node.slice if isinstance(node, ast.Subscript) else None
    if not isinstance(node, ast.Subscript) or not isinstance(index, ast.Constant) or not isinstance(index.value, int):
        return None
    return (ast.dump(node.value), index.value) if index.value in (0, 1) else None


def _counts_tiles(found: dict[str, Found]) -> bool:
    """A pair of numbers of tiles: a comparison of areas in pixels looks the same and has other numbers."""
    low, high = found["min_dynamic_patch"].value, found["max_dynamic_patch"].value
    return isinstance(low, int) and isinstance(high, int) and 0 <= low <= high <= MOST_TILES


def _compared(function: Function) -> Iterator[tuple[ast.Compare, str, ast.expr]]:
    """Comparisons of a product of two sides, with each limit that they state."""
    for node in nodes(function.node):
        if isinstance(node, ast.Compare) and any(_product(part) for part in (node.left, *node.comparators)):
            yield from ((node, attribute, bound) for attribute, bound in _bounds(node))


def _functions(configs: Configs) -> Iterator[Function]:
    """Functions of the processor class first (their settings are known), then every other one."""
    if configs.processor is not None:
        for owner, node in methods(configs.code.run, configs.processor):
            yield Function(owner.file, node, configs.processor, owner)
    yield from functions(configs)


def _product(node: ast.expr) -> bool:
    names = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)
    return (
        names
        and isinstance(node, ast.BinOp)
        and all(isinstance(side, (ast.Name, ast.Subscript)) for side in (node.left, node.right))
    )


def _bounds(node: ast.Compare) -> Iterator[tuple[str, ast.expr]]:
    """(attribute, bound expression) pairs of `low <= i * j <= high` or of one half of it."""
    parts = [node.left, *node.comparators]
    for left, symbol, right in zip(parts, node.ops, parts[1:], strict=False):
        attribute = LOWER.get(type(symbol))
        if attribute is None:
            continue
        if _product(left):
            yield attribute, right
        elif _product(right):
            yield ("min_dynamic_patch" if attribute == "max_dynamic_patch" else "max_dynamic_patch"), left


def _evaluate(configs: Configs, function: Function, bound: ast.expr) -> Val:
    """The value of an expression inside its function; Unknown when it cannot be told."""
    try:
        return value_inside(configs, function, bound)
    except (Stop, RecursionError):
        return Val(None)


def thumbnail(configs: Configs) -> Found | None:
    """use_thumbnail from `if flag and len(tiles) != 1: tiles.append(image.resize(...))`, whatever the flag is called;
    true without a flag, false where crops are cut and nothing resized is ever added to them."""
    crops: Src | None = None
    for function in _functions(configs):
        resized = _resized_names(function.node)
        for node in nodes(function.node):
            if _method_called(node) in ("crop", "unfold"):
                crops = crops or Src(function.file, where(node), snippet(node))
            if isinstance(node, ast.If) and any(_adds_resized(inner, resized) for inner in node.body):
                return _flag(configs, function, node)
    silent = crops is not None and not _mentioned(configs) and _resizes(configs) < 2
    return Found(False, (crops,), sure=False) if silent and crops is not None else None


def _resizes(configs: Configs) -> int:
    """How many places resize an image: with two, one of them may make a view of the whole."""
    trees = [file.tree for file in configs.code.run.code.files()]
    return sum(_method_called(node) == "resize" for tree in trees for node in nodes(tree))


def _method_called(node: ast.AST) -> str:
    target = node.func if isinstance(node, ast.Call) else None
    return target.attr if isinstance(target, ast.Attribute) else ""


def _resized_names(function: ast.AST) -> set[str]:
    """Names that hold a resized image."""
    pairs = [(n.targets[0], n.value) for n in nodes(function) if isinstance(n, ast.Assign)]
    return {target.id for target, value in pairs if isinstance(target, ast.Name) and _method_called(value) == "resize"}


def _adds_resized(statement: ast.stmt, resized: set[str]) -> bool:
    """`tiles.append(image.resize(size))`, or of a name that holds one."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or _method_called(call) not in ("append", "insert") or not call.args:
        return False
    inner = list(nodes(call.args[-1]))
    return any(_method_called(n) == "resize" or (isinstance(n, ast.Name) and n.id in resized) for n in inner)


def _flag(configs: Configs, function: Function, node: ast.If) -> Found | None:
    """The part of the test that is no count of tiles."""
    place = Src(function.file, where(node), snippet(node.test))
    parts = node.test.values if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And) else [node.test]
    flags = [part for part in parts if not isinstance(part, ast.Compare)]
    if len(flags) == len(parts) or len(flags) > 1:
        return None
    value = _evaluate(configs, function, flags[0]) if flags else Val(True)
    found = plain(value)
    if not isinstance(found, bool):
        return None
    if found is False and _whole_view(configs):
        return Found(None, (place,), sure=False)
    return Found(found, (*value.src[:3], place))


def _whole_view(configs: Configs) -> bool:
    """Whether code pads an image to a view of the whole beside its tiles."""
    trees = [file.tree for file in configs.code.run.code.files()]
    names = {getattr(node, "id", "") or getattr(node, "attr", "") for tree in trees for node in nodes(tree)}
    return "ImageOps" in names and any(name.startswith("global_") for name in names if isinstance(name, str))


def _mentioned(configs: Configs) -> bool:
    """Whether any name in the code speaks of a thumbnail."""
    for file in configs.code.run.code.files():
        for node in nodes(file.tree):
            name = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None)
            if isinstance(name, str) and any(word in name.lower() for word in ("thumb", "overview", "global")):
                return True
    return False

"""The tiling rule as code states it: tile grids (i, j) with `low <= i * j <= high`, whatever the bounds are called."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.facts.code import methods
from porter.facts.configs import Configs, Found
from porter.source.codebase import snippet, where
from porter.source.interpreter import Frame, Stop
from porter.source.values import ClassRef, Function, Instance, Src, Val, plain

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
        for node in ast.walk(function.node):
            if isinstance(node, ast.Compare) and any(_product(part) for part in (node.left, *node.comparators)):
                for attribute, bound in _bounds(node):
                    value = _evaluate(configs, function, bound)
                    if isinstance(plain(value), int):
                        place = Src(function.file, where(node), snippet(node))
                        found.setdefault(attribute, Found(plain(value), (*value.src[:3], place)))
        if len(found) == 2:
            return found
    return {}


def _functions(configs: Configs) -> Iterator[Function]:
    """Functions of the processor class first (their settings are known), then every other one."""
    run = configs.code.run
    if configs.processor is not None:
        for owner, node in methods(run, configs.processor):
            yield Function(owner.file, node, configs.processor, owner)
    for file in run.code.files():
        for defined in file.definitions.values():
            if isinstance(defined, ast.FunctionDef):
                yield Function(file.path, defined)
            elif isinstance(defined, ast.ClassDef):
                cls = ClassRef(file.path, defined)
                for statement in (s for s in defined.body if isinstance(s, ast.FunctionDef)):
                    yield Function(file.path, statement, Instance(cls, [], {}), cls)


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
    """The value of a bound inside its function: settings, argument defaults, and what is assigned before."""
    run = configs.code.run
    frame = Frame(function.file, {}, function.owner, function.defining, 2)
    try:
        run.bind(function, [], {}, frame)
        body = [] if isinstance(function.node, ast.Lambda) else function.node.body
        for statement in body:
            if isinstance(statement, (ast.Assign, ast.AnnAssign)):
                run.run([statement], frame)
        return run.evaluate(bound, frame)
    except (Stop, RecursionError):
        return Val(None)

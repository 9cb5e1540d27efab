"""Tags that code writes before the context tokens of each tile: `<tile_1>`, `<tile_2>`, ..., and one for the whole."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from porter.facts.callers import functions, value_inside
from porter.facts.configs import Configs
from porter.facts.syntax import called
from porter.source.codebase import snippet, where
from porter.source.interpreter import Stop
from porter.source.values import Function, Src
from porter.source.walking import nodes

NUMBER = "{n}"
"""Where the number of the tile stands in a tag."""


@dataclass(frozen=True, slots=True)
class TileTags:
    """`tile` holds NUMBER, which counts from `first`; `overview` stands before the view of the whole image, at the
    end. `start` and `end` are the strings around all tiles, "" where nothing stands there, None where not followed."""

    tile: str
    first: int
    overview: str | None
    start: str | None
    end: str | None
    source: Src


def tile_tags(configs: Configs) -> TileTags | None:
    """The tags of the first function that puts one before the repeated tokens of every tile."""
    for function in functions(configs):
        for name, listed in _lists(function.node):
            label = _label(listed)
            joined = _joined(function.node, name) if label is not None else None
            if label is None or joined is None:
                continue
            tile, first, overview = label
            start, end = _around(configs, function, joined)
            place = Src(function.file, where(listed), snippet(listed))
            return TileTags(tile, first, overview, start, end, place)
    return None


def _lists(function: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for node in nodes(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _label(listed: ast.expr) -> tuple[str, int, str | None] | None:
    """(tag, first number, tag of the whole) of `[f"<t_{i}>" for i in range(1, n)] + ["<whole>"]`."""
    numbered, last = listed, None
    if isinstance(listed, ast.BinOp) and isinstance(listed.op, ast.Add):
        numbered, last = listed.left, _only_text(listed.right)
        if last is None:
            return None
    if not isinstance(numbered, ast.ListComp) or len(numbered.generators) != 1:
        return None
    counter = numbered.generators[0]
    name = counter.target.id if isinstance(counter.target, ast.Name) else ""
    tag, first = _numbered(numbered.elt, name), _first(counter.iter)
    return (tag, first, last) if tag is not None and first is not None and not counter.ifs else None


def _only_text(node: ast.expr) -> str | None:
    item = node.elts[0] if isinstance(node, ast.List) and len(node.elts) == 1 else None
    return item.value if isinstance(item, ast.Constant) and isinstance(item.value, str) else None


def _numbered(node: ast.expr, counter: str) -> str | None:
    """An f-string whose one field is the counter, with NUMBER in its place."""
    if not isinstance(node, ast.JoinedStr):
        return None
    parts: list[str] = []
    for item in node.values:
        if isinstance(item, ast.Constant):
            parts.append(str(item.value))
        elif isinstance(item, ast.FormattedValue) and _is_name(item.value, counter) and item.format_spec is None:
            parts.append(NUMBER)
        else:
            return None
    text = "".join(parts)
    return text if text.count(NUMBER) == 1 else None


def _first(node: ast.expr) -> int | None:
    """Where a range starts."""
    if not isinstance(node, ast.Call) or called(node) != "range" or not node.args:
        return None
    start = node.args[0] if len(node.args) > 1 else ast.Constant(0)
    return start.value if isinstance(start, ast.Constant) and isinstance(start.value, int) else None


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _joined(function: ast.AST, labels: str) -> str | None:
    """The name that gathers `tag + TOKEN * n` over the tags."""
    for node in nodes(function):
        if not isinstance(node, ast.For) or not _is_name(node.iter, labels) or not isinstance(node.target, ast.Name):
            continue
        for inner in nodes(node):
            grown = inner.target if isinstance(inner, ast.AugAssign) else None
            held = isinstance(inner, ast.AugAssign) and _tagged(inner.value, node.target.id)
            if held and isinstance(grown, ast.Name):
                return grown.id
    return None


def _tagged(node: ast.expr, tag: str) -> bool:
    """`tag + TOKEN * n`, in this order."""
    terms = list(_terms(node))
    repeated = any(
        isinstance(item, ast.BinOp) and isinstance(item.op, ast.Mult) for term in terms for item in nodes(term)
    )
    return _is_name(terms[0], tag) and repeated


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _terms(node.left)
        yield from _terms(node.right)
    else:
        yield node


def _around(configs: Configs, function: Function, joined: str) -> tuple[str | None, str | None]:
    """The strings right before and after what was gathered, in the sum that it becomes a part of."""
    for node in nodes(function.node):
        value = node.value if isinstance(node, (ast.Assign, ast.AugAssign)) else None
        terms = list(_terms(value)) if value is not None else []
        place = next((index for index, term in enumerate(terms) if _is_name(term, joined)), None)
        if place is not None and len(terms) > 1:
            before = _text(configs, function, terms[place - 1]) if place else ""
            after = _text(configs, function, terms[place + 1]) if place + 1 < len(terms) else ""
            return before, after
    return None, None


def _text(configs: Configs, function: Function, node: ast.expr) -> str | None:
    try:
        value = value_inside(configs, function, node).value
    except (Stop, RecursionError):
        return None
    return value if isinstance(value, str) else None

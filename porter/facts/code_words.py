"""Which names the code of a repo uses, and how: to tell a value that something reads from one that only stands
there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from porter.facts.code import CodeReading
from porter.facts.syntax import called
from porter.source.walking import nodes

ASKING = ("getattr", "hasattr", "get", "pop", "setdefault")


@dataclass(frozen=True, slots=True)
class CodeWords:
    """`read`: attributes taken from something other than `self`, and keys that are asked for; `spoken`: every
    attribute, argument and short string; `stored`: what the config class names."""

    read: frozenset[str]
    spoken: frozenset[str]
    stored: frozenset[str]


def code_words(code: CodeReading) -> CodeWords:
    cls = code.config_class
    own = nodes(cls.node) if cls is not None else ()
    skipped = {id(node) for node in own}
    read: set[str] = {name for owner, name in code.run.reads if owner == id(code.config.value)}
    spoken: set[str] = set()
    for file in code.run.code.files():
        for node in nodes(file.tree):
            if id(node) not in skipped:
                read.update(_read(node))
                spoken.update(_spoken(node))
    return CodeWords(
        frozenset(read), frozenset(spoken | read), frozenset(name for node in own for name in _spoken(node))
    )


def _read(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        if not isinstance(node.value, ast.Name) or node.value.id not in ("self", "cls"):
            yield node.attr
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        if isinstance(node.slice.value, str):
            yield node.slice.value
    elif isinstance(node, ast.Call) and called(node) in ASKING:
        yield from (item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str))


def _spoken(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 60:
        yield node.value

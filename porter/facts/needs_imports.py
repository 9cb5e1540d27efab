"""What the remote code imports from outside the repo, and under which conditions."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from porter.facts.model import Evidence
from porter.facts.needs_walk import Place, Seen
from porter.facts.syntax import called

IMPORTERS = frozenset({"import_module", "__import__"})


@dataclass(frozen=True, slots=True)
class Import:
    """`import module` (`name` None), or `from module import name`."""

    module: str
    name: str | None
    line: int
    place: Place

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def file(self) -> str:
        return self.place.file

    def evidence(self) -> Evidence:
        text = f"import {self.module}" if self.name is None else f"from {self.module} import {self.name}"
        return Evidence(self.file, f"line {self.line}", text)


def imports_in(seen: Iterable[Seen]) -> tuple[Import, ...]:
    """Every absolute import."""
    return tuple(found for item in seen for found in _imports(item))


def _imports(item: Seen) -> Iterator[Import]:
    node = item.node
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, None, node.lineno, item.place) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        yield from (Import(node.module, alias.name, node.lineno, item.place) for alias in node.names)
    elif isinstance(node, ast.Call):
        name = _constant_module(node)
        if name:
            yield Import(name, None, node.lineno, item.place)


def _constant_module(node: ast.Call) -> str:
    """`timm` of `importlib.import_module("timm")`."""
    first = node.args[0] if node.args and called(node) in IMPORTERS else None
    name = first.value if isinstance(first, ast.Constant) else None
    plain = isinstance(name, str) and name.isascii() and all(part.isidentifier() for part in name.split("."))
    return name if isinstance(name, str) and plain else ""

"""What the remote code imports from outside the repo, and under which conditions an import runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from porter.facts.model import Evidence
from porter.source.codebase import CodeBase, SourceFile

Guard = Literal["", "try", "if", "types", "main"]

CAUGHT = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException", "RuntimeError", "OSError"})
IMPORTERS = frozenset({"import_module", "__import__"})


@dataclass(frozen=True, slots=True)
class Import:
    """`import module` (`name` None), or `from module import name`.

    `guard`: `try` fails softly, `if` is conditional, `types` and `main` never run on loading. `lazy`: in a function.
    """

    module: str
    name: str | None
    file: str
    line: int
    guard: Guard = ""
    lazy: bool = False

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def on_loading(self) -> bool:
        """Runs whenever the file is loaded, and fails the loading when it fails."""
        return not self.guard and not self.lazy

    def evidence(self) -> Evidence:
        text = f"import {self.module}" if self.name is None else f"from {self.module} import {self.name}"
        return Evidence(self.file, f"line {self.line}", text)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands."""

    file: str
    guard: Guard = ""
    lazy: bool = False

    def under(self, guard: Guard) -> Place:
        """The first guard met stays, but what never runs on loading outweighs it."""
        return replace(self, guard=guard) if guard and (not self.guard or guard in ("types", "main")) else self


def imports_of(code: CodeBase) -> tuple[Import, ...]:
    """Every absolute import of every file, in file and line order."""
    found = [item for file in code.files() for item in _of_file(file)]
    return tuple(sorted(found, key=lambda item: (item.file, item.line, item.module, item.name or "")))


def _of_file(file: SourceFile) -> Iterator[Import]:
    """Without recursion: generated code nests deeper than Python's stack."""
    waiting: list[tuple[ast.AST, Place]] = [(file.tree, Place(file.path))]
    while waiting:
        node, place = waiting.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _imports(node, place)
        elif isinstance(node, ast.Call):
            yield from _dynamic(node, place)
        waiting.extend(_below(node, place))


def _below(node: ast.AST, place: Place) -> Iterator[tuple[ast.AST, Place]]:
    """What stands inside a node, each with the conditions under which it runs."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        lazy = replace(place, lazy=True)
        yield from ((child, lazy) for child in ast.iter_child_nodes(node))
    elif isinstance(node, ast.Try):
        soft = place.under("try") if _is_soft(node) else place
        yield from ((child, soft) for child in (*node.body, *node.orelse))
        yield from ((handler, place.under("try")) for handler in node.handlers)
        yield from ((child, place) for child in node.finalbody)
    elif isinstance(node, ast.If):
        yield from ((child, place.under(_guard(node.test))) for child in node.body)
        yield from ((child, place.under(_otherwise(node.test))) for child in node.orelse)
    else:
        inner = place.under("try") if isinstance(node, ast.With) and _suppresses(node) else place
        yield from ((child, inner) for child in ast.iter_child_nodes(node))


def _imports(node: ast.Import | ast.ImportFrom, place: Place) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, None, place.file, node.lineno, place.guard, place.lazy)
    elif not node.level and node.module:
        for alias in node.names:
            yield Import(node.module, alias.name, place.file, node.lineno, place.guard, place.lazy)


def _dynamic(node: ast.Call, place: Place) -> Iterator[Import]:
    """`importlib.import_module("timm")`."""
    first = node.args[0] if node.args and _called(node) in IMPORTERS else None
    name = first.value if isinstance(first, ast.Constant) else None
    if isinstance(name, str) and name.isascii() and all(part.isidentifier() for part in name.split(".")):
        yield Import(name, None, place.file, node.lineno, place.guard, place.lazy)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_soft(node: ast.Try) -> bool:
    """A failed import is caught, and the handler goes on without raising."""
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        names = {kind.attr if isinstance(kind, ast.Attribute) else getattr(kind, "id", "") for kind in kinds if kind}
        if handler.type is None or names & CAUGHT:
            return not any(isinstance(statement, ast.Raise) for statement in handler.body)
    return False


def _suppresses(node: ast.With) -> bool:
    calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
    return any(_called(call) == "suppress" for call in calls)


def _names(test: ast.expr) -> set[str]:
    """The last names of everything that a test mentions."""
    nodes = list(ast.walk(test))
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }


def _guard(test: ast.expr) -> Guard:
    names = _names(test)
    if "TYPE_CHECKING" in names:
        return "types"
    if "__name__" in names:
        return "main"
    return "" if isinstance(test, ast.Constant) and test.value else "if"


def _otherwise(test: ast.expr) -> Guard:
    return "" if _names(test) & {"TYPE_CHECKING"} else "if"

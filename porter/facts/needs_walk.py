"""One pass over the remote code: its imports, calls and settings, each with the conditions under which it runs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Union

from porter.facts.syntax import called
from porter.source.codebase import CodeBase, SourceFile

Guard = Literal["", "try", "if", "types", "main"]
Kept = Union[ast.Import, ast.ImportFrom, ast.Call, ast.Assign, ast.Assert, ast.If]

NEVER: tuple[Guard, ...] = ("types", "main")
CAUGHT = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException", "RuntimeError", "OSError"})


LEAVES = frozenset({ast.Constant, ast.Name, ast.Load, ast.Store, ast.alias, ast.arg, ast.Pass})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands. `guard`: `try` fails softly, `if` is conditional, `types` and `main` never run on loading.
    `lazy`: inside a function."""

    file: str
    guard: Guard = ""
    lazy: bool = False

    def under(self, guard: Guard) -> Place:
        """The first guard met stays, but what never runs on loading outweighs it."""
        return replace(self, guard=guard) if guard and (not self.guard or guard in NEVER) else self

    @property
    def on_loading(self) -> bool:
        """Runs whenever the file is loaded, and fails the loading when it fails."""
        return not self.guard and not self.lazy


@dataclass(frozen=True, slots=True)
class Seen:
    """A node of interest and its place."""

    node: Kept
    place: Place

    @property
    def line(self) -> int:
        return self.node.lineno


def walk_code(code: CodeBase) -> tuple[Seen, ...]:
    """What the files hold, in file and line order. Without recursion: generated code nests deeper than the stack."""
    found = [item for file in code.files() for item in _file(file)]
    return tuple(sorted(found, key=lambda item: (item.place.file, item.line, item.node.col_offset)))


def _file(file: SourceFile) -> Iterator[Seen]:
    waiting: list[tuple[ast.AST, Place]] = [(statement, Place(file.path)) for statement in file.tree.body]
    while waiting:
        node, place = waiting.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Call, ast.Assign, ast.Assert, ast.If)):
            yield Seen(node, place)
        branches = BRANCHES.get(type(node))
        if branches is None:
            waiting.extend([(child, place) for child in _children(node)])
        else:
            waiting.extend(branches(node, place))


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Those that can hold something of interest: a table of a million numbers has none."""
    for value in node.__dict__.values():
        if isinstance(value, ast.AST) and type(value) not in LEAVES:
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, ast.AST) and type(item) not in LEAVES)


Below = Iterable["tuple[ast.AST, Place]"]


def _function(node: ast.FunctionDef, place: Place) -> Below:
    """Decorators and argument defaults run where the function is defined."""
    lazy = replace(place, lazy=True)
    yield from ((child, lazy) for child in node.body)
    yield from (
        (child, place) for child in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults) if child
    )


def _lambda(node: ast.Lambda, place: Place) -> Below:
    return [(node.body, replace(place, lazy=True))]


def _try(node: ast.Try, place: Place) -> Below:
    soft = place.under("try") if _is_soft(node) else place
    yield from ((child, soft) for child in (*node.body, *node.orelse))
    yield from ((handler, place.under("try")) for handler in node.handlers)
    yield from ((child, place) for child in node.finalbody)


def _if(node: ast.If, place: Place) -> Below:
    yield (node.test, place)
    yield from ((child, place.under(_guard(node.test))) for child in node.body)
    yield from ((child, place.under(_otherwise(node.test))) for child in node.orelse)


def _choice(node: ast.IfExp, place: Place) -> Below:
    return [(node.test, place), (node.body, place.under("if")), (node.orelse, place.under("if"))]


def _with(node: ast.With, place: Place) -> Below:
    inner = place.under("try") if _suppresses(node) else place
    return [(child, inner) for child in _children(node)]


BRANCHES: Mapping[type[ast.AST], Callable[[Any, Place], Below]] = {
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.Lambda: _lambda,
    ast.Try: _try,
    ast.If: _if,
    ast.IfExp: _choice,
    ast.With: _with,
}


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
    return any(called(call) == "suppress" for call in calls)


def _guard(test: ast.expr) -> Guard:
    names = _names(test)
    if "TYPE_CHECKING" in names:
        return "types"
    if "__name__" in names:
        return "main"
    return "" if isinstance(test, ast.Constant) and test.value else "if"


def _otherwise(test: ast.expr) -> Guard:
    return "" if "TYPE_CHECKING" in _names(test) else "if"


def _names(test: ast.expr) -> set[str]:
    """The last names of everything that a test mentions."""
    nodes = list(ast.walk(test))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}

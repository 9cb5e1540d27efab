"""A processor of the repo's own that is a copy of the original's: what it does otherwise, if anything."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Iterator

from porter.source.alike import Alike, Scope, Side
from porter.source.alike_classes import methods_of, start, values_of
from porter.source.alike_names import STRING
from porter.source.codebase import Definition


def unlike(library: Side, repo: Side, ours: Definition, theirs: Definition, stated: Collection[str]) -> Iterator[str]:
    """What the repo's class does otherwise, in words. `stated` are arguments that its files give: their defaults do
    not matter, their names do, since the original's class is given the same files."""
    walk = start(library, repo)
    walk.pair(ours, _with_defaults(ours, theirs, stated))
    walk.run()
    pairs = list(_pairs(walk, ours.file))
    for mine, other in pairs:
        _values(walk, mine, other)
    yield from (item.text() for item in walk.unlike)
    respelled = [item for item in walk.given.used if item.kind == STRING and item.ours != item.theirs]
    yield from (f"{item.theirs!r} in place of {item.ours!r}" for item in respelled)
    for mine, other in pairs:
        yield from _other_names(mine, other)


def _pairs(walk: Alike, home: str) -> Iterator[tuple[Definition, Definition]]:
    """The classes that were met as one and the same."""
    for name, (file, own) in list(walk.classes.items()):
        mine, other = walk.library.code.meaning(home, name), walk.repo.code.meaning(file, own)
        if isinstance(mine, Definition) and isinstance(other, Definition):
            yield mine, other


def _with_defaults(ours: Definition, theirs: Definition, stated: Collection[str]) -> Definition:
    """The repo's class with the original's defaults for what its files state."""
    found = Definition(theirs.file, theirs.name, copy.deepcopy(theirs.node))
    mine, other = methods_of(ours).get("__init__"), methods_of(found).get("__init__")
    if mine is None or other is None or _arguments(mine) != _arguments(other):
        return theirs
    native, own = mine.args.defaults, other.args.defaults
    names = [item.arg for item in other.args.args][len(other.args.args) - len(own) :]
    if len(native) == len(own):
        pairs = zip(names, native, own, strict=True)
        other.args.defaults = [usual if name in stated else value for name, usual, value in pairs]
    return found


def _arguments(function: ast.FunctionDef) -> list[str]:
    return [item.arg for item in ast.walk(function.args) if isinstance(item, ast.arg)]


def _values(walk: Alike, mine: Definition, other: Definition) -> None:
    """Notes values of class bodies that differ: what processors default to stands there."""
    scope = Scope(mine.name, "", (mine.file, other.file), (frozenset(), frozenset()))
    native, values = values_of(mine), values_of(other)
    for key in {**native, **values}:
        if key not in native or key not in values:
            walk.differs(scope, other.node, f"{key} of its body")
        else:
            walk.nodes(scope, native[key], values[key])


def _other_names(mine: Definition, other: Definition) -> Iterator[str]:
    """Methods, their arguments and annotated names: what the library calls, or is given, by name."""
    ours, theirs = methods_of(mine), methods_of(other)
    for name in {*ours} ^ {*theirs}:
        yield f"{mine.name} with another method {name}"
    for name in (name for name in ours if name in theirs):
        if _arguments(ours[name]) != _arguments(theirs[name]):
            yield f"{mine.name}.{name} with other arguments"
    if _annotated(mine) != _annotated(other):
        yield f"{mine.name} with other keys"


def _annotated(cls: Definition) -> list[str]:
    assert isinstance(cls.node, ast.ClassDef)
    return [ast.unparse(item.target) for item in cls.node.body if isinstance(item, ast.AnnAssign)]

"""Parts of the library's model that a comparison leaves to a reading of their own, and what the repo makes there."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from porter.source.alike_names import Renames
from porter.source.alike_parts import set_on_self
from porter.source.codebase import Definition

if TYPE_CHECKING:
    from porter.source.alike import Alike, Scope


@dataclass(frozen=True, slots=True)
class Made:
    """`value` makes the part, in `__init__` of the repo's class for the library's class `owner`."""

    owner: str
    file: str
    value: ast.expr


def own_part(walk: Alike, scope: Scope, ours: ast.stmt, theirs: ast.stmt) -> bool:
    """Whether two statements of an `__init__` set a part that is read by itself, under whatever name."""
    left, right = set_on_self(ours), set_on_self(theirs)
    if not walk.apart or left is None or right is None or scope.function != "__init__":
        return False
    cls = walk.library.code.find_class(scope.files[0], scope.cls)
    owner = Definition(*_named(cls)) if cls is not None else None
    if owner is None or not set_apart(walk, Made(scope.cls, scope.files[1], right[1]), owner, left[1]):
        return False
    walk.given.attributes.add((left[0], right[0]))
    return walk.names.setdefault((scope.cls, "self"), Renames()).fits(left[0], right[0])


def _named(found: tuple[str, ast.ClassDef]) -> tuple[str, str, ast.ClassDef]:
    return found[0], found[1].name, found[1]


def set_apart(walk: Alike, made: Made, owner: Definition, native: ast.expr) -> bool:
    """Whether a value of the library's makes a part that is read by itself; notes what the repo makes there."""
    name = native.func.id if isinstance(native, ast.Call) and isinstance(native.func, ast.Name) else ""
    found = walk.library.code.meaning(owner.file, name) if name in walk.apart else None
    if not isinstance(found, Definition):
        return False
    walk.made.setdefault(found.name, []).append(made)
    func = made.value.func if isinstance(made.value, ast.Call) else None
    other = walk.repo.code.meaning(made.file, func.id) if isinstance(func, ast.Name) else None
    return not isinstance(other, Definition) or walk.pair(found, other)

"""One of the two code bases of a comparison, and what is known of its names."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from porter.source.alike_forms import handed_on
from porter.source.alike_parts import names_read, own_names
from porter.source.codebase import CodeBase, snippet


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two code bases, and the names that are its own to choose."""

    code: CodeBase
    own: frozenset[str]
    read: frozenset[str]
    """Attributes that some code takes a value from."""
    aside: frozenset[str] = frozenset()
    """Fields of output objects that no code of it reads but to hand them on."""

    @classmethod
    def of(cls, code: CodeBase, more: Sequence[str] = ()) -> Side:
        trees = [file.tree for file in code.files()]
        own = frozenset([*more, *(name for tree in trees for name in own_names(tree))])
        return cls(code, own, frozenset(name for tree in trees for name in names_read(tree)), handed_on(trees))

    def unread_buffer(self, statement: ast.stmt) -> str | None:
        """The name of a buffer that a statement registers and nothing reads."""
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not isinstance(call, ast.Call) or snippet(call.func) != "self.register_buffer" or not call.args:
            return None
        name = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
        return name if isinstance(name, str) and name not in self.read else None

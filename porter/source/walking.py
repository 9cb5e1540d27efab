"""Every node below a node, kept: facts ask the same trees again and again."""

from __future__ import annotations

import ast
from functools import lru_cache

KEPT = 4096


@lru_cache(maxsize=KEPT)
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """What `ast.walk` gives, in its order. The trees that porter reads are never changed."""
    found: list[ast.AST] = [tree]
    for node in found:
        for value in node.__dict__.values():
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found.extend(item for item in value if isinstance(item, ast.AST))
    return tuple(found)

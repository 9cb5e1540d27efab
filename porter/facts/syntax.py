"""What is asked of single nodes of the repo's code."""

from __future__ import annotations

import ast


def called(node: ast.AST) -> str:
    """The last name of what a call calls, "" for anything else."""
    target = node.func if isinstance(node, ast.Call) else None
    return target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""

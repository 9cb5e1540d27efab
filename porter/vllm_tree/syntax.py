"""Small questions to an ast: dotted names, calls, parameters."""

from __future__ import annotations

import ast


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute chain, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def calls(node: ast.AST, name: str) -> list[ast.Call]:
    """Every call of something whose last name part is `name`."""
    return [
        item for item in ast.walk(node) if isinstance(item, ast.Call) and dotted(item.func).rpartition(".")[2] == name
    ]


def called_classes(node: ast.AST) -> list[str]:
    """Names called that look like classes, in source order."""
    found = [item for item in ast.walk(node) if isinstance(item, ast.Call) and isinstance(item.func, ast.Name)]
    ordered = sorted(found, key=lambda item: (item.lineno, item.col_offset))
    return [item.func.id for item in ordered if isinstance(item.func, ast.Name) and item.func.id[:1].isupper()]


def parameter_names(node: ast.FunctionDef) -> tuple[str, ...]:
    """Every named parameter, `self` included."""
    return tuple(arg.arg for arg in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs])


def returned_name(node: ast.FunctionDef) -> str | None:
    """The class that a return annotation names."""
    return dotted(node.returns) or None if node.returns is not None else None

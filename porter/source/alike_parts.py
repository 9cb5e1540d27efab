"""What a comparison of two codes asks of single statements and names."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.source.codebase import snippet
from porter.source.tensor_calls import TENSOR_METHODS

OF_TENSORS = frozenset(
    [
        *TENSOR_METHODS,
        *("sum", "mean", "max", "min", "amax", "amin", "prod", "std", "var", "norm", "median", "cumsum", "cumprod"),
        *("softmax", "log_softmax", "sigmoid", "tanh", "relu", "exp", "log", "sqrt", "rsqrt", "abs", "neg", "pow"),
        *("clamp", "flip", "roll", "sort", "argsort", "topk", "argmax", "argmin", "mul", "add", "sub", "div", "matmul"),
    ]
)
"""Methods of tensors: a rename never turns one into another, whatever names the code gives to its own."""


def own_names(tree: ast.AST) -> Iterator[str]:
    """Names that the code itself gives: classes, functions, their parameters, attributes of self, class fields."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "model_type":
            yield from (str(item.value) for item in [node.value] if isinstance(item, ast.Constant))
        elif isinstance(node, ast.Dict):
            yield from (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def names_read(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr


def same_external(ours: str, theirs: str) -> bool:
    """Whether two dotted names are one; the library itself imports by relative names, which show without a root."""
    if ours == theirs:
        return True
    return theirs.startswith("transformers.") and ours.rpartition(".")[2] == theirs.rpartition(".")[2]


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def set_on_self(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    own = isinstance(target, ast.Attribute) and is_self(target.value)
    return (target.attr, statement.value) if own and isinstance(target, ast.Attribute) else None


def bound_in(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef) and node is not function:
            yield node.name


def is_silent(item: ast.stmt) -> bool:
    if isinstance(item, (ast.Pass, ast.Raise, ast.Assert, ast.Import, ast.ImportFrom)):
        return True
    if isinstance(item, ast.If):
        return not item.orelse and all(map(is_silent, item.body))
    if not isinstance(item, ast.Expr):
        return False
    if isinstance(item.value, ast.Constant):
        return True
    called = snippet(item.value.func) if isinstance(item.value, ast.Call) else ""
    return called.startswith(("logger.", "warnings.")) or called.endswith("_check")

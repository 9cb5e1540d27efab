"""What a comparison of two codes asks of single statements and names."""

from __future__ import annotations

import ast
from collections.abc import Iterator

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
    """Attributes that are read, also by a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("getattr", "get_buffer"):
            said = (item.value for part in node.args for item in ast.walk(part) if isinstance(item, ast.Constant))
            yield from (text for text in said if isinstance(text, str))


def same_external(ours: str, theirs: str) -> bool:
    """Whether two dotted names are one; a copy may import from another module of transformers than the library does."""
    if ours == theirs:
        return True
    inside = theirs.startswith("transformers.") and not ours.startswith("torch.")
    if not inside or ours.rpartition(".")[2] != theirs.rpartition(".")[2]:
        return False
    # Two models have functions of one name that are not the same.
    folder = theirs.removeprefix("transformers.models.").partition(".")[0]
    return not theirs.startswith("transformers.models.") or folder in ours.split(".")


def is_original(file: str, name: str, dotted: str) -> bool:
    """Whether a dotted name of transformers is what a file of it defines under a name."""
    module, _, last = dotted.rpartition(".")
    home = f"{file.removesuffix('.py').replace('/', '.')}."
    return last == name and (module == "transformers" or (bool(module) and home.startswith(f"{module}.")))


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def set_on_self(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    own = isinstance(target, ast.Attribute) and is_self(target.value)
    return (target.attr, statement.value) if own and isinstance(target, ast.Attribute) else None


def bound_in(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef) and node is not function:
            yield node.name

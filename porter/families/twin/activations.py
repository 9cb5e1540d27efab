"""Another activation than the original's, where the tree's class keeps it as a module of its own."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator

from porter.families.held import Held, children_of, held_by
from porter.families.twin.weights import Modules
from porter.source.alike import Side, Unlike
from porter.source.codebase import Definition, External
from porter.vllm_tree.classes import ClassReading
from porter.vllm_tree.tree import Tree
from porter.weights.mapper import NameRules

TABLE = "ACT2FN"
BY_NAME = {
    "gelu": "nn.GELU()",
    "gelu_pytorch_tanh": 'nn.GELU(approximate="tanh")',
    "relu": "nn.ReLU()",
    "silu": "nn.SiLU()",
    "swish": "nn.SiLU()",
}
"""Activations that configs name, as layers of torch."""
LAYERS = ("GELU", "ReLU", "SiLU")
DEEPEST = 4


def settings(
    item: Unlike, modules: Modules, root: Definition, tree: Tree, model: ClassReading, mapper: NameRules
) -> tuple[tuple[str, str], ...]:
    """(attribute of the port, code) that answers a difference; empty where it is no activation, or stands where the
    tree's class has none."""
    if item.layer is None:
        return ()
    name, ours, theirs = item.layer
    code = activation(theirs) if _of_elsewhere(modules.walk.repo, item.file, theirs) else None
    if code is None or not (activation(ours) or _looked_up(ours)):
        return ()
    found: list[tuple[str, str]] = []
    for path in places(modules, root, item.cls):
        place = mapper.apply(f"{path}.{name}.weight")
        own = place.removesuffix(".weight") if place else ""
        if not own or not _has(tree, held_by(tree, model), own.split(".")):
            return ()
        found.append((own, code))
    return tuple(found)


def _of_elsewhere(side: Side, file: str, node: ast.expr) -> bool:
    """Whether a layer or table is torch's or transformers', none that the repo calls the same."""
    root, _, rest = ast.unparse(node.value if isinstance(node, ast.Subscript) else _func(node)).partition(".")
    meant = side.code.meaning(file, root)
    dotted = f"{meant.dotted}.{rest}" if isinstance(meant, External) else ""
    return dotted.startswith(("torch.nn.", "transformers.activations."))


def _func(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def activation(node: ast.expr) -> str | None:
    """The code of an activation layer; None for anything else."""
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == TABLE:
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return BY_NAME.get(key) if isinstance(key, str) else None
    if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] not in LAYERS:
        return None
    plain = not node.args and all(isinstance(item.value, ast.Constant) for item in node.keywords)
    given = ", ".join(f"{item.arg}={ast.unparse(item.value)}" for item in node.keywords)
    return f"nn.{ast.unparse(node.func).rpartition('.')[2]}({given})".replace("'", '"') if plain else None


def _looked_up(node: ast.expr) -> bool:
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) == TABLE


def places(modules: Modules, root: Definition, cls: str) -> Iterator[str]:
    """Where the original's model has a module of a class, outside of lists."""
    waiting: deque[tuple[Definition, tuple[str, ...]]] = deque([(root, ())])
    while waiting:
        item, path = waiting.popleft()
        if item.name == cls and path:
            yield ".".join(path)
        for name, child in modules.children(item).items() if len(path) < DEEPEST else ():
            if isinstance(child, Definition) and name not in modules.listed(item):
                waiting.append((child, (*path, name)))


def _has(tree: Tree, held: Held, path: list[str]) -> bool:
    """Whether a class of the tree has a module at a path."""
    if len(path) == 1:
        return path[0] in held.sites
    inner = children_of(tree, held, path[0])
    return isinstance(inner, Held) and _has(tree, inner, path[1:])

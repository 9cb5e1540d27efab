"""The quantisation methods that a tree has, by the names that checkpoints give them."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from porter.errors import TreeError
from porter.vllm_tree.tree import Tree

FILE = "model_executor/layers/quantization/__init__.py"
TABLE_OF = "get_quantization_config"


def quantization_methods(tree: Tree) -> Mapping[str, int] | None:
    """Method → the line that names it; None when this tree keeps them in a form that porter does not know."""
    try:
        module = tree.module(FILE)
    except TreeError:
        return None
    found: dict[str, int] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and node.name == TABLE_OF:
            tables = [item for item in ast.walk(node) if isinstance(item, ast.Dict)]
            keys = [key for table in tables for key in table.keys if isinstance(key, ast.Constant)]
            found.update({key.value: key.lineno for key in keys if isinstance(key.value, str)})
    return found or None

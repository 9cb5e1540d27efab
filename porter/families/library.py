"""What the `transformers` beside a tree knows, read from its source: config types and causal language models."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

AUTO = "models/auto"
CONFIG_FILES = ("auto_mappings.py", "configuration_auto.py")


@dataclass(frozen=True, slots=True)
class Library:
    """`configs`: model_type -> config class; `causal`: model_type -> model class; empty when nothing is installed."""

    root: Path | None
    configs: Mapping[str, str] = field(default_factory=dict)
    causal: Mapping[str, str] = field(default_factory=dict)
    image_text: Mapping[str, str] = field(default_factory=dict)

    def architectures(self) -> frozenset[str]:
        return frozenset(self.causal.values()) | frozenset(self.image_text.values())

    def type_of(self, architecture: str) -> str | None:
        """The model_type of a causal class whose config class goes by the same name; None for a class of elsewhere."""
        stem = architecture.removesuffix("ForCausalLM")
        types = [key for key, name in self.causal.items() if name == architecture]
        return next((key for key in types if self.configs.get(key) == f"{stem}Config"), None)


def library_beside(package: Path) -> Library:
    """The `transformers` installed beside a vLLM package, else the one that porter's interpreter would import."""
    beside = package.parent / "transformers"
    if beside.is_dir():
        return _read(beside)
    spec = importlib.util.find_spec("transformers")
    return _read(Path(spec.origin).parent) if spec is not None and spec.origin else Library(None)


@lru_cache(maxsize=8)
def _read(root: Path) -> Library:
    configs = {key: value for name in CONFIG_FILES for key, value in _table(root / AUTO / name, "CONFIG_MAPPING_NAMES")}
    models = root / AUTO / "modeling_auto.py"
    causal = dict(_table(models, "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"))
    image_text = dict(_table(models, "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"))
    return Library(root, configs, causal, image_text)


def _table(path: Path, name: str) -> Iterator[tuple[str, str]]:
    """Every pair of strings in the assignment of, or the update call on, a module-level name."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    for statement in tree.body:
        if _about(statement, name):
            yield from _pairs(statement)


def _about(statement: ast.stmt, name: str) -> bool:
    if isinstance(statement, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == name for target in statement.targets)
    call = statement.value if isinstance(statement, ast.Expr) else None
    inside = call.func.value if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else None
    return isinstance(inside, ast.Name) and inside.id == name


def _pairs(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    for node in ast.walk(statement):
        items = node.elts if isinstance(node, ast.Tuple) and len(node.elts) == 2 else []
        pairs = list(zip(node.keys, node.values, strict=True)) if isinstance(node, ast.Dict) else []
        for key, value in [(items[0], items[1])] if items else pairs:
            names = [item.value for item in (key, value) if isinstance(item, ast.Constant)]
            if len(names) == 2 and isinstance(names[0], str) and isinstance(names[1], str):
                yield names[0], names[1]

"""Defaults of an image processor of transformers that a repo names and does not bring: read from the library's
source, a guess, because another release may say otherwise."""

from __future__ import annotations

import ast
import importlib.util
from functools import lru_cache
from pathlib import Path

from porter.facts.configs import Configs, Found
from porter.jsontypes import JSON
from porter.source.codebase import External
from porter.source.outside import constant
from porter.source.values import Src, plain

TYPE_KEYS = ("image_processor_type", "feature_extractor_type")
ENDINGS = ("FeatureExtractor", "ImageProcessorFast", "ImageProcessorPil", "ImageProcessor")
MAX_SOURCE = 400_000


def library_default(configs: Configs, attribute: str) -> tuple[Found, str] | None:
    """(value, class) of a setting that the processor's files leave to a class of the library."""
    for _, values in configs.processor_files():
        for key in TYPE_KEYS:
            name = plain(values[key]) if key in values else None
            if isinstance(name, str) and name.isidentifier() and not configs.defines(name):
                found = _defaults(name).get(attribute)
                return (found, name) if found is not None else None
    return None


@lru_cache(maxsize=16)
def _defaults(name: str) -> dict[str, Found]:
    """What the class sets in its body, else in its `__init__`'s defaults."""
    stem = next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), "")
    path = _file_of(stem) if stem else None
    if path is None:
        return {}
    try:
        tree = ast.parse(path.read_text(encoding="utf-8")[:MAX_SOURCE])
    except (OSError, SyntaxError, ValueError):
        return {}
    names = (f"{stem}ImageProcessor", f"{stem}ImageProcessorFast")
    wanted = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in names]
    return _settings(wanted[0], f"transformers/models/{path.parent.name}/{path.name}") if wanted else {}


@lru_cache(maxsize=1)
def _models() -> Path | None:
    spec = importlib.util.find_spec("transformers")
    return Path(spec.origin).parent / "models" if spec is not None and spec.origin else None


def _file_of(stem: str) -> Path | None:
    """`Qwen2VL` is made in models/qwen2_vl/image_processing_qwen2_vl.py."""
    models = _models()
    folders = [path for path in models.iterdir() if path.is_dir()] if models is not None and models.is_dir() else []
    folder = next((path for path in folders if path.name.replace("_", "") == stem.lower()), None)
    file = folder / f"image_processing_{folder.name}.py" if folder is not None else None
    return file if file is not None and file.is_file() else None


def _settings(node: ast.ClassDef, file: str) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            _keep(found, statement.targets[0].id, statement.value, file)
        elif isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            arguments = statement.args.args
            for argument, default in zip(reversed(arguments), reversed(statement.args.defaults), strict=False):
                _keep(found, argument.arg, default, file)
    return found


def _keep(found: dict[str, Found], name: str, node: ast.expr, file: str) -> None:
    value = _value(node)
    if value is not None:
        found.setdefault(name, Found(value, (Src(file, f"line {node.lineno}", ast.unparse(node)[:80]),), sure=False))


def _value(node: ast.expr) -> JSON:
    """A literal, a constant of the library by name, or the name of a filter."""
    if isinstance(node, ast.Name):
        value: JSON = plain(constant(External(f"transformers.{node.id}")))
        return value if isinstance(value, list) else None
    if isinstance(node, ast.Attribute):
        return node.attr.lower()
    try:
        literal: JSON = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return literal

"""The installed transformers' own files, found and read without importing it."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path


@cache
def installed() -> Path | None:
    """The folder of the package `transformers`, or None where there is none."""
    spec = importlib.util.find_spec("transformers")
    return Path(spec.origin).parent if spec and spec.origin else None


def has(folder: str) -> bool:
    """Whether the installed version has this model."""
    root = installed()
    return root is not None and (root / "models" / folder).is_dir()


def source(folder: str, file: str) -> str:
    """The text of one file of a model's folder."""
    root = installed()
    if root is None:
        raise FileNotFoundError("transformers is not installed")
    return (root / "models" / folder / f"{file}.py").read_text(encoding="utf-8")

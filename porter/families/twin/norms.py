"""Norms that a repo defines itself: copies of one of transformers' are that one."""

from __future__ import annotations

from pathlib import Path

from porter.families.library import library_beside
from porter.source.alike import Side
from porter.source.alike_classes import start
from porter.source.codebase import CodeBase, Definition

NORMS = (("llama", "LlamaRMSNorm"),)
"""(model_type, class) of norms that the tree has as a layer."""


def copy_of_norm(package: Path, repo: Side, cls: Definition) -> str | None:
    """The dotted name of the norm that a class of the repo is a copy of, None for any other class."""
    library = library_beside(package)
    for model_type, name in NORMS:
        path = library.file(model_type, "modeling")
        code = CodeBase({path: library.code.texts[path]}) if path is not None else None
        ours = code.meaning(path, name) if code is not None and path is not None else None
        if code is None or path is None or not isinstance(ours, Definition):
            continue
        walk = start(Side.of(code), repo)
        walk.pair(ours, cls)
        walk.run()
        if not walk.unlike:
            return f"{path.removesuffix('.py').replace('/', '.')}.{name}"
    return None

"""Files of the installed transformers that a repo's classes inherit from: the config, and the model where it has the
shape of LLaVA, so that a subclass is read like a class that is written out."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from porter.source.codebase import CodeBase

ENDINGS = ("ForConditionalGeneration", "Config")
SHAPE = "multi_modal_projector"
"""What marks models that are read behind a subclass; of others, the config alone."""
MAX_SOURCE = 400_000


def inherited_files(python: Mapping[str, str]) -> dict[str, str]:
    """Path to text, `transformers/models/...`; empty when nothing is inherited or transformers is not here."""
    if not any("transformers" in text for text in python.values()):
        return {}
    found: dict[str, str] = {}
    for stem in dict.fromkeys(_stems(CodeBase(python))):
        found.update(_files(stem))
    return found


def _stems(code: CodeBase) -> Iterator[str]:
    """`Llava` for each class of the repo with a base `LlavaForConditionalGeneration` or `LlavaConfig`."""
    for file in code.files():
        nodes = [node for node in file.definitions.values() if isinstance(node, ast.ClassDef)]
        for base in (base for node in nodes for base in node.bases if isinstance(base, ast.Name)):
            module, name = file.imports.get(base.id, ("", None))
            ending = next((item for item in ENDINGS if name is not None and name.endswith(item)), "")
            if name is not None and module.partition(".")[0] == "transformers" and len(name) > len(ending) > 0:
                yield name.removesuffix(ending)


@lru_cache(maxsize=16)
def _files(stem: str) -> dict[str, str]:
    spec = importlib.util.find_spec("transformers")
    models = Path(spec.origin).parent / "models" if spec is not None and spec.origin else Path()
    folders = models.iterdir() if models.is_dir() else ()
    folder = next((path for path in folders if path.name.replace("_", "") == stem.replace("_", "").lower()), None)
    if folder is None:
        return {}
    files = [folder / f"{kind}_{folder.name}.py" for kind in ("modeling", "configuration")]
    try:
        texts = {
            f"transformers/models/{folder.name}/{file.name}": file.read_text("utf-8")[:MAX_SOURCE] for file in files
        }
    except (OSError, UnicodeDecodeError):
        return {}
    whole = any(SHAPE in text for text in texts.values())
    return {path: text for path, text in texts.items() if whole or "/configuration_" in path}

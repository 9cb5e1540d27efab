"""Names that a repo's code imports from transformers and that have moved since, or are gone.

A name is looked for where transformers now defines it at the top of a module; only one place counts. A text that is
gone (a docstring to paste) becomes an empty one, a question for a package is answered with no, another name becomes a
stand-in that nothing can be made of. Each says so in `used`.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from porter_worker import older_images

_MISSING = re.compile(r"cannot import name '(\w+)' from '(transformers[\w.]*)'")
GIVEN: dict[str, Callable[[], Any]] = {"DefaultFastImageProcessorKwargs": older_images.keyword_class}
_FOLDERS = ("", "utils", "generation", "integrations")


def restored(error: ImportError, used: list[str], stand_in: Callable[[str, str], Any]) -> bool:
    """Whether the name that could not be imported is there now; `stand_in` makes a class for one that is gone."""
    found = _MISSING.search(str(error))
    if found is None:
        return False
    name, module = found.groups()
    homes = defining(name)
    if name in GIVEN:
        value = GIVEN[name]()
        used.append(f"{module}.{name} is gone; as it was in the version that this code is for")
    elif len(homes) == 1:
        value = getattr(importlib.import_module(homes[0]), name)
        used.append(f"{module}.{name} is in {homes[0]} now")
    else:
        value, words = _blank(name, lambda: stand_in(module, name))
        used.append(f"{module}.{name} is gone; {words} instead")
    setattr(sys.modules[module], name, value)
    return True


def _blank(name: str, make_class: Callable[[], Any]) -> tuple[Any, str]:
    """What does least in place of a name that is gone, and in words."""
    if name.isupper():
        return "", "an empty text"
    if name.startswith("is_") and name.endswith("_available"):
        return lambda *_: False, "it says no"
    return make_class(), "a stand-in"


def defining(name: str) -> list[str]:
    """Modules of transformers, models aside, that define `name` at their top."""
    import transformers

    root = Path(str(transformers.__file__)).parent
    files = [path for folder in _FOLDERS for path in sorted((root / folder).glob("*.py"))]
    return [_module(root, path) for path in files if _defines(path, name)]


def _module(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(("transformers", *parts)).removesuffix(".__init__")


def _defines(path: Path, name: str) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return name in text and any(name in _names(node) for node in ast.parse(text).body)


def _names(node: Any) -> list[str]:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]

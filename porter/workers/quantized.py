"""Whether the layers that a quantised checkpoint leaves alone are layers of the module, under the names that it has.

Runs only in a worker. vLLM renames these lists by the class's own mapper; an entry that then names nothing means that
a layer stored in plain weights is built as a quantised one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LISTS = ("ignore", "ignored_layers", "modules_to_not_convert", "exclude_modules", "exclude", "llm_int8_skip_modules")


def unmatched(folder: Path, model: Any) -> list[list[str]]:
    """[entry, the name that the mapper makes of it] for each entry that names no module."""
    stated = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("quantization_config")
    mapper = getattr(model, "hf_to_vllm_mapper", None)
    rename = getattr(mapper, "get_rename_mapper", lambda: mapper)()
    paths = [path for path, _ in model.named_modules()] + [part for path in _parts(model) for part in path]
    found = []
    for entry in _entries(stated):
        place = entry if rename is None or _is_pattern(entry) else (rename.apply_list([entry]) or [entry])[0]
        if not any(_names(place, path) for path in paths):
            found.append([entry, place])
    return found


def _entries(stated: Any) -> Iterator[str]:
    if isinstance(stated, dict):
        for name in LISTS:
            listed = stated.get(name)
            yield from (item for item in listed if isinstance(item, str)) if isinstance(listed, list) else ()


def _parts(model: Any) -> Iterator[list[str]]:
    """Fused layers by the names of their parts, which such lists use."""
    packed: dict[str, list[str]] = {}
    for _, module in model.named_modules():
        packed |= getattr(module, "packed_modules_mapping", None) or {}
    for path, _ in model.named_modules():
        stem, _, leaf = path.rpartition(".")
        if leaf in packed:
            yield [f"{stem}.{part}" for part in packed[leaf]]


def _is_pattern(entry: str) -> bool:
    return entry.startswith("re:") or "*" in entry


def _names(entry: str, path: str) -> bool:
    """As vLLM's methods read such lists: a path, a part of one between dots, `re:` and a pattern, or a `*` glob."""
    if entry.startswith("re:"):
        return re.match(entry[3:], path) is not None
    if "*" in entry:
        return re.fullmatch(".*".join(map(re.escape, entry.split("*"))), path) is not None
    return f".{entry}." in f".{path}."

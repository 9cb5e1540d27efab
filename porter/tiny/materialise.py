"""Write a tiny model as a folder that a worker can load: JSON, tokenizer, chat template; code only when trusted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from porter.errors import RepoError
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSONObject
from porter.tiny.code import local_code, relocated, without_code

TEMPLATES = ("chat_template.jinja", "chat_template.json")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt")


@dataclass(frozen=True, slots=True)
class TinyFiles:
    """JSON documents by file name; `real_tokenizer` says whether the repo's tokenizer files are to be copied."""

    json: Mapping[str, JSONObject]
    real_tokenizer: bool


def materialise(snapshot: Snapshot, tiny: TinyFiles, folder: Path, *, trust: bool) -> Path:
    """Write everything under `folder` (made when missing) and answer it. Weights are not written here."""
    folder.mkdir(parents=True, exist_ok=True)
    code = local_code(snapshot.python)
    for name, doc in tiny.json.items():
        placed = relocated(doc, code.modules) if trust else without_code(doc)
        _write(folder, name, json.dumps(placed, indent=2, ensure_ascii=False) + "\n")
    for name in TEMPLATES:
        if name in snapshot.text:
            _write(folder, name, snapshot.text[name])
    for path, text in code.files.items() if trust else ():
        _write(folder, path, text)
    if tiny.real_tokenizer:
        _copy_tokenizer(snapshot, folder)
    return folder


def _write(folder: Path, name: str, text: str) -> None:
    """Write below `folder` only: names come from the repo."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute():
        raise RepoError(f"the repo names a file outside itself: {name}", where=name)
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _copy_tokenizer(snapshot: Snapshot, folder: Path) -> None:
    for name in TOKENIZER_FILES:
        source = snapshot.binary.get(name)
        if source is not None:
            shutil.copyfile(source, folder / name)
        elif name in snapshot.text:
            _write(folder, name, snapshot.text[name])

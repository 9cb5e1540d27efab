"""What was read of a repo at one commit: text and tensor headers, never weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from porter.jsontypes import JSONObject

TensorSource = Literal["headers", "index", "none"]
IndexFaultKind = Literal["not_stored", "no_shard", "unlisted", "elsewhere"]


@dataclass(frozen=True, slots=True)
class RepoRef:
    """A repo at one commit. `id` is `ORG/NAME` or a folder name; `folder` is set for a local repo only."""

    id: str
    commit: str | None
    local: bool
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One checkpoint tensor. `shape` and `dtype` (safetensors' word: `BF16`) are None when only an index is known."""

    name: str
    file: str
    dtype: str | None = None
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class IndexFault:
    """Where index and headers disagree about a tensor: `listed` is the file in the index, `stored` the one that has it.

    not_stored: no header has it · no_shard: that file is gone · unlisted: the index lacks it · elsewhere: another file.
    """

    kind: IndexFaultKind
    name: str
    listed: str | None = None
    stored: str | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A tensor that stands in several files, in the order in which vLLM reads them: the last one wins."""

    name: str
    copies: tuple[TensorInfo, ...]


@dataclass(frozen=True, slots=True)
class TensorTable:
    """Every checkpoint tensor. `source` says how much is known: headers (shapes) > index (names) > none.

    `files` are the weight files that were read or named, in vLLM's order. `problems` are files that nobody could load,
    one line each. With headers, `tensors` has a row without a shape for each tensor that the index alone names.
    """

    source: TensorSource
    tensors: tuple[TensorInfo, ...] = ()
    bytes_fetched: int = 0
    bytes_total: int | None = None
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    index_faults: tuple[IndexFault, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    problems: tuple[str, ...] = ()

    def by_name(self) -> dict[str, TensorInfo]:
        return {tensor.name: tensor for tensor in self.tensors}

    def stored(self) -> tuple[TensorInfo, ...]:
        """Without those that the index names and no file holds."""
        ghosts = {fault.name for fault in self.index_faults if fault.stored is None}
        return tuple(tensor for tensor in self.tensors if tensor.name not in ghosts) if ghosts else self.tensors


@dataclass(frozen=True, slots=True)
class AutoMapEntry:
    """One `auto_map` target, wherever the map stands.

    `owner` is the JSON path of the map (`config.json`, `config.json:vision_config`, `tokenizer_config.json`); `file` is
    the path under which `Snapshot.python` holds the text: `module.py`, or `ORG/NAME--module.py` for another repo. It is
    empty for a value that can name no file of a repo: then `class_name` is what stands there. `reason` says why an
    entry was not found, `candidate` which file defines that class instead (it was not read in its place), `commit` at
    which commit another repo was read: loading takes the newest one.
    """

    owner: str
    key: str
    repo: str | None
    module: str
    class_name: str
    file: str
    found: bool
    reason: str = ""
    candidate: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One repo at one commit.

    `json` holds the parsed JSON files, `text` the raw text of every file read (JSON, templates, licence), `python` the
    remote code by path. `absent` are known file names that the repo does not have; `listing` all file names.
    """

    repo: RepoRef
    json: Mapping[str, JSONObject] = field(default_factory=dict)
    text: Mapping[str, str] = field(default_factory=dict)
    python: Mapping[str, str] = field(default_factory=dict)
    auto_map: tuple[AutoMapEntry, ...] = ()
    tensors: TensorTable = TensorTable("none")
    absent: frozenset[str] = frozenset()
    listing: tuple[str, ...] = ()
    license: str | None = None
    binary: Mapping[str, str] = field(default_factory=dict)
    """Tokenizer files that workers need (`tokenizer.json`, `*.model`, ...): name -> local path, fetched when asked."""
    missing_code: tuple[str, ...] = ()
    """What the remote code needs but could not be read: `file.py: from .x import y`, or `ORG/NAME: reason`."""

    def config(self) -> JSONObject:
        return self.json.get("config.json", {})

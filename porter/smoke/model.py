"""The folder that the engine loads: the tiny twin of a repo, or the repo at its full size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from porter.facts.reading import RepoReading
from porter.hub.snapshot import Snapshot
from porter.hub.weights import weights_on_disk
from porter.jsontypes import JSON
from porter.smoke.devices import WeightsName
from porter.tiny.materialise import TinyFiles, materialise
from porter.tiny.model import full_length, side_of, tiny_model, tokens_of
from porter.tiny.tokenizer import has_real_tokenizer

NOT_FOR_A_MODEL = (".index.json", "adapter_config.json")
NO_TOKENIZER = "the repo has no tokenizer, and at full size nothing stands in for it (--weights tiny)"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """`tile` in pixels; `max_model_len` in tokens. `blocked`: rungs that cannot run on this folder, and why."""

    folder: Path
    tile: int
    tokens_per_tile: int | None
    max_model_len: int
    notes: tuple[str, ...] = ()
    shrunk: tuple[tuple[str, JSON, JSON], ...] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)


def model_folder(reading: RepoReading, weights: WeightsName, folder: Path, *, trust: bool) -> ModelFolder:
    """Written to `folder`. The weights themselves are drawn later (tiny), by vLLM (dummy), or linked (real)."""
    return _tiny(reading, folder, trust) if weights == "tiny" else _full(reading, weights, folder, trust)


def _tiny(reading: RepoReading, folder: Path, trust: bool) -> ModelFolder:
    tiny = tiny_model(reading)
    materialise(reading.snapshot, tiny.files, folder, trust=trust)
    shrunk = tuple((change.path, change.old, change.new) for change in tiny.changes)
    return ModelFolder(folder, tiny.tile, tiny.tokens_per_tile, tiny.max_model_len, tiny.notes, shrunk)


def _full(reading: RepoReading, weights: WeightsName, folder: Path, trust: bool) -> ModelFolder:
    snapshot = reading.snapshot
    documents = {name: doc for name, doc in snapshot.json.items() if not name.endswith(NOT_FOR_A_MODEL)}
    real = has_real_tokenizer([*snapshot.binary, *snapshot.text], snapshot.json)
    materialise(snapshot, TinyFiles(documents, real), folder, trust=trust)
    blocked = {} if real else {"processor": NO_TOKENIZER, "load": NO_TOKENIZER}
    if weights == "real" and (why_not := _link_weights(snapshot, folder)):
        blocked["load"] = why_not
    return ModelFolder(folder, side_of(reading), tokens_of(reading), full_length(reading), blocked=blocked)


def _link_weights(snapshot: Snapshot, folder: Path) -> str:
    """The checkpoint's files into `folder`; why that cannot be, else ""."""
    found, missing = weights_on_disk(snapshot)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        there = f"{missing[0]}{more} is not on this machine"
        return f"porter downloads no weights, and {there}: hf download {snapshot.repo.id}"
    for file in found:
        (folder / file.name).symlink_to(file.resolve())
    return "" if found else "the repo names no weight files"

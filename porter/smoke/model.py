"""The folder that the engine loads: the tiny twin of a repo, or the repo at its full size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from porter.facts.reading import RepoReading
from porter.hub.weights import weights_on_disk
from porter.jsontypes import JSON
from porter.smoke.devices import WeightsName
from porter.tiny.materialise import TinyFiles, materialise
from porter.tiny.model import full_length, side_of, tiny_model, tokens_of
from porter.tiny.tokenizer import has_real_tokenizer

NOT_FOR_A_MODEL = (".index.json", "adapter_config.json")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """`tile` in pixels; `max_model_len` in tokens. `why_not`: what keeps an engine from being started on it."""

    folder: Path
    tile: int
    tokens_per_tile: int | None
    max_model_len: int
    notes: tuple[str, ...] = ()
    shrunk: tuple[tuple[str, JSON, JSON], ...] = ()
    why_not: str = ""


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
    real = has_real_tokenizer([*snapshot.binary, *snapshot.text])
    materialise(snapshot, TinyFiles(documents, real), folder, trust=trust)
    tile, tokens = side_of(reading), tokens_of(reading)
    why_not = "" if real else "the repo has no tokenizer: at full size nothing stands in for it (--weights tiny)"
    if weights == "real" and not why_not:
        found, missing = weights_on_disk(snapshot)
        why_not = _link(found, folder) if not missing else _missing(snapshot.repo.id, missing)
    return ModelFolder(folder, tile, tokens, full_length(reading), why_not=why_not)


def _link(files: Sequence[Path], folder: Path) -> str:
    for file in files:
        (folder / file.name).symlink_to(file.resolve())
    return "" if files else "the repo names no weight files"


def _missing(repo: str, names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"porter downloads no weights, and {names[0]}{more} is not on this machine: hf download {repo}"

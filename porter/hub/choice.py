"""Which of a repo's weight files vLLM loads by default: `DefaultModelLoader._prepare_weights` with load format `auto`.

The first kind of which the top folder has a file is loaded: `consolidated*.safetensors`, `*.safetensors`, `*.bin`,
`*.pt`. An index narrows safetensors to the files that it names; without one, every file of that kind is read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

HF_INDEX = "model.safetensors.index.json"
MISTRAL_INDEX = "consolidated.safetensors.index.json"
PICKLE_INDEX = "pytorch_model.bin.index.json"
SAFETENSORS = ".safetensors"
CONSOLIDATED = "consolidated*.safetensors"
PICKLES = (".bin", ".pt")
NEVER_LOADED = (".pth", ".ckpt", ".h5", ".msgpack", ".npz", ".onnx")
NOT_WEIGHTS = ("training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt", "scaler.pt")
ADAPTER = "adapter_model"
ADAPTER_CONFIG = "adapter_config.json"
GGUF = ".gguf"
MISTRAL_CONFIG = "params.json"
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """`files` in the order in which vLLM reads them, before the index narrows them; `index`, a file name, does.

    `pickled`: the files are pickles, whose tensors only an index can name.
    """

    files: tuple[str, ...] = ()
    index: str | None = None
    pickled: bool = False
    notes: tuple[str, ...] = ()


def choose(listing: Collection[str]) -> Choice:
    """From file names alone; the notes name what is there besides."""
    top = sorted((name for name in listing if "/" not in name and not name.startswith(".")), key=reading_order)
    if adapter_only(listing):
        adapters = [name for name in top if name.startswith(ADAPTER)]
        return Choice(notes=(*told("weight files of an adapter, not of a model", adapters), *unread(listing, top)))
    tensors = [name for name in top if name.endswith(SAFETENSORS)]
    index = index_among(top)
    if tensors or index == HF_INDEX:
        return safetensors_choice(listing, top, tensors)
    pickles = pickle_files(top)
    if not pickles:
        return Choice(index=index, notes=unread(listing, top))
    return Choice(tuple(pickles), index, pickled=True, notes=unread(listing, top))


def safetensors_choice(listing: Collection[str], top: Sequence[str], tensors: Sequence[str]) -> Choice:
    consolidated = [name for name in tensors if fnmatchcase(name, CONSOLIDATED)]
    others = [name for name in tensors if name not in consolidated]
    beside = (*told("pickled weights that vLLM leaves aside", pickle_files(top)), *unread(listing, top))
    if not consolidated:
        return Choice(tuple(others), HF_INDEX if HF_INDEX in top else None, notes=(*nested_notes(listing), *beside))
    if others and HF_INDEX in top and MISTRAL_CONFIG in top:
        told_so = f"vLLM's default here is Mistral's own format ({MISTRAL_CONFIG}, {consolidated[0]}); what goes with"
        note = f"{told_so} config.json is read here: --config-format hf --load-format safetensors"
        return Choice(tuple(others), HF_INDEX, notes=(note, *beside))
    aside = told("safetensors files that vLLM leaves aside for the consolidated ones", others)
    return Choice(tuple(consolidated), MISTRAL_INDEX if MISTRAL_INDEX in top else None, notes=(*aside, *beside))


def index_among(top: Iterable[str]) -> str | None:
    """The index that names tensors where no weight file decides: safetensors before pickles, the usual names first."""
    usual = {HF_INDEX: 0, MISTRAL_INDEX: 1, PICKLE_INDEX: 3}
    found = [name for name in top if name.endswith((".safetensors.index.json", ".bin.index.json"))]
    return min(found, key=lambda name: (usual.get(name, 2 if SAFETENSORS in name else 4), name), default=None)


def adapter_only(listing: Collection[str]) -> bool:
    """A LoRA or another adapter without the model that it belongs to."""
    weights = [name for name in listing if "/" not in name and name.endswith((SAFETENSORS, *PICKLES))]
    weights = [name for name in weights if not name.endswith(NOT_WEIGHTS)]
    indexed = index_among(name for name in listing if "/" not in name)
    adapters = bool(weights) and all(name.startswith(ADAPTER) for name in weights)
    return ADAPTER_CONFIG in listing and adapters and indexed is None


def pickle_files(top: Iterable[str]) -> list[str]:
    """vLLM takes `*.bin`, and `*.pt` only where there is none."""
    names = list(top)
    kinds = ([name for name in names if name.endswith(kind)] for kind in PICKLES)
    found: list[str] = next((kind for kind in kinds if kind), [])
    return [name for name in found if not name.endswith(NOT_WEIGHTS)]


def nested_notes(listing: Iterable[str]) -> tuple[str, ...]:
    """vLLM looks for the consolidated kind in every folder, but loads from the top folder only."""
    nested = [name for name in listing if "/" in name and fnmatchcase(name.rpartition("/")[2], CONSOLIDATED)]
    return told("consolidated files in folders, for which vLLM needs --load-format safetensors", nested)


def unread(listing: Iterable[str], top: Sequence[str]) -> tuple[str, ...]:
    """What vLLM does not load whatever else is there."""
    folders = [name for name in listing if "/" in name and name.endswith((SAFETENSORS, *PICKLES))]
    return (
        *told("GGUF files, not read", [name for name in top if name.endswith(GGUF)]),
        *told("weight files of other kinds, which vLLM does not load", [n for n in top if n.endswith(NEVER_LOADED)]),
        *told("weight files in folders, where vLLM does not look", sorted(folders)),
    )


def reading_order(name: str) -> list[str]:
    """vLLM's own: numbers in file names count as numbers."""
    return [piece.zfill(64) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", name)]


def told(what: str, names: Sequence[str]) -> tuple[str, ...]:
    """One note with the count and the first names, or none."""
    if not names:
        return ()
    more = ", ..." if len(names) > SHOWN else ""
    return (f"{len(names)} {what}: {', '.join(names[:SHOWN])}{more}",)

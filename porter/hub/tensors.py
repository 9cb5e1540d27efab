"""The tensor table of a repo: headers where there are weights in safetensors, else the names of an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from porter.errors import RepoError
from porter.hub.files import read_bytes
from porter.hub.headers import Header, read_header
from porter.hub.jsonfiles import MAX_BYTES, parse_object
from porter.hub.snapshot import TensorInfo, TensorTable
from porter.hub.source import Source

SAFETENSORS = ".safetensors"
INDEX_ENDINGS = (".safetensors.index.json", ".bin.index.json")
USUAL_INDEX = {"model.safetensors.index.json": 0, "pytorch_model.bin.index.json": 2}
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
ADAPTER = "adapter_model"
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Index:
    """`name -> file` as the index file `file` says; `total` bytes when it says so."""

    file: str
    files: dict[str, str]
    total: int | None


def read_tensors(source: Source) -> TensorTable:
    """Raises BadHeader, BadJson, RepoError, HubError."""
    top = [name for name in source.sizes if "/" not in name]
    index = read_index(source, top)
    wanted = shard_names(top, index)
    present = [name for name in wanted if name in source.sizes]
    if not present:
        return index_table(index, top)
    headers = read_headers(source, present)
    return header_table(headers, index, notes=(*format_notes(top), *absent_shards(wanted, present)))


def read_index(source: Source, top: Sequence[str]) -> Index | None:
    names = [name for name in top if name.endswith(INDEX_ENDINGS)]
    if not names:
        return None
    name = min(names, key=lambda name: (USUAL_INDEX.get(name, 1 if SAFETENSORS in name else 3), name))
    value = parse_object(read_bytes(source, name, MAX_BYTES), name)
    files = value.get("weight_map")
    if not isinstance(files, dict):
        raise RepoError(f"{name} has no weight_map object", where=name)
    metadata = value.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    named = {tensor: file for tensor, file in files.items() if isinstance(file, str)}
    return Index(name, named, int(total) if isinstance(total, (int, float)) and 0 <= total < 2**63 else None)


def shard_names(top: Iterable[str], index: Index | None) -> tuple[str, ...]:
    """The weight files of the model: what the index names, else `model.safetensors`, else all that there are."""
    if index is not None:
        named = sorted(set(index.files.values()))
        if any(name.endswith(SAFETENSORS) for name in named):
            return tuple(name for name in named if name.endswith(SAFETENSORS))
    files = sorted(name for name in top if name.endswith(SAFETENSORS))
    if "model.safetensors" in files:
        return ("model.safetensors",)
    whole = [name for name in files if not name.startswith(ADAPTER)]
    numbered = [name for name in whole if "-of-" in name]
    return tuple(numbered or whole or files)


def read_headers(source: Source, names: Sequence[str]) -> tuple[Header, ...]:
    """All shards, several at once where the source allows; the first failure ends the others."""
    if source.parallel == 1 or len(names) == 1:
        return tuple(read_header(source, name) for name in names)
    with ThreadPoolExecutor(min(source.parallel, len(names))) as pool:
        try:
            return tuple(pool.map(lambda name: read_header(source, name), names))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def header_table(headers: Sequence[Header], index: Index | None, notes: tuple[str, ...]) -> TensorTable:
    tensors = [tensor for header in headers for tensor in header.tensors]
    counts = Counter(tensor.name for tensor in tensors)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    return TensorTable(
        "headers",
        tuple(one_each(tensors, index)),
        bytes_fetched=sum(header.fetched for header in headers),
        bytes_total=sum(header.data_bytes for header in headers),
        notes=(*notes, *told("stored more than once", repeated), *index_notes(counts, index)),
    )


def one_each(tensors: Iterable[TensorInfo], index: Index | None) -> list[TensorInfo]:
    """One tensor per name: of several, the one in the file that the index names; names only in the index last."""
    files = index.files if index else {}
    chosen: dict[str, TensorInfo] = {}
    for tensor in tensors:
        if tensor.name not in chosen or files.get(tensor.name) == tensor.file:
            chosen[tensor.name] = tensor
    unseen = [TensorInfo(name, file) for name, file in files.items() if name not in chosen]
    return [*sorted(chosen.values(), key=lambda tensor: tensor.name), *sorted(unseen, key=lambda tensor: tensor.name)]


def index_notes(counts: Counter[str], index: Index | None) -> tuple[str, ...]:
    if index is None:
        return ()
    unheld = sorted(name for name in index.files if name not in counts)
    unlisted = sorted(name for name in counts if name not in index.files)
    return (
        *told(f"in {index.file} but in no file that was read", unheld),
        *told(f"in a file but not in {index.file}", unlisted),
    )


def index_table(index: Index | None, top: Sequence[str]) -> TensorTable:
    notes = format_notes(top)
    if index is None:
        return TensorTable("none", notes=notes)
    tensors = tuple(TensorInfo(name, file) for name, file in sorted(index.files.items()))
    return TensorTable("index", tensors, bytes_total=index.total, notes=(*notes, f"names only, from {index.file}"))


def format_notes(top: Iterable[str]) -> tuple[str, ...]:
    names = sorted(top)
    gguf = [name for name in names if name.endswith(".gguf")]
    pickles = [name for name in names if name.endswith(PICKLES)]
    return (
        *told("GGUF files, not read", gguf),
        *told("pickled weights, never opened", pickles),
    )


def absent_shards(wanted: Iterable[str], present: Sequence[str]) -> tuple[str, ...]:
    return told("weight files that the index names but the repo lacks", sorted(set(wanted) - set(present)))


def told(what: str, names: Sequence[str]) -> tuple[str, ...]:
    """One note with the count and the first names, or none."""
    if not names:
        return ()
    more = ", ..." if len(names) > SHOWN else ""
    return (f"{len(names)} {what}: {', '.join(names[:SHOWN])}{more}",)

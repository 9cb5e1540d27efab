"""The tensor table of a repo: the headers of the files that vLLM would load, else the names of an index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from porter.errors import BadHeader, MissingFile, RepoError
from porter.hub.choice import Choice, choose, told
from porter.hub.files import read_bytes
from porter.hub.headers import Header, read_header
from porter.hub.jsonfiles import MAX_BYTES, parse_object
from porter.hub.snapshot import Duplicate, IndexFault, TensorInfo, TensorTable
from porter.hub.source import Source


@dataclass(frozen=True, slots=True)
class Index:
    """`name -> file` as the index file `file` says; `total` bytes when it says so."""

    file: str
    files: dict[str, str]
    total: int | None


def read_tensors(source: Source) -> TensorTable:
    """A broken checkpoint is a table with `problems`. Raises HubError, or RepoError for what cannot be read at all."""
    choice = choose(source.sizes)
    try:
        index = read_index(source, choice.index)
    except MissingFile:
        raise
    except RepoError as error:
        return with_problems(safetensors_table(source, choice, None), (error.message,))
    return safetensors_table(source, choice, index)


def safetensors_table(source: Source, choice: Choice, index: Index | None) -> TensorTable:
    if choice.pickled or not choice.files:
        return index_table(index, choice)
    wanted = list(dict.fromkeys(index.files.values())) if index else list(choice.files)
    files = [name for name in choice.files if name in set(wanted)]
    aside = told("safetensors files that the index does not name, so vLLM leaves them aside", left(choice.files, files))
    absent = left(wanted, files)
    notes = (*choice.notes, *aside, *told("weight files that the index names but the repo lacks", absent))
    if index and not files:
        problem = f"{index.file} names {absent[0] if absent else 'no file'}, but the repo has {choice.files[0]}"
        return with_problems(index_table(index, replace(choice, notes=notes)), (problem,))
    read = read_headers(source, files)
    broken = tuple(error.message for error in read if isinstance(error, BadHeader))
    if broken:
        return with_problems(index_table(index, replace(choice, files=tuple(files), notes=notes)), broken)
    return header_table([header for header in read if isinstance(header, Header)], index, notes)


def left(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    known = set(taken)
    return [name for name in names if name not in known]


def with_problems(table: TensorTable, problems: tuple[str, ...]) -> TensorTable:
    return replace(table, problems=(*table.problems, *problems))


def read_index(source: Source, name: str | None) -> Index | None:
    """Raises RepoError (MissingFile, BadJson), HubError."""
    if name is None:
        return None
    value = parse_object(read_bytes(source, name, MAX_BYTES), name)
    files = value.get("weight_map")
    if not isinstance(files, dict):
        raise RepoError(f"{name} has no weight_map object", where=name)
    metadata = value.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    named = {tensor: file for tensor, file in files.items() if isinstance(file, str)}
    return Index(name, named, int(total) if isinstance(total, (int, float)) and 0 <= total < 2**63 else None)


def read_headers(source: Source, names: Sequence[str]) -> list[Header | BadHeader]:
    """All shards, several at once where the source allows. A broken header stops nothing, any other failure all."""

    def read(name: str) -> Header | BadHeader:
        try:
            return read_header(source, name)
        except BadHeader as error:
            return error

    if source.parallel == 1 or len(names) == 1:
        return [read(name) for name in names]
    with ThreadPoolExecutor(min(source.parallel, len(names))) as pool:
        try:
            return list(pool.map(read, names))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def header_table(headers: Sequence[Header], index: Index | None, notes: tuple[str, ...]) -> TensorTable:
    """`headers` in the order in which vLLM reads the files: of several tensors of one name the last one stays."""
    chosen: dict[str, TensorInfo] = {}
    copies: dict[str, list[TensorInfo]] = {}
    for header in headers:
        for tensor in header.tensors:
            if tensor.name in chosen:
                copies.setdefault(tensor.name, [chosen[tensor.name]]).append(tensor)
            chosen[tensor.name] = tensor
    files = tuple(header.file for header in headers)
    faults = tuple(index_faults(chosen, copies, index, frozenset(files)))
    ghosts = [TensorInfo(fault.name, fault.listed or "") for fault in faults if fault.stored is None]
    held = sum(header.data_bytes for header in headers)
    return TensorTable(
        "headers",
        (*sorted(chosen.values(), key=name_of), *sorted(ghosts, key=name_of)),
        bytes_fetched=sum(header.fetched for header in headers),
        bytes_total=max(held, index.total or 0) if index and ghosts else held,
        notes=(*notes, *told("stored more than once", sorted(copies)), *disagreements(faults, index)),
        files=files,
        index_faults=faults,
        duplicates=tuple(Duplicate(name, tuple(found)) for name, found in sorted(copies.items())),
    )


def name_of(tensor: TensorInfo) -> str:
    return tensor.name


def index_faults(
    chosen: dict[str, TensorInfo], copies: dict[str, list[TensorInfo]], index: Index | None, files: frozenset[str]
) -> Iterator[IndexFault]:
    """By name; what stands in several files is a duplicate, whatever the index says."""
    if index is None:
        return
    for name, listed in sorted(index.files.items()):
        tensor = chosen.get(name)
        if tensor is None:
            yield IndexFault("not_stored" if listed in files else "no_shard", name, listed)
        elif tensor.file != listed and name not in copies:
            yield IndexFault("elsewhere", name, listed, tensor.file)
    for name in sorted(chosen.keys() - index.files.keys()):
        yield IndexFault("unlisted", name, None, chosen[name].file)


def disagreements(faults: Sequence[IndexFault], index: Index | None) -> tuple[str, ...]:
    if index is None:
        return ()
    said = {
        "not_stored": f"in {index.file} but in no file",
        "unlisted": f"in a file but not in {index.file}",
        "elsewhere": f"in another file than {index.file} says",
    }
    return tuple(
        note
        for kind, what in said.items()
        for note in told(what, [fault.name for fault in faults if fault.kind == kind])
    )


def index_table(index: Index | None, choice: Choice) -> TensorTable:
    notes = (*choice.notes, *pickle_notes(index, choice))
    if index is None:
        return TensorTable("none", notes=notes, files=choice.files)
    tensors = tuple(TensorInfo(name, file) for name, file in sorted(index.files.items()))
    return TensorTable(
        "index", tensors, bytes_total=index.total, notes=(*notes, f"names only, from {index.file}"), files=choice.files
    )


def pickle_notes(index: Index | None, choice: Choice) -> tuple[str, ...]:
    """What cannot be known of weights that execute code when they are opened."""
    if not choice.pickled:
        return ()
    unknown = "shapes and dtypes are" if index else "names, shapes and dtypes are"
    return told(f"pickled weights, which porter never opens: {unknown} not known", choice.files)

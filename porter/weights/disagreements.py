"""What a checkpoint's index, its files and its headers disagree about, as findings."""

from __future__ import annotations

from collections.abc import Iterator

from porter.hub.snapshot import Duplicate, IndexFault, TensorTable
from porter.jsontypes import JSONObject
from porter.weights.report import Finding

_SAID = {
    "not_stored": "the index names {name} in {listed}, whose header lacks it",
    "no_shard": "the index names {name} in {listed}, which is not there",
    "unlisted": "stands in {stored}, not in the index: vLLM reads whole files and loads it, other tools may not",
    "elsewhere": "stands in {stored}, the index says {listed}: vLLM reads whole files and loads it all the same",
}


def ghosts(table: TensorTable) -> tuple[IndexFault, ...]:
    """Tensors that the index alone has."""
    return tuple(fault for fault in table.index_faults if fault.stored is None)


def reason(fault: IndexFault) -> str:
    return _SAID[fault.kind].format(name=fault.name, listed=fault.listed, stored=fault.stored)


def finding(fault: IndexFault, why: str = "") -> Finding:
    detail: JSONObject = {"kind": fault.kind, "listed": fault.listed, "stored": fault.stored}
    return Finding(fault.name, f"{reason(fault)}{f' ({why})' if why else ''}", detail)


def misplaced(table: TensorTable) -> Iterator[Finding]:
    """Tensors that vLLM loads although the index is wrong about them."""
    return (finding(fault) for fault in table.index_faults if fault.stored is not None)


def stored_twice(table: TensorTable) -> Iterator[Finding]:
    return (_twice(duplicate) for duplicate in table.duplicates)


def _twice(duplicate: Duplicate) -> Finding:
    files = [copy.file for copy in duplicate.copies]
    said = f"stands in {len(files)} files: {', '.join(files)}; the last one wins in vLLM"
    if len({copy.shape for copy in duplicate.copies}) > 1:
        shapes = ", ".join(str(list(copy.shape or ())) for copy in duplicate.copies)
        said = f"{said}; their shapes differ: {shapes}"
    return Finding(duplicate.name, said, {"files": list(files), "wins": files[-1]})


def absent_files(table: TensorTable) -> tuple[str, ...]:
    """One line per weight file that the index names in vain."""
    files = dict.fromkeys(fault.listed for fault in table.index_faults if fault.kind == "no_shard")
    return tuple(f"{file} is not there, though the index names it: vLLM refuses the whole checkpoint" for file in files)

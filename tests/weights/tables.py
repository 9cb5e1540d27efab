"""Tensors as the headers of their files would give them."""

from __future__ import annotations

from collections.abc import Iterable

from porter.hub.headers import Header
from porter.hub.snapshot import TensorInfo, TensorTable
from porter.hub.tensors import Index, header_table


def as_read(tensors: Iterable[TensorInfo], index: dict[str, str] | None = None) -> TensorTable:
    """`index`: tensor -> file, of an index beside the files."""
    by_file: dict[str, list[TensorInfo]] = {}
    for tensor in tensors:
        by_file.setdefault(tensor.file, []).append(tensor)
    headers = [Header(file, tuple(found), 0) for file, found in by_file.items()]
    return header_table(headers, Index("model.safetensors.index.json", index, None) if index else None, ())

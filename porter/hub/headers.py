"""Safetensors headers: the first 8 bytes say how long the header is, the header says every name, dtype and shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from porter.errors import BadHeader, BadJson, RepoError
from porter.hub.jsonfiles import parse_object
from porter.hub.snapshot import TensorInfo
from porter.hub.source import Source
from porter.jsontypes import JSON, JSONObject

LENGTH_BYTES = 8
MAX_HEADER = 100_000_000
BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}


@dataclass(frozen=True, slots=True)
class Header:
    """The tensors of one file; `data_bytes` is the size of their data, `fetched` what was read over the network."""

    file: str
    tensors: tuple[TensorInfo, ...]
    data_bytes: int
    fetched: int = 0


def read_header(source: Source, name: str) -> Header:
    """Two reads: the length, then exactly the header. Raises BadHeader, HubError."""
    kept = source.cached_header(name)
    if kept is not None:
        return parse_header(kept, name, source.sizes.get(name))
    length = header_length(source.read_range(name, 0, LENGTH_BYTES), name, source.sizes.get(name))
    data = source.read_range(name, LENGTH_BYTES, length)
    if len(data) < length:
        raise BadHeader(f"{name}: the file ends inside its header ({len(data)} of {length} bytes)", where=name)
    header = parse_header(data, name, source.sizes.get(name))
    source.keep_header(name, data)
    return Header(name, header.tensors, header.data_bytes, LENGTH_BYTES + length)


def header_length(first: bytes, name: str, size: int | None) -> int:
    if len(first) < LENGTH_BYTES:
        raise BadHeader(f"{name}: only {len(first)} bytes, too short for a safetensors file", where=name)
    length = int.from_bytes(first, "little")
    if length > MAX_HEADER:
        raise BadHeader(f"{name}: its header claims {length} bytes; the format allows {MAX_HEADER}", where=name)
    if size is not None and LENGTH_BYTES + length > size:
        raise BadHeader(f"{name}: its header claims {length} bytes, the file has {size}", where=name)
    return length


def parse_header(data: bytes, name: str, size: int | None) -> Header:
    """Checks what safetensors checks: dtypes, shapes, and that the tensors fill the file without overlap or gap."""
    try:
        entries = parse_object(data, name)
    except BadJson as error:
        raise BadHeader(f"{name}: its header is no JSON ({error.message.rpartition(': ')[2]})", where=name) from error
    except RepoError as error:
        raise BadHeader(error.message, where=name) from error
    spans = sorted(tensor_spans(entries, name), key=lambda span: span[:2])
    end = check_spans(spans, name)
    if size is not None and LENGTH_BYTES + len(data) + end != size:
        raise BadHeader(
            f"{name}: its header and tensors make {LENGTH_BYTES + len(data) + end} bytes, the file has {size}",
            where=name,
        )
    return Header(name, tuple(info for _, _, info in sorted(spans, key=lambda span: span[2].name)), end)


def tensor_spans(entries: JSONObject, name: str) -> Iterator[tuple[int, int, TensorInfo]]:
    for tensor, entry in entries.items():
        if tensor != "__metadata__":
            yield tensor_span(tensor, entry, name)


def tensor_span(tensor: str, entry: JSON, name: str) -> tuple[int, int, TensorInfo]:
    """(begin, end, tensor); raises BadHeader unless dtype, shape and offsets agree."""
    if not isinstance(entry, dict):
        raise BadHeader(f"{name}: tensor {tensor} is described by no object", where=name)
    dtype, shape = entry.get("dtype"), whole_numbers(entry.get("shape"))
    offsets = whole_numbers(entry.get("data_offsets"))
    if not isinstance(dtype, str) or dtype not in BITS:
        raise BadHeader(f"{name}: tensor {tensor} has the unknown dtype {dtype!r}", where=name)
    if shape is None or offsets is None or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise BadHeader(f"{name}: tensor {tensor} has no proper shape or offsets", where=name)
    if (offsets[1] - offsets[0]) * 8 != elements(shape) * BITS[dtype]:
        raise BadHeader(f"{name}: the size of tensor {tensor} does not fit its shape {list(shape)} {dtype}", where=name)
    return offsets[0], offsets[1], TensorInfo(tensor, name, dtype, shape)


def whole_numbers(value: JSON) -> tuple[int, ...] | None:
    """A list of non-negative integers, else None; true and false are no integers here."""
    if not isinstance(value, list):
        return None
    numbers = tuple(item for item in value if isinstance(item, int) and not isinstance(item, bool) and item >= 0)
    return numbers if len(numbers) == len(value) else None


def elements(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def check_spans(spans: list[tuple[int, int, TensorInfo]], name: str) -> int:
    """The end of the data, in bytes. Raises BadHeader when two tensors share bytes, or bytes belong to none."""
    end = 0
    for begin, stop, info in spans:
        if begin != end:
            fault = (
                "shares bytes with another tensor" if begin < end else f"leaves {begin - end} bytes before it unused"
            )
            raise BadHeader(f"{name}: tensor {info.name} {fault}", where=name)
        end = stop
    return end

"""Safetensors headers, good and broken."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.errors import BadHeader
from porter.hub.headers import BITS, MAX_HEADER, header_length, parse_header

shapes = st.lists(st.integers(0, 9), max_size=3).map(tuple)
names = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda name: name != "__metadata__")
whole_bytes = sorted(dtype for dtype, bits in BITS.items() if bits % 8 == 0)


def header(entries: object) -> bytes:
    return json.dumps(entries).encode()


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@given(st.dictionaries(names, st.tuples(st.sampled_from(whole_bytes), shapes)))
def test_every_tensor_comes_back(tensors: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        size = BITS[dtype] // 8
        for length in shape:
            size *= length
        entries[name] = entry(dtype, list(shape), [end, end + size])
        end += size
    found = parse_header(header(entries), "m.safetensors", None)
    assert {info.name: (info.dtype, info.shape) for info in found.tensors} == tensors
    assert found.data_bytes == end


@given(
    st.binary(max_size=100)
    | st.dictionaries(names, st.from_type(object) | st.integers()).map(lambda d: repr(d).encode())
)
def test_any_bytes_are_a_header_or_one_error(data: bytes) -> None:
    try:
        parse_header(data, "m.safetensors", None)
    except BadHeader as error:
        assert "\n" not in error.message


@pytest.mark.parametrize(
    "broken",
    [
        entry(dtype="F99"),
        entry(dtype=None),
        entry(dtype=["F32"]),
        entry(shape=[-2]),
        entry(shape=[2.0]),
        entry(shape=[True, 2]),
        entry(shape="2"),
        entry(shape=[3]),
        entry(shape=[10**30]),
        entry(offsets=[8, 0]),
        entry(offsets=[0]),
        entry(offsets=[-8, 0]),
        entry(offsets=None),
        "not an object",
        None,
    ],
)
def test_a_wrong_entry(broken: object) -> None:
    with pytest.raises(BadHeader, match="tensor w"):
        parse_header(header({"w": broken}), "m.safetensors", None)


def test_tensors_that_share_bytes() -> None:
    with pytest.raises(BadHeader, match="shares bytes"):
        parse_header(header({"a": entry(offsets=[0, 8]), "b": entry(offsets=[4, 12])}), "m.safetensors", None)


def test_data_beyond_the_end_of_the_file() -> None:
    data = header({"a": entry()})
    assert parse_header(data, "m.safetensors", 8 + len(data) + 8).data_bytes == 8
    with pytest.raises(BadHeader, match="the file has"):
        parse_header(data, "m.safetensors", 8 + len(data) + 7)


@pytest.mark.parametrize(
    ("first", "size"), [(b"", 0), (b"\x01" * 7, 7), (b"\xff" * 8, None), ((100).to_bytes(8, "little"), 50)]
)
def test_a_length_that_cannot_be(first: bytes, size: int | None) -> None:
    with pytest.raises(BadHeader):
        header_length(first, "m.safetensors", size)


def test_the_longest_header() -> None:
    assert header_length(MAX_HEADER.to_bytes(8, "little"), "m", None) == MAX_HEADER
    with pytest.raises(BadHeader):
        header_length((MAX_HEADER + 1).to_bytes(8, "little"), "m", None)

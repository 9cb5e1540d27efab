"""Safetensors headers, good and broken."""

from __future__ import annotations

import json
from pathlib import Path

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


def test_tensors_that_leave_a_gap() -> None:
    with pytest.raises(BadHeader, match="leaves 8 bytes before it unused"):
        parse_header(header({"a": entry(offsets=[0, 8]), "b": entry(offsets=[16, 24])}), "m.safetensors", None)


@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_file_that_is_shorter_or_longer_than_its_tensors(wrong: int) -> None:
    data = header({"a": entry()})
    assert parse_header(data, "m.safetensors", 8 + len(data) + 8).data_bytes == 8
    with pytest.raises(BadHeader, match="the file has"):
        parse_header(data, "m.safetensors", 8 + len(data) + 8 + wrong)


FILES: dict[str, tuple[object, int]] = {
    "sound": ({"a": entry()}, 8),
    "no tensor": ({}, 0),
    "an empty tensor": ({"a": entry(shape=(0,), offsets=(0, 0)), "b": entry()}, 8),
    "four bits": ({"a": entry("F4", (2,), (0, 1))}, 1),
    "an unknown key": ({"a": {**entry(), "more": 1}}, 8),
    "one byte too many": ({"a": entry()}, 9),
    "one byte too few": ({"a": entry()}, 7),
    "a gap": ({"a": entry(), "b": entry(offsets=(16, 24))}, 24),
    "a late start": ({"a": entry(offsets=(8, 16))}, 16),
    "the same bytes": ({"a": entry(), "b": entry()}, 8),
    "half the same bytes": ({"a": entry(), "b": entry(offsets=(4, 12))}, 12),
    "an unknown dtype": ({"a": entry("F99")}, 8),
    "another size": ({"a": entry(offsets=(0, 4))}, 4),
    "a negative size": ({"a": entry(shape=(-2,))}, 8),
    "a list": ([], 0),
}


@pytest.mark.parametrize("case", FILES)
def test_safetensors_itself_refuses_the_same(case: str, tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors")
    entries, size = FILES[case]
    data = header(entries)
    (tmp_path / "m").write_bytes(len(data).to_bytes(8, "little") + data + bytes(size))
    try:
        parse_header(data, "m", 8 + len(data) + size)
    except BadHeader:
        with pytest.raises(library.SafetensorError):
            library.safe_open(tmp_path / "m", "np")
    else:
        library.safe_open(tmp_path / "m", "np")


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

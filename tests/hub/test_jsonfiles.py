"""Whatever bytes come, JSON reading gives a value or one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.errors import BadJson, RepoError
from porter.hub.jsonfiles import MAX_DEPTH, parse, parse_object

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), children),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), values))
def test_an_object_comes_back_as_it_was(value: dict[str, object]) -> None:
    assert parse_object(json.dumps(value).encode(), "x.json") == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_one_line(data: bytes) -> None:
    try:
        parse(data, "x.json")
    except BadJson as error:
        assert "\n" not in error.message
        assert error.where is not None
        assert error.where.startswith("x.json:")


@given(values, st.data())
def test_a_cut_object_is_broken(value: object, data: st.DataObject) -> None:
    whole = json.dumps({"a": value}).encode()
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(BadJson):
        parse(whole[:cut], "x.json")


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 500, 200_000])
def test_depth_has_a_bound(depth: int) -> None:
    with pytest.raises(BadJson, match="nested"):
        parse(b"[" * depth + b"]" * depth, "x.json")


def test_depth_within_the_bound() -> None:
    depth = MAX_DEPTH - 1
    assert parse(b"[" * depth + b"]" * depth, "x.json")


def test_a_number_of_many_digits_is_refused() -> None:
    with pytest.raises(BadJson, match="integer"):
        parse(b'{"a": ' + b"9" * 10_000 + b"}", "x.json")


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(BadJson, match="surrogate"):
        parse(b'{"a": "\\ud800"}', "x.json")
    assert parse(b'{"a": "\\ud83d\\ude00"}', "x.json") == {"a": "\U0001f600"}


def test_the_last_of_two_equal_keys_counts() -> None:
    assert parse(b'{"a": 1, "a": 2}', "x.json") == {"a": 2}


def test_bytes_that_are_no_utf8_have_a_place() -> None:
    with pytest.raises(BadJson) as caught:
        parse(b'{\n "a": "\xff"}', "x.json")
    assert caught.value.where == "x.json:2:8"


@pytest.mark.parametrize(
    ("text", "kind"), [("null", "null"), ("true", "true or false"), ("3", "a number"), ('"x"', "a string")]
)
def test_only_objects_are_configs(text: str, kind: str) -> None:
    with pytest.raises(RepoError, match=kind):
        parse_object(text.encode(), "x.json")

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from porter.planning import layout

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.text())
def test_text_is_the_same_string_on_one_line(value: str) -> None:
    found = layout.text(value)
    assert ast.literal_eval(found) == value
    assert "\n" not in found


@given(json_values)
def test_literals_are_the_same_value(value: object) -> None:
    assert ast.literal_eval(layout.literal(value)) == value  # type: ignore[arg-type]


@given(
    st.lists(
        st.from_regex(r"x_[a-z]{1,28}=[1-9][0-9]{0,11}", fullmatch=True),
        max_size=8,
        unique_by=lambda item: item.partition("=")[0],
    ),
    st.integers(0, 12),
)
def test_calls_keep_their_arguments_at_any_width(items: list[str], indent: int) -> None:
    source = "if x:\n" + layout.call(4, "f", items) if indent else layout.call(0, "f", items)
    call = next(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    assert [f"{item.arg}={ast.unparse(item.value)}" for item in call.keywords] == items


def test_a_short_call_stays_on_one_line_and_a_long_one_ends_with_a_comma() -> None:
    assert layout.call(4, "f", ["a", "b"]) == "    f(a, b)"
    long = layout.call(0, "f", ["a" * 40, "b" * 40, "c" * 40])
    assert long.splitlines()[-2].endswith(",")
    middle = layout.call(0, "f" * 40, ["a" * 30, "b" * 30])
    assert len(middle.splitlines()) == 3


def test_imports_are_ordered_by_kind_and_module() -> None:
    found = layout.imports({"b": ["z", "CONST", "Class"], ".a": ["y"]}, ["torch"])
    assert found == "import torch\nfrom b import CONST, Class, z\nfrom .a import y"


def test_a_long_item_that_is_a_call_is_broken_as_ruff_does() -> None:
    wide = "nn.Linear(config.text_config.intermediate_size, llm_hidden_size, bias=False)"
    broken = layout.exploded(8, "return nn.Sequential", [wide, "nn.GELU()"])
    assert broken.splitlines()[1:4] == [
        "            nn.Linear(",
        "                config.text_config.intermediate_size, llm_hidden_size, bias=False",
        "            ),",
    ]

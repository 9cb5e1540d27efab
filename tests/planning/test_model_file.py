"""The text of a port's weight mapper."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from porter.planning.layout import WIDTH
from porter.planning.model_file import mapper
from porter.weights.mapper import NameRules

LONG = r"^(model\.layers\.\d+\.)attention\.projection\.query_key_value\.weight_and_some_more$"


def tables(rules: NameRules) -> dict[str, dict[Any, Any]]:
    """What the text means, with a stand-in that keeps its arguments."""
    text = mapper(rules)
    assert text is not None
    found: dict[str, Any] = {"re": re, "WeightsMapper": dict}
    exec(f"class Port:\n{text}", found)
    made: dict[str, dict[Any, Any]] = found["Port"].hf_to_vllm_mapper
    return made


def test_every_kind_of_rule_is_written_in_the_order_in_which_vllm_applies_them() -> None:
    rules = NameRules({".a.": ".b."}, {"m.": None}, {".gamma": ".weight"}, {r"^(a\.\d+)\.old$": r"\1.new"})
    made = tables(rules)
    assert list(made) == ["orig_to_new_regex", "orig_to_new_substr", "orig_to_new_prefix", "orig_to_new_suffix"]
    assert made["orig_to_new_regex"] == {re.compile(r"^(a\.\d+)\.old$"): r"\1.new"}
    assert made["orig_to_new_prefix"] == {"m.": None}


@pytest.mark.parametrize("old", ['a"b', "d'e", "tail\\", "line\n"])
def test_awkward_names_survive(old: str) -> None:
    assert tables(NameRules(prefix={old: old}))["orig_to_new_prefix"] == {old: old}
    pattern = re.escape(old)
    assert tables(NameRules(regex={pattern: None}))["orig_to_new_regex"] == {re.compile(pattern): None}


def test_a_long_pattern_has_a_line_of_its_own() -> None:
    text = mapper(NameRules(regex={LONG: r"\1qkv.weight"}))
    assert text is not None and ast.parse(f"class Port:\n{text}")
    assert max(len(line) for line in text.splitlines() if LONG not in line) <= WIDTH
    assert f'                r"{LONG}"' in text.splitlines()


def test_a_long_name_has_a_line_of_its_own() -> None:
    rules = NameRules(prefix={"vision_model.embeddings.cls_register_token": "vision_model.patch_generator.cls_token.t"})
    text = mapper(rules)
    assert text is not None and max(len(line) for line in text.splitlines()) <= WIDTH
    assert tables(rules)["orig_to_new_prefix"] == dict(rules.prefix)


def test_no_rules_are_no_mapper() -> None:
    assert mapper(NameRules()) is None

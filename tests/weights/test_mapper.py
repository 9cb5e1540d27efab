"""NameRules and its lowering; where vLLM is installed, its own class has the last word."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from collections import Counter

import pytest

from porter.errors import TreeError
from porter.weights.lower import FIELDS, lower
from porter.weights.mapper import NameRules

RULES = NameRules(
    substr={".blocks.": ".layers.", ".gone.": None, "dup": "x"},
    prefix={"model.": "language_model.model.", "language_model.model.vit.": "vision_model."},
    suffix={".gamma": ".weight", ".ids": None},
    regex={r"^(a\.\d+)\.old$": r"\1.new"},
)
NAMES = {
    "model.blocks.0.gamma": "language_model.model.layers.0.weight",
    "model.vit.w": "vision_model.w",
    "m.gone.w": None,
    "p.ids": None,
    "dupdup": "xdup",
    "a.3.old": "a.3.new",
    "untouched": "untouched",
}


def test_rules_apply_in_order_and_once() -> None:
    assert {name: RULES.apply(name) for name in NAMES} == NAMES


def test_many_at_once_agree_and_are_counted() -> None:
    trace = RULES.apply_all(list(NAMES))
    assert trace.results == tuple(NAMES.values())
    counts = Counter({use.old: use.count for use in trace.uses})
    assert counts["model."] == 2 and counts["language_model.model.vit."] == 1 and counts[".ids"] == 1


def test_lowered_text_is_an_expression_with_the_same_tables() -> None:
    call = ast.parse(lower(RULES, list(FIELDS.values())), mode="eval").body
    assert isinstance(call, ast.Call)
    prefix = next(keyword.value for keyword in call.keywords if keyword.arg == "orig_to_new_prefix")
    assert ast.literal_eval(prefix) == dict(RULES.prefix)


def test_awkward_names_survive_lowering() -> None:
    rules = NameRules(prefix={'a"b': "c\\", "d'e": "f\n"})
    call = ast.parse(lower(rules, list(FIELDS.values())), mode="eval").body
    assert isinstance(call, ast.Call)
    assert ast.literal_eval(call.keywords[0].value) == dict(rules.prefix)


def test_a_field_that_the_tree_lacks_is_named() -> None:
    with pytest.raises(TreeError, match="orig_to_new_regex"):
        lower(RULES, ["orig_to_new_prefix", "orig_to_new_substr", "orig_to_new_suffix"])


def test_extending_a_parent() -> None:
    text = lower(NameRules(prefix={"a.": None}), ["orig_to_new_prefix"], base="Base.hf_to_vllm_mapper")
    assert text.startswith("Base.hf_to_vllm_mapper | WeightsMapper(\n")
    assert lower(NameRules(), [], base="Base.hf_to_vllm_mapper") == "Base.hf_to_vllm_mapper"


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM")
def test_vllm_agrees() -> None:
    code = (
        "import json, re, sys\nfrom vllm.model_executor.models.utils import WeightsMapper\n"
        f"mapper = {lower(RULES, list(FIELDS.values()))}\n"
        f"got = {{n: (mapper.apply_list([n]) or [None])[0] for n in {list(NAMES)!r}}}\n"
        "print('RESULT' + json.dumps(got))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    assert json.loads(line.removeprefix("RESULT")) == NAMES

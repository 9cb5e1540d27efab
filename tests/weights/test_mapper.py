"""NameRules; where vLLM is installed, its own class has the last word on what a port writes of them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter

import pytest

from porter.planning.model_file import mapper
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


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM")
def test_vllm_agrees() -> None:
    code = (
        "import json, re, sys\nfrom vllm.model_executor.models.utils import WeightsMapper\n"
        f"class Port:\n{mapper(RULES)}\n"
        f"got = {{n: (Port.hf_to_vllm_mapper.apply_list([n]) or [None])[0] for n in {list(NAMES)!r}}}\n"
        "print('RESULT' + json.dumps(got))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    assert json.loads(line.removeprefix("RESULT")) == NAMES

"""The names that a port keeps of its parameters, and a checkpoint held against them without a vLLM."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.errors import TargetError
from porter.hub.snapshot import TensorTable
from porter.jsontypes import JSONObject
from porter.ports import Port
from porter.weights.infer import Target
from porter.weights.mapper import NameRules
from porter.weights.recorded import KEY, check_names, from_records, to_records
from tests.weights.fused import fused_targets
from tests.weights.layouts import LAYOUTS, tensors

RULES = NameRules(prefix={"model.vit.": "vision_model.", "train_head.": None})


def as_key(target: Target) -> tuple[str, bool, str]:
    return target.name, target.required, target.fills or target.name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_records_hold_every_name_in_few_lines(layout: str) -> None:
    targets = fused_targets(LAYOUTS[layout])
    records = to_records(targets)
    assert sorted(map(as_key, from_records(records))) == sorted(map(as_key, targets))
    assert len(records) < len(targets) / 2


WORD = st.sampled_from(["a", "b", "0", "1", "12", "layers", "norm", "weight"])
NAME = st.lists(WORD, min_size=1, max_size=5).map(".".join)


@given(st.lists(st.builds(Target, NAME, st.none(), st.booleans(), st.none() | NAME), unique_by=lambda t: t.name))
def test_any_names_come_back(targets: list[Target]) -> None:
    assert sorted(map(as_key, from_records(to_records(targets)))) == sorted(map(as_key, targets))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_anything_else_in_that_place_is_no_record(value: object) -> None:
    assert isinstance(from_records(value), tuple)  # type: ignore[arg-type]


def port_of(manifest: JSONObject) -> Port:
    return Port(Path("port"), "plugin", "port", manifest)


def recorded_port() -> Port:
    rules = RULES.to_json()
    return port_of({KEY: to_records(fused_targets(LAYOUTS["internvl_qwen2"])), "spec": {"rules": rules}})


def test_a_checkpoint_is_held_against_the_recorded_names() -> None:
    stored = {
        n.replace("vision_model.", "model.vit.") if n.startswith("vision_model.") else n: s
        for n, s in LAYOUTS["internvl_qwen2"].items()
    }
    whole = check_names(recorded_port(), TensorTable("index", tuple(tensors(stored, shapes=False))))
    assert whole.ok and whole.names_only and whole.totals.mapped == len(stored)
    stored["mlp1.9.bias"] = stored.pop("mlp1.3.bias")
    stored["train_head.weight"] = (3,)
    report = check_names(recorded_port(), TensorTable("index", tuple(tensors(stored, shapes=False))))
    assert [f.name for f in report.unmapped] == ["mlp1.9.bias"]
    assert [f.name for f in report.missing] == ["mlp1.3.bias"]
    assert [f.name for f in report.dropped] == ["train_head.weight"]


def test_a_port_without_recorded_names_says_what_to_do() -> None:
    with pytest.raises(TargetError, match="no recorded parameter names"):
        check_names(port_of({}), TensorTable("index"))

"""An index that does not agree with the headers, and tensors in two files: each in its list, with its files named."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from porter.errors import BadHeader, RepoError
from porter.hub.headers import Header, elements
from porter.hub.snapshot import RepoRef, Snapshot, TensorInfo, TensorTable
from porter.hub.tensors import Index, header_table
from porter.process import WorkerSettings
from porter.render.checks import in_units
from porter.weights.check import Against, check_weights
from porter.weights.join import Parameter, report_of
from porter.weights.report import LISTS, WeightsReport
from tests.weights.faults import CONFIG
from tests.weights.tables import as_read

ONE, TWO = "m-1.safetensors", "m-2.safetensors"
GATE_UP = ("mlp.gate_proj.weight", "mlp.up_proj.weight")
PARAMETERS = (
    Parameter("norm.weight", (4,), "bfloat16", "parameter", True, None, None, ()),
    Parameter("head.weight", (8, 4), "bfloat16", "parameter", True, "embed.weight", None, ()),
    Parameter("mlp.gate_up_proj.weight", (6, 4), "bfloat16", "parameter", True, None, None,
              ((GATE_UP[0], (3, 4)), (GATE_UP[1], (3, 4)))),
)  # fmt: skip
GOOD = (
    TensorInfo("model.norm.weight", ONE, "BF16", (4,)),
    TensorInfo("model.mlp.gate_proj.weight", ONE, "BF16", (3, 4)),
    TensorInfo("model.mlp.up_proj.weight", TWO, "BF16", (3, 4)),
)
INDEX = {tensor.name: tensor.file for tensor in GOOD}


def report(tensors: tuple[TensorInfo, ...], index: dict[str, str]) -> WeightsReport:
    """As if a worker's loader had taken every tensor below `model.` to its place."""
    table = as_read(tensors, index)
    places = {tensor.name: tensor.name.removeprefix("model.") for tensor in table.tensors}
    owners = {part: p.name for p in PARAMETERS for part in (p.name, *(name for name, _ in p.parts))}
    covered = dict.fromkeys((p.name for p in PARAMETERS), 0)
    rows: dict[str, Any] = {}
    for tensor in table.stored():
        owner, size = owners.get(places[tensor.name]), elements(tensor.shape or ())
        rows[tensor.name] = {"filled": {owner: size} if owner else {}, "error": None, "dropped": False,
                             "mapped": places[tensor.name]}  # fmt: skip
        if owner:
            covered[owner] += size
    coverage = {p.name: {"expected": elements(p.shape), "covered": covered[p.name], "clashes": []} for p in PARAMETERS}
    case = {"tensors": rows, "parameters": coverage, "errors": []}
    return report_of(PARAMETERS, case, table, destinations=places)


def lists(found: WeightsReport) -> dict[str, list[str]]:
    return {name: [finding.name for finding in found.findings(name)] for name in LISTS if found.findings(name)}


def without(name: str) -> tuple[TensorInfo, ...]:
    return tuple(tensor for tensor in GOOD if tensor.name != name)


def test_an_index_that_agrees() -> None:
    assert report(GOOD, INDEX).ok
    assert lists(report(GOOD, INDEX)) == {}


def test_the_index_names_what_no_header_has() -> None:
    found = report(without("model.norm.weight"), INDEX)
    assert lists(found) == {"missing": ["norm.weight"]}
    assert found.missing[0].reason == f"the index names model.norm.weight in {ONE}, whose header lacks it"
    assert not found.ok
    assert found.totals.tensors == 2


def test_half_of_a_fused_parameter_is_in_the_index_alone() -> None:
    found = report((*without("model.mlp.up_proj.weight"), TensorInfo("model.extra", TWO, "BF16", (1,))), INDEX)
    assert lists(found) == {
        "partial": ["mlp.gate_up_proj.weight"],
        "unmapped": ["model.extra"],
        "index": ["model.extra"],
    }
    assert f"the index names model.mlp.up_proj.weight in {TWO}, whose header lacks it" in found.partial[0].reason


def test_the_index_names_a_file_that_is_not_there() -> None:
    found = report(without("model.mlp.up_proj.weight"), INDEX)
    assert lists(found) == {"partial": ["mlp.gate_up_proj.weight"]}
    assert f"in {TWO}, which is not there" in found.partial[0].reason
    assert found.errors == (f"{TWO} is not there, though the index names it: vLLM refuses the whole checkpoint",)
    assert not found.ok


def test_what_the_index_alone_has_and_nobody_needs_is_no_fault() -> None:
    index = {**INDEX, "model.rotary_emb.inv_freq": ONE, "model.head.weight": ONE, "model.mlp.gate_up_proj.weight": ONE}
    found = report(GOOD, index)
    assert lists(found) == {
        "index": ["model.head.weight", "model.mlp.gate_up_proj.weight", "model.rotary_emb.inv_freq"]
    }
    assert found.ok


def test_what_the_index_alone_has_and_no_parameter_takes() -> None:
    found = report(GOOD, {**INDEX, "model.unheard.of": ONE})
    assert lists(found) == {"missing": ["model.unheard.of"]}
    assert not found.ok


def test_what_the_index_lacks_is_loaded_all_the_same() -> None:
    found = report(GOOD, {name: file for name, file in INDEX.items() if name != "model.norm.weight"})
    assert lists(found) == {"index": ["model.norm.weight"]}
    assert "vLLM reads whole files" in found.index[0].reason
    assert found.ok


def test_a_tensor_in_another_file_than_the_index_says() -> None:
    found = report(GOOD, {**INDEX, "model.norm.weight": TWO})
    assert lists(found) == {"index": ["model.norm.weight"]}
    assert found.index[0].reason.startswith(f"stands in {ONE}, the index says {TWO}")
    assert found.ok


@pytest.mark.parametrize("shape", [(4,), (5,)])
def test_a_tensor_in_two_files(shape: tuple[int, ...]) -> None:
    found = report((TensorInfo("model.norm.weight", "m-0.safetensors", "BF16", shape), *GOOD), INDEX)
    (twice,) = found.duplicate
    assert twice.name == "model.norm.weight"
    assert twice.detail == {"files": ["m-0.safetensors", ONE], "wins": ONE}
    assert ("their shapes differ" in twice.reason) is (shape == (5,))
    assert lists(found) == {"duplicate": ["model.norm.weight"]}
    assert not found.ok


def test_json_has_the_list_and_its_count() -> None:
    found = report(GOOD, {**INDEX, "model.norm.weight": TWO}).to_json()
    assert found["index"] == [
        {"name": "model.norm.weight", "reason": found["index"][0]["reason"],  # type: ignore[index, call-overload]
         "kind": "elsewhere", "listed": TWO, "stored": ONE}
    ]  # fmt: skip
    assert found["totals"]["index"] == 1  # type: ignore[index, call-overload]


def read_as(table: TensorTable, listing: tuple[str, ...] = (), **json_files: Any) -> Snapshot:
    names = {f"{name}.json": document for name, document in json_files.items()}
    return Snapshot(RepoRef("org/fixture", None, local=False), json=names, tensors=table, listing=listing)


def test_a_checkpoint_with_a_broken_file_is_not_joined(tmp_path: Path) -> None:
    table = TensorTable("index", GOOD, problems=("m-1.safetensors: torn", "m-2.safetensors: torn"))
    with pytest.raises(BadHeader, match=r"m-1\.safetensors: torn \(and 1 more\)"):
        check_weights(read_as(table), WorkerSettings(sys.executable, tmp_path, tmp_path / "log"), Against())


@pytest.mark.parametrize(
    ("snapshot", "hint"),
    [
        (read_as(TensorTable("none", notes=("1 GGUF files, not read: a.gguf",)), ("a.gguf",)), "safetensors"),
        (
            read_as(TensorTable("none", notes=("1 weight files of an adapter",)),
                    adapter_config={"base_model_name_or_path": "org/base"}), "--repo org/base",
        ),
        (read_as(TensorTable("none", files=("pytorch_model.bin",))), "save the model again"),
    ],
)  # fmt: skip
def test_weights_that_cannot_be_named_say_what_to_give_instead(tmp_path: Path, snapshot: Snapshot, hint: str) -> None:
    with pytest.raises(RepoError, match="cannot be named") as raised:
        check_weights(snapshot, WorkerSettings(sys.executable, tmp_path, tmp_path / "log"), Against())
    assert hint in str(raised.value.hint)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM")
def test_a_real_port_says_where_an_unseen_tensor_would_go(tmp_path: Path) -> None:
    """Nothing is stored but one tensor; what the index promises is told at the parameters that wait for it."""
    up, norm = "model.brain.model.layers.1.mlp.up_proj.weight", "model.brain.model.norm.weight"
    stored = as_read((TensorInfo("pixel_shift", ONE, "BF16", (3,)),)).tensors
    index = Index("model.safetensors.index.json", {"pixel_shift": ONE, up: ONE, norm: TWO}, None)
    table = header_table([Header(ONE, stored, 6)], index, ())
    snapshot = read_as(table, config=CONFIG)
    settings = WorkerSettings(sys.executable, tmp_path, tmp_path / "log")
    found = check_weights(snapshot, settings, Against((Path(__file__).parent, "fixture_port")))
    reasons = {finding.name: finding.reason for finding in found.missing}
    assert up in reasons["language_model.model.layers.1.mlp.gate_up_proj.weight"]
    assert reasons["language_model.model.norm.weight"] == f"the index names {norm} in {TWO}, which is not there"
    assert "no checkpoint tensor" in reasons["language_model.model.embed_tokens.weight"]


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (999_600, "1000 kB"), (14_092_253, "14.1 MB"), (2 * 10**12, "2 TB")],
)
def test_bytes_are_shown_in_units(count: int, shown: str) -> None:
    assert in_units(count) == shown

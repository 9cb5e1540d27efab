"""Faults planted in a checkpoint's headers, against a real port that loads them. One worker run serves most cases."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from porter.errors import RepoError
from porter.hub.snapshot import RepoRef, Snapshot, TensorInfo, TensorTable
from porter.process import WorkerSettings, run_worker
from porter.weights.check import Against, check_weights
from porter.weights.infer import infer_mapper, targets_of
from porter.weights.join import parameters_of, report_of
from porter.weights.report import FAULTS, summary
from tests.warm import warm
from tests.weights.faults import (
    CASES,
    CONFIG,
    EYE,
    FAULTS_OF_ONE,
    HEAD,
    INNER,
    LOUD,
    NAMES,
    TIED,
    VOCAB,
    WIDTH,
    Tensors,
    moved,
    without,
)
from tests.weights.joined import Joined, join
from tests.weights.tables import as_read

pytestmark = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM")


def snapshot(tensors: Tensors, config: dict[str, Any] = CONFIG, source: Any = "headers") -> Snapshot:
    table = TensorTable(source, tuple(tensors), bytes_fetched=100, bytes_total=1000)
    return Snapshot(RepoRef("org/fixture", None, local=False), json={"config.json": config}, tensors=table)


@pytest.fixture(scope="module", autouse=True)
def warmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """vLLM is imported once: every join is a fork of one process."""
    with warm(tmp_path_factory.mktemp("warm"), ("join", "parameters")):
        yield


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Joined:
    return join(tmp_path_factory.mktemp("weights"), CASES)


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_in_its_list_and_nowhere_else(joined: Joined, case: str) -> None:
    fault = CASES[case]
    report = joined.report(case, fault.change(joined.good))
    found = {name: sorted(f.name for f in report.findings(name)) for name in (*FAULTS, "dropped")}
    assert {name: names for name, names in found.items() if names} == {n: sorted(e) for n, e in fault.lists.items()}
    assert report.ok is not (set(fault.lists) & set(FAULTS) != set())
    assert report.errors == ()


def test_vllms_own_loading_is_silent_about_most(joined: Joined) -> None:
    """What the report shows beside its own findings, and why porter counts every element itself."""
    said = {case: joined.answers[case]["vllm_error"] for case in ("nothing", *FAULTS_OF_ONE)}
    assert {case for case, error in said.items() if error} == LOUD
    assert "mlp1.3.bias" in said["connector bias missing"]


def test_totals_count_elements(joined: Joined) -> None:
    case = "half of gate and up missing"
    report = joined.report(case, CASES[case].change(joined.good))
    assert report.totals.elements - report.totals.filled == INNER * WIDTH
    assert report.totals.mapped == report.totals.tensors == len(joined.good) - 1
    (partial,) = report.partial
    assert partial.detail["absent"] == ["language_model.model.layers.1.mlp.up_proj.weight"]


def test_a_parameter_that_the_class_shares_while_loading_is_not_missing(joined: Joined) -> None:
    config = {**CONFIG, "architectures": ["FixtureTyingVLModel"]}
    port = Against(plugin=(Path(__file__).parent, "fixture_port"))
    report = check_weights(snapshot(joined.good, config), replace(joined.settings, path=()), port)
    assert report.ok, report.to_json()
    assert "tokens.weight shares language_model.model.embed_tokens.weight once loaded" in report.notes


@pytest.mark.parametrize("stored", [True, False])
def test_a_tied_head_is_missed_by_nobody(joined: Joined, stored: bool) -> None:
    tensors = joined.good if stored else without(HEAD)(joined.good)
    settings = replace(joined.settings, path=())
    port = Against(plugin=(Path(__file__).parent, "fixture_port"))
    report = check_weights(snapshot(tensors, TIED), settings, port)
    assert report.ok, report.to_json()
    assert [finding.name for finding in report.dropped] == ([HEAD] if stored else [])


def test_vocabulary_padding_is_not_missing(joined: Joined) -> None:
    rows = {p.name: p for p in joined.parameters}["language_model.model.embed_tokens.weight"]
    assert rows.shape[0] > VOCAB and rows.stored_shape == (VOCAB, WIDTH)


def test_a_wrong_prefix_gets_a_mapper_that_explains_everything(joined: Joined) -> None:
    tensors = moved("model.eye.", "model.vit.")(joined.good)
    settings = replace(joined.settings, path=())
    report = check_weights(snapshot(tensors), settings, Against(plugin=(Path(__file__).parent, "fixture_port")))
    assert not report.ok
    assert {line.pattern for line in summary(report.unmapped)} >= {"model.vit.encoder.layers.{0..23}.*"}
    assert report.suggested_mapper is not None
    assert dict(report.suggested_mapper.prefix) == {
        theirs: ours for ours, theirs in NAMES.items() if ours != "vision_model."
    } | {"model.vit.": "vision_model."}
    document = report.to_json()
    assert document["bytes"] == {"fetched": 100, "checkpoint": 1000}
    json.dumps(document)


def test_vllms_own_class_with_a_config_class_made_from_the_json_and_names_only(joined: Joined) -> None:
    """No plugin, no trust: an architecture of the tree, a tied head, and an index without shapes."""
    text = {**CONFIG["text_config"], "tie_word_embeddings": True, "architectures": ["Qwen2ForCausalLM"]}
    tower = {
        **CONFIG["tower"],
        "qkv_bias": True,
        "qk_normalization": False,
        "norm_type": "layer_norm",
        "initializer_factor": 1.0,
    }
    config = {
        **{key: value for key, value in CONFIG.items() if key not in ("tower", "text_config")},
        "architectures": ["InternVLChatModel"],
        "model_type": "never_heard_of",
        "vision_config": tower,
        "llm_config": text,
        "select_layer": -1,
        "ps_version": "v2",
    }
    names = [t.name for t in targets_of(joined.parameters) if t.required and t.name != "pixel_shift"]
    tensors = [TensorInfo(name, "index", None, None) for name in names]
    report = check_weights(snapshot(tensors, config, "index"), replace(joined.settings, path=()), Against())
    assert report.ok, report.to_json()
    assert report.names_only
    assert [finding.reason for finding in report.dropped] == ["tied to language_model.model.embed_tokens.weight"]


def test_split_tower_attention_is_stacked_and_every_shard_counted(joined: Joined) -> None:
    """The tower stores q, k and v apart, its native class holds them in one: the mapper says which shard is which."""
    tensors = [part for tensor in joined.good for part in in_shards(tensor)]
    inferred = infer_mapper(tensors, targets_of(joined.parameters))
    assert inferred.rules.stacked == {f".attn.{part}_proj.": f".attn.qkv@{part}." for part in "qkv"}
    cases = [tensors, without(EYE + "attn.k_proj.bias")(tensors)]
    payload: dict[str, Any] = {"model": str(joined.settings.scratch / "model"), "dtype": "bfloat16"}
    payload |= {"trust_remote_code": False, "cases": [[[t.name, t.dtype, t.shape] for t in case] for case in cases]}
    with_shards = json.loads((joined.settings.scratch / "model" / "config.json").read_text(encoding="utf-8"))
    (joined.settings.scratch / "model" / "config.json").write_text(
        json.dumps({**with_shards, "architectures": ["FixtureSplitVLModel"]}), encoding="utf-8"
    )
    answer: Any = run_worker("join", payload, settings=joined.settings)
    whole, half = (
        report_of(parameters_of(answer), row, as_read(case)) for row, case in zip(answer["cases"], cases, strict=True)
    )
    assert whole.ok, whole.to_json()
    (partial,) = half.partial
    assert partial.detail["absent"] == ["vision_model.encoder.layers.1.attn.k_proj.bias"]


def test_layers_under_another_name_and_entries_that_name_nothing(joined: Joined, tmp_path: Path) -> None:
    attention = "model.brain.model.layers.0.self_attn."
    quantized = {
        "quant_method": "fp8",
        "activation_scheme": "dynamic",
        "ignored_layers": ["model.brain.lm_head", *(f"{attention}{part}_proj" for part in "qkv"), "model.nose.lid"],
    }
    config = {**CONFIG, "architectures": ["FixtureMisnamedVLModel"], "quantization_config": quantized}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    payload: dict[str, Any] = {"model": str(tmp_path), "dtype": "bfloat16", "tensors": []}
    answer: Any = run_worker("join", payload, settings=joined.settings)
    assert answer["prefixes"] == [["gate", "bridge.gate"]]
    assert answer["unmatched"] == [["model.nose.lid", "model.nose.lid"]]


def in_shards(tensor: TensorInfo) -> Tensors:
    if ".attn.qkv." not in tensor.name or tensor.shape is None:
        return [tensor]
    shape = (tensor.shape[0] // 3, *tensor.shape[1:])
    return [replace(tensor, name=tensor.name.replace("qkv", f"{part}_proj"), shape=shape) for part in "qkv"]


def test_a_repo_without_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RepoError, match="cannot be named"):
        check_weights(snapshot([]), WorkerSettings(sys.executable, tmp_path, tmp_path / "log"), Against())

"""The variants themselves: that they are whole repos, and that what is said of them is so."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from examples.byte_tokenizer import TokenizerSpec, write_tokenizer
from tests.variants import Variant, variants
from tests.variants.truth import REQUIRED
from tests.variants.weights import ROOT

EVERY = variants()
EXAMPLE = ROOT / "examples" / "skylark-vl"
by_name = pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch and transformers")


def classes_in(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)}


def auto_maps(value: Any) -> list[str]:
    """Every target of every auto_map, at any depth."""
    if not isinstance(value, dict):
        return []
    here = list(value.get("auto_map", {}).values())
    return here + [target for key, inner in value.items() if key != "auto_map" for target in auto_maps(inner)]


@by_name
def test_repo_is_whole(one: Variant, tmp_path: Path) -> None:
    folder = one.build(tmp_path / "repo")
    files = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    targets = [target for value in files.values() for target in auto_maps(value)]
    assert files["config.json"]["architectures"] == [one.truth["architecture"]]
    assert len(targets) >= 2
    for target in targets:
        module, name = target.split(".")
        assert name in classes_in(folder / f"{module}.py")


@by_name
def test_relative_imports_resolve(one: Variant, tmp_path: Path) -> None:
    folder = one.build(tmp_path / "repo")
    for path in folder.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        near = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
        for node in near:
            assert {alias.name for alias in node.names} <= classes_in(folder / f"{node.module}.py")


@by_name
def test_truth_is_complete_and_json(one: Variant) -> None:
    assert set(one.truth) == set(REQUIRED)
    assert json.loads(json.dumps(one.truth)) == one.truth


@by_name
def test_token_ids_are_the_tokenizers(one: Variant, tmp_path: Path) -> None:
    folder = one.build(tmp_path / "repo")
    added = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    ids = {token["content"]: token["id"] for token in added}
    assert ids[one.truth["image_context_token"]] == one.truth["image_context_token_id"]
    assert {one.truth["image_start_token"], one.truth["image_end_token"]} <= set(ids)


def test_same_bytes_twice(tmp_path: Path) -> None:
    first, second = EVERY[0].build(tmp_path / "a"), EVERY[0].build(tmp_path / "b")
    assert {p.name: p.read_bytes() for p in first.iterdir()} == {p.name: p.read_bytes() for p in second.iterdir()}


def test_names_and_seeds_are_unique() -> None:
    assert len({one.name for one in EVERY}) == len({one.seed for one in EVERY}) == len(EVERY)


def test_every_axis_is_covered() -> None:
    recipes = [one.recipe for one in EVERY]
    assert {r.tower.kind for r in recipes} == {"intern_vit", "siglip", "clip"}
    assert {r.llm.kind for r in recipes} == {"qwen2", "qwen3", "llama", "internlm2"}
    assert {(r.version, r.version_source) for r in recipes} >= {("v1", "config"), ("v1", "code"), ("v1", "default")}
    assert {(r.version, r.version_source) for r in recipes} >= {("v2", "config"), ("v2", "code"), ("v2", "default")}
    assert {r.select_layer for r in recipes} == {-1, -2}
    assert {(r.connector.norm, r.connector.linears) for r in recipes} >= {(True, 2), (False, 2), (False, 1)}
    assert {r.images.source for r in recipes} == {"processor_file", "auto_processor", "functions"}
    assert {r.images.resample for r in recipes} >= {"bicubic", "bilinear"}
    assert {r.llm.tied for r in recipes} == {r.images.normalize for r in recipes} == {True, False}
    assert {r.tokens.style for r in recipes} == {"defaults", "module", "class", "processor"}
    assert any(r.tokens.context == r.tokens.placeholder for r in recipes)
    assert any(r.omitted for r in recipes) and any(r.names.deep_group for r in recipes)


def test_example_tokenizer_is_the_generated_one(tmp_path: Path) -> None:
    ids = json.loads((EXAMPLE / "added_tokens.json").read_text(encoding="utf-8"))
    spec = TokenizerSpec(tuple(ids), eos="<|im_end|>", pad="<|endoftext|>", template_file=True)
    assert write_tokenizer(tmp_path, spec) == ids
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (EXAMPLE / path.name).read_bytes()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every variant built, given weights and run by its own code, in one child process."""
    scratch = tmp_path_factory.mktemp("variants")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(scratch / "hf"), "HF_MODULES_CACHE": str(scratch / "modules")}
    command = [sys.executable, "-m", "tests.variants.check", str(scratch / "repos"), "--build"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **offline}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {report["name"]: report for report in reports}


@pytest.mark.vllm
@needs_torch
@by_name
def test_own_code_runs_and_the_truth_holds(one: Variant, measured: dict[str, dict[str, Any]]) -> None:
    report = measured[one.name]
    assert report["finite"] and report["image_matters"] > 0.1
    assert (
        report["feature_rows"] == report["context_tokens"] == report["tiles"] * int(str(one.truth["tokens_per_tile"]))
    )
    assert report["pixel_diff"] is not None and report["pixel_diff"] < 2e-6
    assert report["feature_diff"] < 1e-5
    assert report["connector"] == report["connector_expected"]
    assert report["buffers"] == {b["name"]: b["shape"] for b in one.truth["buffers"]}  # type: ignore[attr-defined]
    assert report["buffer_names"] == sorted(report["buffers"])
    eps = [layer["eps"] for layer in one.truth["connector"]["layers"] if layer["op"] == "LayerNorm"]  # type: ignore[index]
    assert report["norm_eps"] == eps
    assert report["tiles"] > 1 or one.truth["resize_scheme"] == "single"

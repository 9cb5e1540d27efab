"""The generated tests run as written, and each fails on a planted fault."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from porter.families.verdict import decide
from porter.hub.snapshot import TensorInfo, TensorTable
from porter.planning.build import PortOptions, plan_port
from tests.families.repos import EXAMPLE, needs_vllm, read, tree

pytestmark = [needs_vllm, pytest.mark.vllm]
NAMES = (
    "model.norm_mean",
    "model.norm_std",
    "model.connector.0.weight",
    "model.connector.1.bias",
    "model.connector.3.weight",
    "model.vit.embeddings.class_embedding",
    "model.vit.encoder.layers.0.attn.qkv.weight",
    "model.vit.encoder.layers.1.attn.qkv.weight",
    "model.llm.model.embed_tokens.weight",
    "model.llm.model.layers.0.self_attn.q_proj.weight",
    "model.llm.model.layers.1.mlp.gate_proj.weight",
)
MODEL = "skylark_vl/modeling.py"
REGISTER = "skylark_vl/__init__.py"


def write_plugin(folder: Path) -> Path:
    """The example's plugin, as porter would write it for a checkpoint with these names."""
    from porter.weights.mapper import NameRules

    reading = read(EXAMPLE)
    table = TensorTable("index", tuple(TensorInfo(name, "model.safetensors") for name in NAMES))
    seen = replace(reading, snapshot=replace(reading.snapshot, tensors=table))
    prefixes = {
        "model.vit.": "vision_model.",
        "model.connector.": "mlp1.",
        "model.llm.": "language_model.",
        "model.": "",
    }
    verdict = decide(seen, tree())
    plan = plan_port(seen, verdict, tree(), folder, PortOptions("plugin"), NameRules(prefix=prefixes))
    for change in plan.changes:
        path = folder / change.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(change.new)
    return folder


def plant(folder: Path, file: str, right: str, wrong: str) -> None:
    text = (folder / file).read_text()
    assert right in text
    (folder / file).write_text(text.replace(right, wrong))


def outcome(folder: Path, tests: str = "tests") -> dict[str, str]:
    """Test name -> PASSED, FAILED or ERROR, from a run as PORT.md gives it."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "no:cacheprovider", tests],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^(PASSED|FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {name: status for status, name in found}


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return write_plugin(tmp_path / "plugin")


def test_generated_tests_pass_as_written(plugin: Path) -> None:
    assert outcome(plugin) == {
        "test_registers_in_a_process_of_its_own": "PASSED",
        "test_prompt_tokens": "PASSED",
        "test_generates_with_an_image": "PASSED",
        "test_checkpoint_names_have_a_place": "PASSED",
    }


def test_a_config_that_nobody_registered_is_seen(plugin: Path) -> None:
    plant(plugin, REGISTER, 'AutoConfig.register("skylark_vl"', 'AutoConfig.register("skylark_vi"')
    plant(
        plugin,
        REGISTER,
        "SkylarkVLConfig, exist_ok",
        "type('C', (SkylarkVLConfig,), {'model_type': 'skylark_vi'}), exist_ok",
    )
    assert outcome(plugin, "tests/test_registration.py")["test_registers_in_a_process_of_its_own"] == "FAILED"


def test_a_wrong_token_and_a_lost_rename_are_seen(plugin: Path) -> None:
    plant(plugin, MODEL, 'end_image_token="<|vision_close|>"', 'end_image_token="<|vision_open|>"')
    plant(plugin, MODEL, '            "model.llm.": "language_model.",\n', "")
    found = outcome(plugin)
    assert found["test_prompt_tokens"] == "FAILED"
    assert found["test_checkpoint_names_have_a_place"] == "FAILED"
    assert found["test_generates_with_an_image"] == "PASSED"


def test_features_of_a_wrong_number_stop_generation(plugin: Path) -> None:
    plant(plugin, MODEL, "super().extract_feature(pixel_values)", "super().extract_feature(pixel_values)[:, 1:]")
    assert outcome(plugin)["test_generates_with_an_image"] in ("FAILED", "ERROR")

"""The bundled example: its weights come from a seed, and it runs as its README says."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.variants.weights import ROOT

EXAMPLE = ROOT / "examples" / "skylark-vl"
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch and transformers"),
]


def run(scratch: Path, *command: str) -> str:
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(scratch / "hf"), "HF_MODULES_CACHE": str(scratch / "modules")}
    environment = {**os.environ, **offline}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def weighted_copy(scratch: Path, name: str, seed: int) -> Path:
    folder = scratch / name
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    run(scratch, "examples/make_weights.py", str(folder), "--seed", str(seed))
    return folder


def test_example_runs_and_its_weights_follow_the_seed(tmp_path: Path) -> None:
    first, again, other = (weighted_copy(tmp_path, name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    weights = [(folder / "model.safetensors").read_bytes() for folder in (first, again, other)]
    assert weights[0] == weights[1] != weights[2]
    report = json.loads(run(tmp_path, "-m", "tests.variants.example_run", str(first)).splitlines()[-1])
    assert report["tiles"] == [3] and report["features"] == [3, 4, 128]
    assert report["context"] == 12 and report["config_id"]
    assert report["finite"] and report["spread"] > 0.5 and report["answered"]

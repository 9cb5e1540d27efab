"""Whether an engine can be started at all: read from the machine, without an engine."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from porter.facts import RepoReading, infer
from porter.hub import snapshot_of
from porter.jsontypes import JSONObject
from porter.process import WorkerSettings
from porter.smoke import fitting as module
from porter.smoke.devices import EngineChoice
from porter.smoke.estimate import GIB
from porter.smoke.fitting import Fitting, fitting
from porter.smoke.model import ModelFolder, model_folder
from tests.hub.repos import sparse_file
from tests.smoke.climbing import EXAMPLE

GPU: JSONObject = {"kind": "cuda", "names": ["H200"], "free_bytes": [140 * GIB]}
MODEL = ModelFolder(Path("model"), 448, 256, 4096)


def reading_of(repo: Path) -> RepoReading:
    return infer(snapshot_of(str(repo), revision=None, offline=True))


def fitted(monkeypatch: pytest.MonkeyPatch, choice: EngineChoice, **machine: object) -> Fitting:
    monkeypatch.setattr(module, "run_worker", lambda job, payload, settings: dict(machine))
    settings = WorkerSettings(sys.executable, Path("scratch"), Path("log"))
    return fitting(reading_of(EXAMPLE), settings, choice, MODEL)


def test_the_plain_choice_starts_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_worker", lambda *_, **__: pytest.fail("a worker was started"))
    settings = WorkerSettings(sys.executable, Path("scratch"), Path("log"))
    assert fitting(reading_of(EXAMPLE), settings, EngineChoice(), MODEL).blocked == {}


def test_a_device_that_is_not_there_takes_the_engine_away_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fitted(monkeypatch, EngineChoice(device="cuda"), device={"kind": "cpu"}, vllm_build="cpu")
    assert found.blocked == {"load": "no CUDA device"}
    assert found.device == "cuda" and "--gpu-memory-utilization 0.5" in " ".join(found.command)


def test_too_few_gpus_take_away_the_rung_that_spreads(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fitted(monkeypatch, EngineChoice(tp=2), device=GPU, vllm_build="cuda")
    assert list(found.blocked) == ["tp"] and "needs 2 CUDA devices, there are 1" in found.blocked["tp"]
    full = fitted(monkeypatch, EngineChoice(tp=2, weights="dummy"), device=GPU, vllm_build="cuda")
    assert list(full.blocked) == ["load"]


def test_what_cannot_fit_is_said_with_what_would(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fitted(monkeypatch, EngineChoice(weights="dummy"), device={"kind": "cpu"}, ram_bytes=GIB)
    assert "needs about 1.5" in found.blocked["load"] and "--weights tiny" in found.blocked["load"]
    assert found.to_json()["estimate"]["fits"] is False  # type: ignore[index,call-overload]
    roomy = fitted(monkeypatch, EngineChoice(weights="dummy"), device={"kind": "cpu"}, ram_bytes=8 * GIB)
    assert roomy.blocked == {} and roomy.to_json()["estimate"]["fits"] is True  # type: ignore[index,call-overload]


def test_full_size_keeps_every_number_of_the_config(tmp_path: Path) -> None:
    reading = reading_of(EXAMPLE)
    model = model_folder(reading, "dummy", tmp_path / "full", trust=False)
    assert model.shrunk == () and model.blocked == {} and model.tile == 56
    written = (tmp_path / "full" / "config.json").read_text(encoding="utf-8")
    assert '"rms_norm_eps": 1e-06' in written and '"hidden_size": 128' in written


def test_real_weights_are_linked_from_where_they_are(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    shutil.copytree(EXAMPLE, repo)
    sparse_file(repo / "model.safetensors", [("weight", (2, 2))])
    model = model_folder(reading_of(repo), "real", tmp_path / "full", trust=False)
    assert model.blocked == {} and (tmp_path / "full" / "model.safetensors").samefile(repo / "model.safetensors")


def test_real_weights_that_are_not_here_are_not_fetched(tmp_path: Path) -> None:
    reading = reading_of(EXAMPLE)
    table = replace(reading.snapshot.tensors, files=("a-1.safetensors", "a-2.safetensors"))
    elsewhere = replace(reading, snapshot=replace(reading.snapshot, tensors=table))
    said = model_folder(elsewhere, "real", tmp_path, trust=False).blocked["load"]
    assert "a-1.safetensors and 1 more is not on this machine" in said and "hf download" in said

"""A checkpoint with a fault is no reason to refuse a port; one of which nobody knows what it holds is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from porter.facts import RepoReading, infer
from porter.families.shape import contradictions
from porter.hub import snapshot_of
from tests.hub.repos import sparse_file

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "skylark-vl"
NAMES = [f"model.llm.model.layers.{index}.mlp.up_proj.weight" for index in range(20)]


def reading(folder: Path, stored: list[str], index: list[str] | None, cut: int | None = None) -> RepoReading:
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    sparse_file(folder / "model.safetensors", [(name, (4, 4)) for name in stored])
    if index is not None:
        text = json.dumps({"weight_map": dict.fromkeys(index, "model.safetensors")})
        (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    if cut is not None:
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[:cut])
    return infer(snapshot_of(str(folder), offline=True))


@pytest.mark.parametrize("index", [NAMES, NAMES[1:], [*NAMES, "model.llm.ghost"], None])
def test_a_few_names_that_index_or_headers_lack(tmp_path: Path, index: list[str] | None) -> None:
    assert [*contradictions(reading(tmp_path / "repo", NAMES, index))] == []


def test_an_index_of_another_model(tmp_path: Path) -> None:
    other = [name.replace("model.llm.", "transformer.") for name in NAMES]
    found = [*contradictions(reading(tmp_path / "repo", NAMES, other))]
    assert {blocker.what for blocker in found} == {"contradiction"}


@pytest.mark.parametrize("cut", [4, 40, -1])
def test_a_broken_file_is_said_and_refuses_nothing(tmp_path: Path, cut: int) -> None:
    found = reading(tmp_path / "repo", NAMES, None, cut)
    assert [*contradictions(found)] == []
    assert found.facts["weights_layout"].note.startswith("model.safetensors: ")
    assert any(line.startswith("model.safetensors: ") for line in found.problems)

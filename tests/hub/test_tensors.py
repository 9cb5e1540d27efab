"""Which files count as the weights, and what is said when they and their index disagree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.errors import RepoError
from porter.hub import TensorTable
from porter.hub.local import LocalSource
from porter.hub.tensors import read_tensors
from tests.hub.repos import safetensors

ONE = {"a": ("F32", (2,))}
TWO = {"b": ("BF16", (3, 1))}


def table(folder: Path, files: dict[str, bytes | dict[str, str]]) -> TensorTable:
    for name, data in files.items():
        text = data if isinstance(data, bytes) else json.dumps({"weight_map": data}).encode()
        (folder / name).write_bytes(text)
    return read_tensors(LocalSource(folder))


def test_one_file(tmp_path: Path) -> None:
    found = table(tmp_path, {"model.safetensors": safetensors(ONE), "adapter_model.safetensors": safetensors(TWO)})
    assert [(item.name, item.file) for item in found.tensors] == [("a", "model.safetensors")]
    assert found.bytes_total == 8


def test_shards_without_an_index(tmp_path: Path) -> None:
    files = {"m-1-of-2.safetensors": safetensors(ONE), "m-2-of-2.safetensors": safetensors(TWO)}
    found = table(tmp_path, {**files, "consolidated.safetensors": safetensors({**ONE, **TWO})})
    assert [item.name for item in found.tensors] == ["a", "b"]
    assert found.notes == ()


def test_the_index_of_absent_shards_gives_names(tmp_path: Path) -> None:
    found = table(tmp_path, {"model.safetensors.index.json": {"a": "m-1.safetensors", "b": "m-2.safetensors"}})
    assert found.source == "index"
    assert [(item.name, item.shape) for item in found.tensors] == [("a", None), ("b", None)]


def test_the_index_of_pickles_gives_names_and_no_pickle_is_opened(tmp_path: Path) -> None:
    files = {"pytorch_model.bin.index.json": {"a": "x.bin"}, "x.bin": b"cos\nsystem\n(S'true'\ntR."}
    found = table(tmp_path, files)
    assert (found.source, [item.name for item in found.tensors]) == ("index", ["a"])
    assert any("never opened" in note for note in found.notes)


def test_safetensors_go_before_an_index_of_pickles(tmp_path: Path) -> None:
    files = {"pytorch_model.bin.index.json": {"a": "x.bin"}, "model.safetensors": safetensors(ONE)}
    assert table(tmp_path, files).source == "headers"


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    index = {"a": "m-1.safetensors", "b": "m-2.safetensors"}
    found = table(tmp_path, {"model.safetensors.index.json": index, "m-1.safetensors": safetensors(ONE)})
    assert found.by_name()["a"].shape == (2,)
    assert found.by_name()["b"].shape is None
    assert any("m-2.safetensors" in note for note in found.notes)


def test_what_index_and_files_disagree_about_is_noted(tmp_path: Path) -> None:
    index = {"a": "m-1.safetensors", "ghost": "m-2.safetensors"}
    files = {"m-1.safetensors": safetensors(ONE), "m-2.safetensors": safetensors({**TWO, **ONE})}
    found = table(tmp_path, {"model.safetensors.index.json": index, **files})
    assert found.by_name()["a"].file == "m-1.safetensors"
    assert [note.split(":")[0] for note in found.notes] == [
        "1 stored more than once",
        "1 in model.safetensors.index.json but in no file that was read",
        "1 in a file but not in model.safetensors.index.json",
    ]


def test_gguf_is_named_and_not_read(tmp_path: Path) -> None:
    found = table(tmp_path, {"model.gguf": b"GGUF"})
    assert found.source == "none"
    assert found.notes == ("1 GGUF files, not read: model.gguf",)


def test_an_index_without_a_map(tmp_path: Path) -> None:
    with pytest.raises(RepoError, match="weight_map"):
        table(tmp_path, {"model.safetensors.index.json": b"{}"})

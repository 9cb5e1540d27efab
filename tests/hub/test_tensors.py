"""The tensor table: headers of the files that vLLM would load, and what is said when they and their index disagree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.hub import TensorTable
from porter.hub.local import LocalSource
from porter.hub.tensors import read_tensors
from tests.hub.repos import safetensors, with_header

ONE = {"a": ("F32", (2,))}
TWO = {"b": ("BF16", (3, 1))}
INDEX = "model.safetensors.index.json"
PICKLE = b"cos\nsystem\n(S'true'\ntR."


def table(folder: Path, files: dict[str, bytes | dict[str, str]]) -> TensorTable:
    for name, data in files.items():
        text = data if isinstance(data, bytes) else json.dumps({"weight_map": data}).encode()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)
    return read_tensors(LocalSource(folder))


def names(found: TensorTable) -> list[str]:
    return [tensor.name for tensor in found.tensors]


def test_one_file(tmp_path: Path) -> None:
    found = table(tmp_path, {"model.safetensors": safetensors(ONE)})
    assert [(item.name, item.file, item.shape) for item in found.tensors] == [("a", "model.safetensors", (2,))]
    assert (found.bytes_total, found.notes, found.problems) == (8, (), ())


def test_the_index_of_absent_shards_gives_names(tmp_path: Path) -> None:
    found = table(tmp_path, {INDEX: {"a": "m-1.safetensors", "b": "m-2.safetensors"}})
    assert found.source == "index"
    assert [(item.name, item.shape) for item in found.tensors] == [("a", None), ("b", None)]
    assert found.problems == ()


def test_the_index_of_pickles_gives_names_and_no_pickle_is_opened(tmp_path: Path) -> None:
    found = table(tmp_path, {"pytorch_model.bin.index.json": {"a": "x.bin"}, "x.bin": PICKLE})
    assert (found.source, names(found)) == ("index", ["a"])
    assert found.notes[0] == "1 pickled weights, which porter never opens: shapes and dtypes are not known: x.bin"


def test_pickles_without_an_index_are_named_and_nothing_else_is_known(tmp_path: Path) -> None:
    found = table(tmp_path, {"pytorch_model.bin": PICKLE, "training_args.bin": PICKLE})
    assert (found.source, found.tensors, found.files) == ("none", (), ("pytorch_model.bin",))
    assert "names, shapes and dtypes are not known" in found.notes[0]


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    index = {"a": "m-1.safetensors", "b": "m-2.safetensors"}
    found = table(tmp_path, {INDEX: index, "m-1.safetensors": safetensors(ONE)})
    assert found.by_name()["a"].shape == (2,)
    assert found.by_name()["b"].shape is None
    assert [(fault.kind, fault.name, fault.listed) for fault in found.index_faults] == [
        ("no_shard", "b", "m-2.safetensors")
    ]
    assert [tensor.name for tensor in found.stored()] == ["a"]
    assert any("m-2.safetensors" in note for note in found.notes)


def test_every_kind_of_disagreement_is_data(tmp_path: Path) -> None:
    index = {"a": "m-1.safetensors", "ghost": "m-2.safetensors", "moved": "m-2.safetensors"}
    files = {
        "m-1.safetensors": safetensors({**ONE, "moved": ("F32", (1,))}),
        "m-2.safetensors": safetensors(TWO),
    }
    found = table(tmp_path, {INDEX: index, **files})
    assert [(fault.kind, fault.name, fault.listed, fault.stored) for fault in found.index_faults] == [
        ("not_stored", "ghost", "m-2.safetensors", None),
        ("elsewhere", "moved", "m-2.safetensors", "m-1.safetensors"),
        ("unlisted", "b", None, "m-2.safetensors"),
    ]
    assert names(found) == ["a", "b", "moved", "ghost"]


def test_of_a_tensor_in_two_files_the_last_in_vllms_order_stays(tmp_path: Path) -> None:
    """Not the one that the index names, and 10 comes after 9."""
    files = {
        "m-9.safetensors": safetensors({"a": ("F32", (2,))}),
        "m-10.safetensors": safetensors({"a": ("F32", (3,))}),
    }
    found = table(tmp_path, {INDEX: {"a": "m-9.safetensors", "b": "m-10.safetensors"}, **files})
    (twice,) = found.duplicates
    assert [(copy.file, copy.shape) for copy in twice.copies] == [
        ("m-9.safetensors", (2,)),
        ("m-10.safetensors", (3,)),
    ]
    assert found.by_name()["a"].file == "m-10.safetensors"
    assert [fault.name for fault in found.index_faults] == ["b"]


@pytest.mark.parametrize("broken", [b"\x00" * 4, with_header("no object"), b"\xff" * 8 + b"{}"])
def test_a_broken_shard_leaves_the_names_of_the_index(tmp_path: Path, broken: bytes) -> None:
    index = {"a": "m-1.safetensors", "b": "m-2.safetensors"}
    found = table(tmp_path, {INDEX: index, "m-1.safetensors": safetensors(ONE), "m-2.safetensors": broken})
    assert (found.source, names(found)) == ("index", ["a", "b"])
    (problem,) = found.problems
    assert problem.startswith("m-2.safetensors: ")
    assert "\n" not in problem


@pytest.mark.parametrize("index", [b"{}", b"[", b'{"weight_map": []}', b"\xff"])
def test_a_broken_index_is_a_problem_and_the_headers_are_read(tmp_path: Path, index: bytes) -> None:
    found = table(tmp_path, {INDEX: index, "model.safetensors": safetensors(ONE)})
    assert (found.source, names(found)) == ("headers", ["a"])
    (problem,) = found.problems
    assert problem.startswith(INDEX)


def test_an_index_that_names_none_of_the_files(tmp_path: Path) -> None:
    found = table(tmp_path, {INDEX: {"a": "gone.safetensors"}, "model.safetensors": safetensors(ONE)})
    (problem,) = found.problems
    assert "gone.safetensors" in problem
    assert "model.safetensors" in problem


def test_an_index_of_odd_values(tmp_path: Path) -> None:
    index = json.dumps({"weight_map": {"a": 3, "b": "model.safetensors", "c": None}, "metadata": []}).encode()
    found = table(tmp_path, {INDEX: index, "model.safetensors": safetensors(TWO)})
    assert names(found) == ["b"]
    assert found.problems == ()


def test_files_that_the_index_leaves_out_are_not_read(tmp_path: Path) -> None:
    files = {"model.safetensors": safetensors(ONE), "model.fp16.safetensors": b"never read"}
    found = table(tmp_path, {INDEX: {"a": "model.safetensors"}, **files})
    assert (names(found), found.files) == (["a"], ("model.safetensors",))
    assert any("model.fp16.safetensors" in note for note in found.notes)

"""Snapshots of local folders."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from porter.errors import BadJson, MissingFile, PorterError, RepoError, RepoNotFound, UsageError
from porter.hub import Snapshot, snapshot_of
from tests.hub.repos import safetensors, tiny_repo

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def read(folder: Path) -> Snapshot:
    return snapshot_of(str(folder), revision=None, offline=True)


def test_a_folder_reads_like_a_repo(tmp_path: Path) -> None:
    found = read(write(tmp_path / "tiny", tiny_repo()))
    assert found.repo.local
    assert (found.repo.id, found.repo.commit) == ("tiny", None)
    assert found.config()["model_type"] == "tiny_vl"
    assert sorted(found.python) == [
        "configuration_tiny.py",
        "modeling_tiny.py",
        "parts/__init__.py",
        "parts/tower.py",
        "shared.py",
    ]
    assert found.tensors.source == "headers"
    assert found.tensors.by_name()["vit.weight"].shape == (4, 2)
    assert found.license == "apache-2.0"
    assert Path(found.binary["tokenizer.json"]).read_text() == "{}"
    assert "generation_config.json" in found.absent


def test_a_folder_needs_neither_huggingface_hub_nor_the_network(tmp_path: Path) -> None:
    folder = write(tmp_path / "tiny", tiny_repo())
    code = (
        "import sys; from porter.hub import snapshot_of; "
        f"snapshot_of({str(folder)!r}, revision=None, offline=False); "
        "print(sorted({'huggingface_hub', 'torch', 'transformers', 'vllm', 'httpx'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"a": 1,\n "b": }', "config.json:2:7"),
        ("", "config.json:1:1"),
        ('{"a": [1, 2', "config.json:1:12"),
        ("\ufeff{}", "config.json:1:1"),
    ],
)
def test_broken_json_names_file_line_and_column(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(BadJson) as caught:
        read(write(tmp_path, {"config.json": text}))
    assert caught.value.where == place
    assert "config.json" in caught.value.message


def test_every_read_json_file_is_checked(tmp_path: Path) -> None:
    with pytest.raises(BadJson, match="generation_config"):
        read(write(tmp_path, {"config.json": "{}", "generation_config.json": "{"}))


def test_a_config_that_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(RepoError, match="a list, not an object"):
        read(write(tmp_path, {"config.json": "[1]"}))


def test_a_folder_without_config(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"config\.json"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["no such folder", "./gone", "a/b/c", "", "org/na--me", "\0", "x" * 5000])
def test_text_that_is_no_repo(text: str) -> None:
    with pytest.raises(RepoNotFound) as caught:
        snapshot_of(text, revision=None, offline=True)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "link", ["https://example.com/org/name", "https://huggingface.co/datasets/a/b", "https://hf.co"]
)
def test_links_that_are_no_model_page(link: str) -> None:
    with pytest.raises(UsageError):
        snapshot_of(link, revision=None, offline=True)


def test_a_folder_has_no_revisions(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--revision"):
        snapshot_of(str(write(tmp_path, {"config.json": "{}"})), revision="v1", offline=True)


@pytest.mark.parametrize(
    "module", ["../../secret", "../secret", "/etc/secret", "a/../../secret", "..secret", ".secret", "secret\\x"]
)
def test_hostile_module_names_are_never_read(tmp_path: Path, module: str) -> None:
    write(tmp_path, {"secret.py": "stolen = 1", "top/secret.py": "stolen = 2"})
    config = {"auto_map": {"AutoModel": f"{module}.Model"}}
    found = read(write(tmp_path / "top" / "repo", {"config.json": json.dumps(config)}))
    assert [entry.found for entry in found.auto_map] == [False]
    assert found.python == {}


def test_links_that_leave_the_folder_do_not_exist(tmp_path: Path) -> None:
    write(tmp_path, {"secret.py": "stolen = 1", "weights.safetensors": safetensors({"w": ("F32", (1,))})})
    config = {"auto_map": {"AutoModel": "model.Model", "AutoConfig": "inner.Config"}}
    repo = write(tmp_path / "repo", {"config.json": json.dumps(config), "real.py": "kept = 1"})
    (repo / "model.py").symlink_to(tmp_path / "secret.py")
    (repo / "model.safetensors").symlink_to(tmp_path / "weights.safetensors")
    (repo / "inner.py").symlink_to("real.py")
    (repo / "loop").symlink_to(repo)
    found = read(repo)
    assert {entry.file: entry.found for entry in found.auto_map} == {"model.py": False, "inner.py": True}
    assert found.python == {"inner.py": "kept = 1"}
    assert found.tensors.source == "none"


def test_a_relative_import_that_leaves_the_repo_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"secret.py": "stolen = 1"})
    config = {"auto_map": {"AutoModel": "model.Model"}}
    code = "from ..secret import stolen\nfrom .gone import a, b\nfrom . import also_gone\n"
    found = read(write(tmp_path / "repo", {"config.json": json.dumps(config), "model.py": code}))
    assert sorted(found.python) == ["model.py"]
    assert found.missing_code == ("model.py: from ..secret import stolen", "model.py: from .gone import a, b")


def test_a_folder_of_the_hub_cache_is_a_repo_at_a_commit(tmp_path: Path) -> None:
    cache = tmp_path / "models--org--tiny"
    commit = "0123456789abcdef0123456789abcdef01234567"
    write(cache / "blobs", {"aa": json.dumps({"model_type": "x"})})
    folder = cache / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / "config.json").symlink_to("../../blobs/aa")
    found = read(folder)
    assert found.repo.commit == commit
    assert found.config() == {"model_type": "x"}


def test_auto_maps_of_sub_configs_and_lists(tmp_path: Path) -> None:
    config = {"vision_config": {"auto_map": {"AutoConfig": "vit.VitConfig"}}, "auto_map": "not a map"}
    tokenizer = {"auto_map": {"AutoTokenizer": ["tok.Slow", None], "Other": 3}}
    files = {"config.json": json.dumps(config), "tokenizer_config.json": json.dumps(tokenizer), "tok.py": "import vit"}
    found = read(write(tmp_path, {**files, "vit.py": "import os"}))
    assert [(entry.owner, entry.key, entry.file, entry.class_name, entry.found) for entry in found.auto_map] == [
        ("config.json:vision_config", "AutoConfig", "vit.py", "VitConfig", True),
        ("tokenizer_config.json", "AutoTokenizer", "tok.py", "Slow", True),
        ("tokenizer_config.json", "Other", "", "3", False),
    ]


def test_a_local_copy_is_read_where_it_names_its_own_origin(tmp_path: Path) -> None:
    config = {"auto_map": {"AutoModel": "org/origin--model.Model"}}
    found = read(write(tmp_path, {"config.json": json.dumps(config), "model.py": "x = 1"}))
    (entry,) = found.auto_map
    assert (entry.repo, entry.file, entry.found) == ("org/origin", "model.py", True)


def test_configs_of_parts_in_folders(tmp_path: Path) -> None:
    files = {"config.json": "{}", "google/siglip/config.json": '{"model_type": "siglip"}', ".cache/config.json": "{"}
    assert sorted(read(write(tmp_path, files)).json) == ["config.json", "google/siglip/config.json"]


def test_chat_templates_are_text(tmp_path: Path) -> None:
    files = {"config.json": "{}", "chat_template.jinja": "{{ x }}", "chat_template.json": '{"chat_template": "y"}'}
    found = read(write(tmp_path, files))
    assert found.text["chat_template.jinja"] == "{{ x }}"
    assert found.json["chat_template.json"] == {"chat_template": "y"}


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"README.md": "---\nlicense: 'mit'  # yes\n---\n"}, "mit"),
        ({"README.md": "---\nlicense: other\nlicense_name: own-terms\n---\n"}, "own-terms"),
        ({"README.md": "---\nlicense:\n- apache-2.0\n- mit\n---\n"}, "apache-2.0"),
        ({"README.md": "license: mit\n", "LICENSE": "\n   MIT License\n\nCopyright"}, "MIT License"),
        ({"LICENSE.txt": ""}, None),
        ({}, None),
    ],
)
def test_licence(tmp_path: Path, files: dict[str, str], licence: str | None) -> None:
    assert read(write(tmp_path, {"config.json": "{}", **files})).license == licence


def test_a_truncated_weight_file_is_one_problem_and_the_rest_is_read(tmp_path: Path) -> None:
    data = safetensors({"w": ("F32", (64, 64))})
    for size in (0, 5, 8, 20, len(data) - 1):
        found = read(write(tmp_path, {"config.json": "{}", "model.safetensors": data[:size]}))
        (problem,) = found.tensors.problems
        assert problem.startswith("model.safetensors: ")
        assert (found.tensors.source, found.tensors.tensors) == ("none", ())


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({"adapter_config.json": '{"base_model_name_or_path": "org/base"}'}, "org/base"),
        ({"adapter_config.json": '{"base_model_name_or_path": ["x"]}'}, "config.json"),
        ({"adapter_config.json": "{"}, "config.json"),
        ({"model-q4.gguf": "GGUF"}, "GGUF files were made from"),
        ({"README.md": ""}, "config.json"),
    ],
)
def test_without_a_config_something_else_is_proposed(tmp_path: Path, files: dict[str, str], hint: str) -> None:
    with pytest.raises(MissingFile) as raised:
        read(write(tmp_path, files))
    assert hint in str(raised.value.hint)


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples").glob("*/config.json")), ids=lambda path: path.parent.name
)
def test_the_bundled_examples_read_whole(example: Path) -> None:
    found = read(example.parent)
    assert found.auto_map
    assert all(entry.found for entry in found.auto_map)
    assert found.missing_code == ()


@pytest.mark.skipif(
    not (ROOT.parent / "shared" / "hf_repos").is_dir(), reason="the real repos are not beside the checkout"
)
def test_real_repos_never_crash() -> None:
    for folder in sorted((ROOT.parent / "shared" / "hf_repos").iterdir()):
        try:
            found = read(folder)
        except PorterError as error:
            pytest.fail(f"{folder.name}: {error.message}")
        assert found.config()["architectures"]

"""Which vLLM is read, and what is said when there is none."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from porter.errors import TreeError
from porter.vllm_tree import locate
from tests.trees import write_tree


def test_a_source_tree(tmp_path: Path) -> None:
    tree = locate(tree=write_tree(tmp_path))
    assert (tree.version, tree.commit, tree.layout) == ("1.2.3", "abc123", "source")
    assert tree.root == tmp_path.resolve() and tree.package == tmp_path.resolve() / "vllm"


def test_vllm_takes_a_root_or_a_package(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "site-packages")
    assert locate(vllm=root) == locate(vllm=root / "vllm")
    assert locate(vllm=root).layout == "installed" and locate(vllm=root).root is None


def test_tree_never_means_an_installation(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match="installed package"):
        locate(tree=write_tree(tmp_path / "site-packages"))


@pytest.mark.parametrize("name", ["", "missing", "file"])
@pytest.mark.parametrize("option", ["tree", "vllm"])
def test_what_is_no_vllm_is_one_line(tmp_path: Path, name: str, option: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TreeError) as caught:
        locate(**{option: tmp_path / name})
    assert "\n" not in caught.value.message and f"--{option}" in caught.value.message


def test_a_package_without_its_project_is_no_source_tree(tmp_path: Path) -> None:
    root = write_tree(tmp_path, {"pyproject.toml": None, "tests/models/registry.py": None})
    with pytest.raises(TreeError, match="neither"):
        locate(tree=root)


def test_the_interpreters_own_vllm_is_found_without_importing_it() -> None:
    spec = find_spec("vllm")
    code = "import sys; from porter.vllm_tree import locate; print(locate().package, 'vllm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if spec is None or spec.origin is None:
        assert "--tree" in done.stderr and "--vllm" in done.stderr and "--python" in done.stderr
    else:
        assert done.stdout.split() == [str(Path(spec.origin).parent), "False"]


def test_another_interpreter_is_asked_in_a_child(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    package = write_tree(tmp_path / "site-packages") / "vllm"
    fake.write_text(f'#!/bin/sh\nPYTHONPATH={package.parent} exec {sys.executable} "$@"\n')
    fake.chmod(0o755)
    assert locate(python=str(fake)).package == package


@pytest.mark.parametrize("body", ["exit 3", "echo oops >&2; exit 1", "true"])
def test_a_broken_interpreter_is_one_line(tmp_path: Path, body: str) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{body}\n")
    fake.chmod(0o755)
    with pytest.raises(TreeError) as caught:
        locate(python=str(fake))
    assert "\n" not in caught.value.message and "--python" in caught.value.message


def test_the_folder_of_the_caller_is_no_place_to_look(tmp_path: Path) -> None:
    write_tree(tmp_path)
    code = "import sys; sys.path.insert(0, ''); from porter.vllm_tree import locate; print(locate().package)"
    env = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert str(tmp_path) not in done.stdout


@pytest.mark.parametrize(
    ("files", "version"),
    [
        (
            {"vllm/_version.py": None, "PKG-INFO": "Metadata-Version: 2.4\nName: vllm\nVersion: 4.5.6\n\nText\n"},
            "4.5.6",
        ),
        ({"vllm/_version.py": None, ".git_archival.txt": "node: x\ndescribe-name: v7.8.9-2-gabc\n"}, "7.8.9-2-gabc"),
        ({"vllm/_version.py": None, ".git_archival.txt": "describe-name: $Format:%(describe)$\n"}, "unknown"),
        ({"vllm/_version.py": "def f(:\n"}, "unknown"),
    ],
)
def test_the_version_is_read_from_files(tmp_path: Path, files: dict[str, str | None], version: str) -> None:
    assert locate(tree=write_tree(tmp_path, files)).version == version


def test_the_version_and_commit_of_a_checkout(tmp_path: Path) -> None:
    root = write_tree(tmp_path, {"vllm/_version.py": None})
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v0.50.0"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    tree = locate(tree=root)
    assert (tree.version, tree.commit) == ("0.50.0", head)

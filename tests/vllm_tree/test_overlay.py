"""Overlays: whose file is linked, what stops one, and a real unbuilt tree that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from porter.errors import TreeError
from porter.planning.sites import EXAMPLES, SiteEntry, tree_edits
from porter.vllm_tree import locate
from porter.vllm_tree.docs import DOCS
from porter.vllm_tree.overlay import make_overlay, obstacle
from tests.trees import FILES, write_tree

PLATFORM = "platforms/__init__.py"
MODEL = "model_executor/models/new.py"


def pair(tmp_path: Path, version: str = "1.2.3+cpu") -> tuple[Path, Path]:
    changed = {
        "vllm/_version.py": f"__version__ = '{version}'\n",
        f"vllm/{PLATFORM}": "patched\n",
        "vllm/_C.abi3.so": "compiled",
        "vllm/model_executor/models/utils.py": "old\n",
    }
    installed = write_tree(tmp_path / "site-packages", changed) / "vllm"
    return write_tree(tmp_path / "tree", {f"vllm/{PLATFORM}": "plain\n", f"vllm/{MODEL}": "new = 1\n"}), installed


def test_whose_file_is_linked(tmp_path: Path) -> None:
    root, installed = pair(tmp_path)
    overlay = make_overlay(locate(tree=root), locate(vllm=installed), tmp_path / "scratch")
    package = overlay.path / "vllm"
    assert (package / PLATFORM).read_text() == "patched\n"
    assert (package / "_C.abi3.so").resolve() == installed / "_C.abi3.so"
    assert (package / MODEL).resolve() == root / "vllm" / MODEL
    assert (package / "model_executor/models/utils.py").resolve().is_relative_to(root)
    assert overlay.adapted == ("_version.py", PLATFORM)


def test_a_ported_file_is_always_the_trees(tmp_path: Path) -> None:
    root, installed = pair(tmp_path)
    overlay = make_overlay(locate(tree=root), locate(vllm=installed), tmp_path / "scratch", ported=[PLATFORM])
    assert (overlay.path / "vllm" / PLATFORM).read_text() == "plain\n"


def test_what_stops_an_overlay(tmp_path: Path) -> None:
    root, installed = pair(tmp_path, "1.2.4")
    tree = locate(tree=root)
    assert obstacle(tree, locate(vllm=installed)) == obstacle(tree, None) == "needs vLLM 1.2.3"
    with pytest.raises(TreeError, match="needs vLLM"):
        make_overlay(tree, None, tmp_path / "scratch")
    assert not (tmp_path / "scratch").exists()
    (root / "vllm/_version.py").unlink()
    assert "not known" in (obstacle(locate(tree=root), locate(vllm=installed)) or "")


def test_a_built_tree_needs_no_installation(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "tree", {"vllm/_C.abi3.so": "compiled"})
    overlay = make_overlay(locate(tree=root), None, tmp_path / "scratch")
    assert (overlay.path / "vllm/_C.abi3.so").resolve() == root / "vllm/_C.abi3.so"


def test_making_it_again_follows_the_tree(tmp_path: Path) -> None:
    root, installed = pair(tmp_path)
    make_overlay(locate(tree=root), locate(vllm=installed), tmp_path / "scratch")
    (root / "vllm" / MODEL).unlink()
    overlay = make_overlay(locate(tree=root), locate(vllm=installed), tmp_path / "scratch")
    assert not (overlay.path / "vllm" / MODEL).is_symlink()


PORT = """from .internvl import InternVLChatModel


class PorterOverlayModel(InternVLChatModel):
    pass
"""
CHECK = """
import vllm
from vllm.model_executor.models import ModelRegistry
print(vllm.__file__, "PorterOverlayModel" in ModelRegistry.get_supported_archs())
print(ModelRegistry._try_load_model_cls("PorterOverlayModel").__module__)
"""


@pytest.mark.vllm
@pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM")
def test_an_unbuilt_tree_runs(tmp_path: Path) -> None:
    installed = locate()
    root = tmp_path / "tree"
    shutil.copytree(installed.package, root / "vllm", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for path in ("pyproject.toml", EXAMPLES, DOCS):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(FILES[path])
    entry = SiteEntry("PorterOverlayModel", "porter_overlay", "PorterOverlayModel", "org/x", "X")
    for change in tree_edits(locate(tree=root), entry):
        (root / change.path).write_text(change.new)
    (root / "vllm/model_executor/models/porter_overlay.py").write_text(PORT)
    before = sum(1 for _ in root.rglob("*"))
    overlay = make_overlay(locate(tree=root), installed, tmp_path / "scratch")
    env = {
        **os.environ,
        "PYTHONPATH": str(overlay.path),
        "HOME": str(tmp_path),
        "VLLM_CACHE_ROOT": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.strip().splitlines()[-2:]
    assert lines[0].split()[:2] == [str(overlay.path / "vllm/__init__.py"), "True"]
    assert lines[1] == "vllm.model_executor.models.porter_overlay"
    assert sum(1 for _ in root.rglob("*")) == before, "something was written into the tree"

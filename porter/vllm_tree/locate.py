"""Finding the vLLM to read: --tree, --vllm, or the one of --python. It is located, never imported."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from porter.errors import TreeError
from porter.vllm_tree.tree import Tree, open_tree
from porter.vllm_tree.version import read_commit, read_version

REGISTRY = "model_executor/models/registry.py"
_SITE_FOLDERS = frozenset({"site-packages", "dist-packages"})
_FIND = (
    "import importlib.util as u, sys; sys.path[:] = [p for p in sys.path if p];"
    " s = u.find_spec('vllm'); print(s.origin if s and s.origin else '')"
)


def locate(tree: Path | None = None, vllm: Path | None = None, python: str | None = None) -> Tree:
    """The tree to read, in this order: `tree` (a source tree), `vllm` (either kind), the vLLM of `python`.

    Raises TreeError when the folder given is no vLLM, or when nothing is given and the interpreter has none.
    """
    if tree is not None:
        return _source_tree(tree)
    if vllm is not None:
        return _any_tree(vllm)
    origin = _origin(python)
    if origin is None:
        raise TreeError(
            "no vLLM found: give a source tree (--tree DIR), a vLLM to read (--vllm DIR),"
            f" or an interpreter that has one (--python, now {python or sys.executable})",
            hint="porter doctor",
        )
    return _open(origin.parent)


def is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file() and (folder / REGISTRY).is_file()


def _source_tree(folder: Path) -> Tree:
    folder = _folder(folder, "--tree")
    if _SITE_FOLDERS.intersection(folder.parts):
        raise TreeError(
            f"--tree {folder} is an installed package; a port is written into a source tree only",
            hint="use --vllm to read it",
        )
    if not is_package(folder / "vllm"):
        raise TreeError(f"--tree {folder} is no vLLM source tree: it has no vllm/{REGISTRY}")
    if _source_root(folder / "vllm") is None:
        raise TreeError(f"--tree {folder} is no vLLM source tree: it has vllm/ but neither tests/ nor pyproject.toml")
    return _open(folder / "vllm")


def _any_tree(folder: Path) -> Tree:
    folder = _folder(folder, "--vllm")
    for package in (folder / "vllm", folder):
        if is_package(package):
            return _open(package)
    raise TreeError(f"--vllm {folder} is no vLLM: neither it nor its folder vllm/ has {REGISTRY}")


def _folder(folder: Path, option: str) -> Path:
    if not folder.is_dir():
        raise TreeError(f"{option} {folder} is not a folder")
    return folder.resolve()


def _open(package: Path) -> Tree:
    if not is_package(package):
        raise TreeError(f"{package} is called vllm but has no {REGISTRY}", hint="give --vllm DIR")
    root = _source_root(package)
    return open_tree(package, root, read_version(package, root), read_commit(package, root))


def _source_root(package: Path) -> Path | None:
    """The folder above a package of a checkout; None for an installed one."""
    root = package.parent
    if _SITE_FOLDERS.intersection(root.parts):
        return None
    return root if any((root / name).exists() for name in ("pyproject.toml", "setup.py", "tests/models")) else None


def _origin(python: str | None) -> Path | None:
    """`vllm/__init__.py` as the interpreter would find it, with the current folder left out of the search."""
    command = shutil.which(python) if python else sys.executable
    if command is None:
        raise TreeError(f"--python {python} is not an interpreter that can be run")
    if os.path.abspath(command) == os.path.abspath(sys.executable):  # noqa: PTH100 - resolving would leave the venv
        origin = _own_origin()
    else:
        origin = _child_origin(command)
    return Path(origin) if origin else None


def _own_origin() -> str | None:
    before = list(sys.path)
    sys.path[:] = [entry for entry in before if entry]
    try:
        spec = importlib.util.find_spec("vllm")
    except (ImportError, ValueError):
        return None
    finally:
        sys.path[:] = before
    return spec.origin if spec else None


def _child_origin(command: str) -> str | None:
    try:
        done = subprocess.run([command, "-c", _FIND], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise TreeError(f"--python {command} could not be run: {error}") from error
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise TreeError(f"--python {command} failed while looking for vLLM: {reason}")
    return done.stdout.strip() or None

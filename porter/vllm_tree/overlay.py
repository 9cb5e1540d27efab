"""A source tree that is not built, made to run: its Python, with the compiled files of the same version installed.

An overlay is a folder of links for PYTHONPATH. Nothing is written into the tree or the installation: byte code goes
into the overlay's own folders.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from porter.errors import TreeError
from porter.vllm_tree.tree import UNKNOWN_VERSION, Tree

# Where a port, or somebody's work on one, lives. Elsewhere a difference between equal versions is a distribution's
# adaptation to this machine (a CPU build patches platform detection), and the overlay must run on this machine.
_PORTED = ("model_executor/models/", "models/", "transformers_utils/", "multimodal/", "renderers/", "tokenizers/")
_COMPILED = (".so", ".pyd")
_CACHE = "__pycache__"


@dataclass(frozen=True, slots=True)
class Overlay:
    """`path` goes to the front of PYTHONPATH. `adapted` are differing files that were taken from the installation."""

    path: Path
    adapted: tuple[str, ...]


def obstacle(tree: Tree, installed: Tree | None) -> str | None:
    """Why the tree cannot be run with the installed vLLM; None when it can."""
    if is_built(tree):
        return None
    if tree.version == UNKNOWN_VERSION:
        return "this tree's version is not known, so no installed vLLM can lend it compiled files"
    if installed is None or _public(tree.version) != _public(installed.version):
        return f"needs vLLM {tree.version}"
    return None


def make_overlay(tree: Tree, installed: Tree | None, scratch: Path, ported: Iterable[str] = ()) -> Overlay:
    """Link the tree and the installation into `scratch`; `ported` are package-relative files that must be the tree's.

    Raises TreeError with the reason when the two do not fit.
    """
    reason = obstacle(tree, installed)
    if reason is not None:
        raise TreeError(reason, hint="install that vLLM into --python, or read it with --vllm")
    lender = None if installed is None or is_built(tree) else installed.package
    top = scratch / "overlay"
    shutil.rmtree(top, ignore_errors=True)
    adapted = _link_all(tree.package, lender, top / "vllm", frozenset(ported))
    return Overlay(top, tuple(adapted))


def is_built(tree: Tree) -> bool:
    """The package has compiled files of its own."""
    return any(item.suffix in _COMPILED for item in tree.package.iterdir())


def _public(version: str) -> str:
    """The version without its local part: a build for one platform is the same source."""
    try:
        return Version(version).public
    except InvalidVersion:
        return version


def _link_all(package: Path, lender: Path | None, top: Path, ported: frozenset[str]) -> list[str]:
    own = dict(_files(package))
    lent = dict(_files(lender)) if lender else {}
    adapted = []
    for name in sorted(own.keys() | lent.keys()):
        source = own.get(name) or lent[name]
        if name in own and name in lent:
            same = own[name].read_bytes() == lent[name].read_bytes()
            if same or not (name in ported or name.startswith(_PORTED)):
                source = lent[name]
                adapted += [] if same else [name]
        _link(source, top / name)
        if name in lent and source == lent[name]:
            _link_byte_code(source, top / name)
    return adapted


def _files(package: Path) -> Iterator[tuple[str, Path]]:
    """Every file of a package by relative path, byte code left out; links to folders are not followed."""
    for path in package.rglob("*"):
        if path.is_file() and _CACHE not in path.parts:
            yield path.relative_to(package).as_posix(), path


def _link(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink() or place.exists():
        place.unlink()
    place.symlink_to(source)


def _link_byte_code(source: Path, place: Path) -> None:
    """Python checks it against the source that it is for, and replaces a link rather than what it points to."""
    if source.suffix == ".py":
        for compiled in (source.parent / _CACHE).glob(f"{source.stem}.*.pyc"):
            _link(compiled, place.parent / _CACHE / compiled.name)

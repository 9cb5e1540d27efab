"""The version and commit of a vLLM tree, read from its files and from git, never by import."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable
from email.parser import HeaderParser
from pathlib import Path

from porter.vllm_tree.tree import UNKNOWN_VERSION


def read_version(package: Path, root: Path | None) -> str:
    """The version of the first source that states one, `unknown` when none does."""
    sources: tuple[Callable[[], str | None], ...] = (
        lambda: _assigned(package / "_version.py", ("__version__", "version")),
        lambda: _pkg_info(root),
        lambda: _describe(root),
        lambda: _archival(root),
    )
    return next((version for source in sources if (version := source())), UNKNOWN_VERSION)


def read_commit(package: Path, root: Path | None) -> str | None:
    if root is not None and (root / ".git").exists():
        commit = _git(root, "rev-parse", "HEAD")
        if commit:
            return commit
    short = _assigned(package / "_version.py", ("__commit_id__", "commit_id"))
    return short.removeprefix("g") if short else None


def _assigned(path: Path, names: tuple[str, ...]) -> str | None:
    """The string literal that a module assigns to one of `names`."""
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (OSError, ValueError, SyntaxError):
        return None
    for statement in body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Constant):
            continue
        targets = {target.id for target in statement.targets if isinstance(target, ast.Name)}
        if targets.intersection(names) and isinstance(statement.value.value, str):
            return statement.value.value
    return None


def _pkg_info(root: Path | None) -> str | None:
    if root is None or not (root / "PKG-INFO").is_file():
        return None
    headers = HeaderParser().parsestr((root / "PKG-INFO").read_text(encoding="utf-8", errors="replace"))
    return headers.get("Version")


def _describe(root: Path | None) -> str | None:
    if root is None or not (root / ".git").exists():
        return None
    return (_git(root, "describe", "--tags", "--match", "v[0-9]*") or "").removeprefix("v") or None


def _archival(root: Path | None) -> str | None:
    """setuptools-scm's `.git_archival.txt`; a template that git never filled in says nothing."""
    if root is None or not (root / ".git_archival.txt").is_file():
        return None
    headers = HeaderParser().parsestr((root / ".git_archival.txt").read_text(encoding="utf-8", errors="replace"))
    name = headers.get("describe-name", "")
    return None if not name or "$" in name else name.removeprefix("v")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None

"""A vLLM tree as a value: where it is, which version it is, and its files as text and ast, each read once."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from porter.errors import TreeError
from porter.source.codebase import CodeBase

Layout = Literal["source", "installed"]
UNKNOWN_VERSION = "unknown"
PREFIX = "vllm/"


class PackageTexts(Mapping[str, str]):
    """The Python files of `package` by importable path (`vllm/inputs.py`), whatever its folder is called."""

    def __init__(self, package: Path, prefix: str = PREFIX) -> None:
        self._package = package
        self._prefix = prefix
        self._texts: dict[str, str] = {}
        self._known: dict[str, bool] = {}

    def _file(self, path: str) -> Path:
        return self._package / path.removeprefix(self._prefix)

    def __contains__(self, path: object) -> bool:
        if not isinstance(path, str) or not path.startswith(self._prefix):
            return False
        if path not in self._known:
            self._known[path] = self._holds(path)
        return self._known[path]

    def _holds(self, path: str) -> bool:
        """Names of a repo (a model_type) end up in paths too: they may be too long, or lead elsewhere."""
        try:
            return not {"", ".", ".."} & set(path.split("/")) and self._file(path).is_file()
        except (OSError, ValueError):
            return False

    def __getitem__(self, path: str) -> str:
        if path not in self:
            raise KeyError(path)
        if path not in self._texts:
            self._texts[path] = self._file(path).read_text(encoding="utf-8", errors="replace")
        return self._texts[path]

    def __iter__(self) -> Iterator[str]:
        return (
            self._prefix + path.relative_to(self._package).as_posix() for path in sorted(self._package.rglob("*.py"))
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True)
class Tree:
    """`package` is the `vllm` folder; `root` its source root, None when installed. Paths are relative to `package`."""

    package: Path
    root: Path | None
    version: str
    commit: str | None
    layout: Layout
    code: CodeBase = field(compare=False, repr=False)
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Tables that were read of this tree, by name: its files are read once, and so are they."""

    def has(self, relpath: str) -> bool:
        return self.code_path(relpath) in self.code.texts

    def text(self, relpath: str) -> str:
        """Raises TreeError when the tree has no such file."""
        try:
            return self.code.texts[self.code_path(relpath)]
        except (KeyError, OSError) as error:
            raise TreeError(f"this vLLM ({self.version}) has no file {relpath}", where=str(self.package)) from error

    def module(self, relpath: str) -> ast.Module:
        """Raises TreeError when the file is missing or is not Python."""
        self.text(relpath)
        parsed = self.code.file(self.code_path(relpath))
        if parsed is None or parsed.error:
            detail = parsed.error if parsed else relpath
            raise TreeError(f"a file of this vLLM cannot be read: {detail}", where=str(self.package / relpath))
        return parsed.tree

    def code_path(self, relpath: str) -> str:
        """The path under which `code` knows a file of the package."""
        return PREFIX + relpath

    def relpath(self, code_path: str) -> str:
        return code_path.removeprefix(PREFIX)

    def root_text(self, path: str) -> str | None:
        """A file beside the package (`tests/...`, `docs/...`); None when the tree is installed or lacks it."""
        if self.root is None or not (self.root / path).is_file():
            return None
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def dotted_path(self, dotted: str) -> str | None:
        """The file, relative to the package, of a dotted module such as `vllm.models.step5`."""
        found = self.code.resolve_module("", dotted)
        return self.relpath(found) if found else None


def open_tree(package: Path, root: Path | None, version: str, commit: str | None) -> Tree:
    layout: Layout = "installed" if root is None else "source"
    return Tree(package, root, version, commit, layout, CodeBase(PackageTexts(package)))

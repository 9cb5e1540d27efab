"""The repo's own Python: what `auto_map` names and everything that it imports relatively. Read as text, never run."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import islice

from porter.errors import PorterError, RepoError
from porter.hub.auto_map import SEPARATOR, Target, auto_maps, module_file, refusal, split_reference
from porter.hub.files import read_bytes, read_text
from porter.hub.reference import printable
from porter.hub.snapshot import AutoMapEntry
from porter.hub.source import Source
from porter.jsontypes import JSONObject
from porter.source.parsing import parse

OpenRepo = Callable[[str], Source]

INSTALLED = frozenset(
    {"torch", "torchvision", "transformers", "tokenizers", "numpy", "PIL", "safetensors", "accelerate"}
)
MAX_FILES = 256
MAX_CODE = 1024 * 1024
MAX_ALL_CODE = 4 * MAX_CODE
MAX_ENTRIES = 256
MAX_CANDIDATES = 32
MAX_REPOS = 16
"""Other repos of one map: each is a question to the Hub, and code that nobody of this repo answers for."""


@dataclass(frozen=True, slots=True)
class RemoteCode:
    """`python` by path, the `auto_map` entries, and `missing`: what it needs but could not be read."""

    python: Mapping[str, str]
    entries: tuple[AutoMapEntry, ...]
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class Reader:
    """Follows relative imports through the home repo and the other repos that `auto_map` names."""

    home: Source
    open_repo: OpenRepo
    python: dict[str, str] = field(default_factory=dict)
    missing: dict[str, None] = field(default_factory=dict)
    others: dict[str, Source | None] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    looked_at: dict[str, str] = field(default_factory=dict)
    size: int = 0

    def entry(self, target: Target) -> AutoMapEntry:
        """What one `auto_map` value names; a value that can name no file of a repo is kept with the reason."""
        reason = refusal(target.value)
        if reason or not isinstance(target.value, str):
            return AutoMapEntry(target.owner, target.key, None, "", shown(target), "", False, reason)
        repo, module, class_name = split_reference(target.value)
        repo, source = self.locate(repo, module)
        prefix = f"{repo}{SEPARATOR}" if repo and source is not self.home else ""
        folder = target.folder if source is self.home else ""
        name = next((name for name in files_of(module, folder) if source and name in source.sizes), None)
        found = name is not None and source is not None and self.follow(source, prefix, name)
        return AutoMapEntry(
            owner=target.owner,
            key=target.key,
            repo=repo,
            module=module,
            class_name=class_name,
            file=f"{prefix}{name or files_of(module, folder)[0]}",
            found=found,
            reason="" if found else self.absence(repo, source),
            candidate=None if found else self.candidate(source or self.home, folder, module, class_name),
            commit=source.ref.commit if source is not None and source is not self.home else None,
        )

    def absence(self, repo: str | None, source: Source | None) -> str:
        if source is None:
            return self.unreachable.get(repo or "", f"{repo} cannot be read")
        return f"{repo} has no such file" if source is not self.home else "not in the repo"

    def locate(self, repo: str | None, module: str) -> tuple[str | None, Source | None]:
        """The repo that holds `module`; a folder that has the file itself is a copy, and the copy is what is read."""
        if repo is None or repo == self.home.ref.id:
            return None, self.home
        if self.home.ref.local and module_file(module) in self.home.sizes:
            return repo, self.home
        if repo not in self.others:
            self.others[repo] = self.try_open(repo)
        return repo, self.others[repo]

    def try_open(self, repo: str) -> Source | None:
        """None for a repo that cannot be reached: its code counts as not found, the rest is still read."""
        if len(self.others) >= MAX_REPOS:
            self.unreachable[repo] = f"{repo} is not read: auto_map names more than {MAX_REPOS} other repos"
            self.missing[self.unreachable[repo]] = None
            return None
        try:
            return self.open_repo(repo)
        except PorterError as error:
            self.missing[f"{repo}: {error.message}"] = None
            self.unreachable[repo] = error.message
            return None

    def candidate(self, source: Source, folder: str, module: str, class_name: str) -> str | None:
        """A file of the repo that defines the class although `auto_map` names another one. It is not used."""
        wanted = module_file(module) or ""
        names = [name for name in source.sizes if name.endswith(".py")]
        names.sort(key=lambda name: (not name.startswith(folder), -SequenceMatcher(None, name, wanted).ratio(), name))
        return next((name for name in names[:MAX_CANDIDATES] if self.defines(source, name, class_name)), None)

    def defines(self, source: Source, name: str, class_name: str) -> bool:
        """Whether a file has the class at its top level; False for a file that cannot be read."""
        key = f"{source.ref.id}{SEPARATOR}{name}"
        if key not in self.looked_at:
            try:
                self.looked_at[key] = read_text(source, name)
            except PorterError:
                self.looked_at[key] = ""
        text = self.looked_at[key]
        tree = parsed(text) if f"class {class_name}" in text else None
        nodes = tree.body if tree is not None else []
        return any(isinstance(node, ast.ClassDef) and node.name == class_name for node in nodes)

    def follow(self, source: Source, prefix: str, name: str) -> bool:
        """Reads `name` and what it imports; False when the repo has no such file, or it cannot be read."""
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if prefix + current in self.python:
                continue
            if len(self.python) >= MAX_FILES:
                raise RepoError(f"the remote code reaches more than {MAX_FILES} files", where=current)
            text = self.text(source, prefix, current)
            if text is not None:
                self.python[prefix + current] = text
                waiting.extend(self.imported(source, prefix, current, text))
        return prefix + name in self.python

    def text(self, source: Source, prefix: str, name: str) -> str | None:
        """A file's text. What another repo refuses is missing, and so is a file too large: the rest is still read."""
        try:
            text = read_bytes(source, name, MAX_CODE).decode("utf-8-sig", errors="replace")
            if self.size + len(text) > MAX_ALL_CODE:
                raise RepoError(
                    f"the code read so far leaves no room for it: porter reads {MAX_ALL_CODE} bytes of code"
                )
        except PorterError as error:
            if source is self.home and not isinstance(error, RepoError):
                raise
            self.missing[f"{prefix}{name}: {error.message}"] = None
            return None
        self.size += len(text)
        return text

    def imported(self, source: Source, prefix: str, current: str, text: str) -> Iterator[str]:
        for wanted in own_imports(text):
            files = wanted.files(current)
            present = [name for name in files if name in source.sizes]
            if not present and wanted.module and wanted.level:
                self.missing[f"{prefix}{current}: {wanted.text()}"] = None
            yield from present


@dataclass(frozen=True, slots=True)
class OwnImport:
    """`from {dots}{module} import {names}`; `level` counts the dots. Without dots it may mean a file at the top: that
    is no way to load code of the Hub, yet some repos are written to be run from their own folder."""

    level: int
    module: str
    names: tuple[str, ...]

    def text(self) -> str:
        return f"from {'.' * self.level}{self.module} import {', '.join(self.names)}"

    def files(self, importer: str) -> tuple[str, ...]:
        """Every file of the repo that this import may read, seen from `importer`; none when it leaves the repo."""
        folder = importer.split("/")[:-1] if self.level else []
        up = max(self.level - 1, 0)
        if up > len(folder):
            return ()
        base = folder[: len(folder) - up] + [part for part in self.module.split(".") if part]
        modules = [base] if base else []
        modules += [[*base, name] for name in self.names if name != "*"]
        parents = [base[:depth] for depth in range(1, len(base))]
        files = [f"{'/'.join(parts)}.py" for parts in modules]
        return (*files, *(f"{'/'.join(parts)}/__init__.py" for parts in [*parents, *modules]))


def own_imports(text: str) -> tuple[OwnImport, ...]:
    """Also those inside functions and `try`. Empty for text that does not parse: the reader of the code says so."""
    tree = parsed(text)
    nodes = sorted(statements(tree), key=lambda node: getattr(node, "lineno", 0)) if tree is not None else []
    return tuple(item for node in nodes for item in imports_in(node))


def statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Every statement at any depth; expressions are left alone, which hold most of a file's nodes and no import."""
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, part, None)
            waiting.extend(inner if isinstance(inner, list) else ())


def imports_in(node: ast.AST) -> Iterator[OwnImport]:
    if isinstance(node, ast.ImportFrom) and (node.level or may_be_own(node.module or "")):
        yield OwnImport(node.level, node.module or "", tuple(alias.name for alias in node.names))
    elif isinstance(node, ast.Import):
        yield from (OwnImport(0, alias.name, ()) for alias in node.names if may_be_own(alias.name))


def may_be_own(module: str) -> bool:
    """Packages that every installation has are never a file of the repo."""
    top = module.partition(".")[0]
    return bool(top) and top not in sys.stdlib_module_names and top not in INSTALLED


def parsed(text: str) -> ast.Module | None:
    try:
        return parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def files_of(module: str, folder: str) -> tuple[str, ...]:
    """The paths that a module named by a config in `folder` may have: beside the config, else at the top."""
    name = module_file(module) or ""
    return (f"{folder}{name}", name) if folder else (name,)


def shown(target: Target) -> str:
    return printable(target.value if isinstance(target.value, str) else json.dumps(target.value))


def read_remote_code(home: Source, documents: Mapping[str, JSONObject], open_repo: OpenRepo) -> RemoteCode:
    reader = Reader(home, open_repo)
    targets = tuple(islice(auto_maps(documents), MAX_ENTRIES + 1))
    if len(targets) > MAX_ENTRIES:
        reader.missing[f"auto_map: only the first {MAX_ENTRIES} entries are read"] = None
    entries = tuple(dict.fromkeys(reader.entry(target) for target in targets[:MAX_ENTRIES]))
    return RemoteCode(reader.python, entries, tuple(reader.missing))

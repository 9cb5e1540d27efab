"""The repo's own Python: what `auto_map` names and everything that it imports relatively. Read as text, never run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from porter.errors import PorterError, RepoError
from porter.hub.files import CONFIG, read_text
from porter.hub.reference import is_repo_id
from porter.hub.snapshot import AutoMapEntry
from porter.hub.source import Source
from porter.jsontypes import JSON, JSONObject

OpenRepo = Callable[[str], Source]

OWNERS = (CONFIG, "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
MAX_FILES = 256
SEPARATOR = "--"


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

    def entry(self, owner: str, key: str, reference: str) -> AutoMapEntry:
        repo, module, class_name = split_reference(reference)
        repo, source = self.locate(repo, module)
        name = module_file(module)
        prefix = f"{repo}{SEPARATOR}" if repo and source is not self.home else ""
        found = name is not None and source is not None and self.follow(source, prefix, name)
        return AutoMapEntry(owner, key, repo, module, class_name, f"{prefix}{name or module}", found)

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
        if not is_repo_id(repo):
            return None
        try:
            return self.open_repo(repo)
        except PorterError as error:
            self.missing[f"{repo}: {error.message}"] = None
            return None

    def follow(self, source: Source, prefix: str, name: str) -> bool:
        """Reads `name` and what it imports; False when the repo has no such file."""
        if name not in source.sizes:
            return False
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if prefix + current in self.python:
                continue
            if len(self.python) >= MAX_FILES:
                raise RepoError(f"the remote code reaches more than {MAX_FILES} files", where=current)
            text = self.python[prefix + current] = read_text(source, current)
            waiting.extend(self.imported(source, prefix, current, text))
        return True

    def imported(self, source: Source, prefix: str, current: str, text: str) -> Iterator[str]:
        for wanted in relative_imports(text):
            files = wanted.files(current)
            present = [name for name in files if name in source.sizes]
            if not present and wanted.module:
                self.missing[f"{prefix}{current}: {wanted.text()}"] = None
            yield from present


@dataclass(frozen=True, slots=True)
class RelativeImport:
    """`from {dots}{module} import {names}`; `level` counts the dots."""

    level: int
    module: str
    names: tuple[str, ...]

    def text(self) -> str:
        return f"from {'.' * self.level}{self.module} import {', '.join(self.names)}"

    def files(self, importer: str) -> tuple[str, ...]:
        """Every file of the repo that this import may read, seen from `importer`; none when it leaves the repo."""
        folder = importer.split("/")[:-1]
        if self.level - 1 > len(folder):
            return ()
        base = folder[: len(folder) - (self.level - 1)] + [part for part in self.module.split(".") if part]
        modules = [base] if base else []
        modules += [[*base, name] for name in self.names if name != "*"]
        parents = [base[:depth] for depth in range(1, len(base))]
        files = [f"{'/'.join(parts)}.py" for parts in modules]
        return (*files, *(f"{'/'.join(parts)}/__init__.py" for parts in [*parents, *modules]))


def relative_imports(text: str) -> tuple[RelativeImport, ...]:
    """Also those inside functions and `try`. Empty for text that does not parse: the reader of the code says so."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in foreign code are not this user's concern
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(
        RelativeImport(node.level, node.module or "", tuple(alias.name for alias in node.names))
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    )


def split_reference(reference: str) -> tuple[str | None, str, str]:
    """`ORG/NAME--package.module.Class` as (repo or None, dotted module, class)."""
    repo, separator, rest = reference.rpartition(SEPARATOR)
    module, _, class_name = rest.rpartition(".")
    return (repo if separator else None), module, class_name


def module_file(module: str) -> str | None:
    """The path of a dotted module; None when a part is no plain file name (`../x`, `/etc`, empty)."""
    parts = module.split(".")
    plain = all(part and part.isprintable() and not set(part) & set("/\\:\0") for part in parts)
    return f"{'/'.join(parts)}.py" if plain else None


def auto_maps(json: Mapping[str, JSONObject]) -> Iterator[tuple[str, str, str]]:
    """(owner, key, reference) of every `auto_map`, with those of sub-configs."""
    for name in OWNERS:
        yield from maps_within(name, json.get(name, {}), depth=0)


def maps_within(owner: str, value: JSONObject, depth: int) -> Iterator[tuple[str, str, str]]:
    mapping = value.get("auto_map")
    if isinstance(mapping, dict):
        for key, target in mapping.items():
            yield from ((owner, key, reference) for reference in references(target))
    for key, child in value.items():
        if isinstance(child, dict) and key != "auto_map" and depth < 4:
            yield from maps_within(f"{owner}{'.' if depth else ':'}{key}", child, depth + 1)


def references(target: JSON) -> tuple[str, ...]:
    """A map's value is a reference, or a list of them in which null means "no such variant"."""
    candidates = target if isinstance(target, list) else [target]
    return tuple(item for item in candidates if isinstance(item, str) and "." in item)


def read_remote_code(home: Source, json: Mapping[str, JSONObject], open_repo: OpenRepo) -> RemoteCode:
    reader = Reader(home, open_repo)
    entries = tuple(dict.fromkeys(reader.entry(*found) for found in auto_maps(json)))
    return RemoteCode(reader.python, entries, tuple(reader.missing))

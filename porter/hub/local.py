"""A repo that is a folder here. Nothing outside the folder is read, whatever its names and links say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from porter.errors import MissingFile, RepoError
from porter.hub.snapshot import RepoRef

MAX_FILES = 20_000
MAX_DEPTH = 8


@dataclass(frozen=True)
class LocalSource:
    """The files of `folder` (absolute); links that lead out of it do not exist for porter."""

    folder: Path
    parallel: int = field(default=1, init=False)

    @cached_property
    def ref(self) -> RepoRef:
        return RepoRef(self.folder.name or "repo", commit_of(self.folder), True, str(self.folder))

    @cached_property
    def sizes(self) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for name, size in sorted(walk(self.folder, self.folder, 0)):
            found[name] = size
            if len(found) > MAX_FILES:
                raise RepoError(f"{self.folder} holds more than {MAX_FILES} files: this is no model repo")
        return found

    def path(self, name: str) -> Path:
        if name not in self.sizes:
            raise MissingFile(f"{self.folder.name} has no {name}", where=name)
        return self.folder / name

    def read_range(self, name: str, start: int, length: int) -> bytes:
        try:
            with self.path(name).open("rb") as file:
                file.seek(start)
                return file.read(length)
        except OSError as error:
            raise RepoError(f"{name} cannot be read: {error.strerror}", where=name) from error

    def cached_header(self, name: str) -> bytes | None:
        """Nothing is kept of a folder: reading it again is as quick, and it may have changed."""
        return None

    def keep_header(self, name: str, header: bytes) -> None:
        """See `cached_header`."""


def walk(folder: Path, root: Path, depth: int) -> Iterator[tuple[str, int]]:
    """Regular files below `folder`, hidden folders left out."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise RepoError(f"{folder} cannot be read: {error.strerror}", where=str(folder)) from error
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink() and not stays_inside(path, root):
            continue
        if entry.is_dir(follow_symlinks=False):
            if depth < MAX_DEPTH and not entry.name.startswith("."):
                yield from walk(path, root, depth + 1)
        elif entry.is_file() and is_text(entry.name):
            yield path.relative_to(root).as_posix(), entry.stat().st_size


def is_text(name: str) -> bool:
    """False for a file name that is not UTF-8: it could not be printed or written into a report."""
    try:
        return name.isprintable() and bool(name.encode("utf-8"))
    except UnicodeEncodeError:
        return False


def stays_inside(path: Path, root: Path) -> bool:
    """True for a link within the repo; files of a Hub cache snapshot are links into the same cache."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return target.is_relative_to(cache_root(root) or root)


def cache_root(root: Path) -> Path | None:
    """The Hub cache around `CACHE/models--ORG--NAME/snapshots/COMMIT`."""
    in_cache = root.parent.name == "snapshots" and root.parent.parent.name.startswith("models--")
    return root.parents[2] if in_cache else None


def commit_of(folder: Path) -> str | None:
    """The commit of a folder of the Hub cache; any other folder has none."""
    return folder.name if cache_root(folder) else None

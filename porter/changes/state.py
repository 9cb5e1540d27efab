"""`.porter/<module>/` of a target: the bytes before and as generated, and the stage of a run in progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from porter.errors import TargetError

STATE = ".porter"


@dataclass(frozen=True, slots=True)
class State:
    """`folder` is relative to `root`."""

    root: Path
    module: str

    @property
    def folder(self) -> str:
        return f"{STATE}/{self.module}"

    @property
    def stage(self) -> Path:
        return self.root / self.folder / "journal"

    def before_path(self, path: str) -> str:
        return f"{self.folder}/before/{path}"

    def generated_path(self, path: str) -> str:
        return f"{self.folder}/generated/{path}"

    def backup_path(self, path: str) -> str:
        return f"{self.folder}/backup/{path}"

    def before(self, path: str) -> bytes | None:
        """The bytes before porter's first run; None when there was no such file."""
        return read_bytes(self.root / self.before_path(path))

    def generated(self, path: str) -> bytes | None:
        """The bytes as porter last wrote them; None when it never did."""
        return read_bytes(self.root / self.generated_path(path))


def encode(text: str) -> bytes:
    """The inverse of `decode`, whatever the bytes were."""
    return text.encode("utf-8", errors="surrogateescape")


def decode(data: bytes) -> str:
    return data.decode("utf-8", errors="surrogateescape")


def read_bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {error.strerror}", where=str(path)) from error


def checked_path(root: Path, path: str) -> str:
    """The path that is really written, relative to `root`; a link inside the target is followed.

    Raises TargetError for a path, or a link, that leaves the target.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\\" in path or "\0" in path:
        raise TargetError(f"{path!r} is not a path inside the target")
    base, real = root.resolve(), (root / path).resolve()
    if not real.is_relative_to(base):
        raise TargetError(f"{path} leaves the target through a link ({real})", where=str(root / path))
    if real.is_dir():
        raise TargetError(f"{path} is a folder; porter would write a file there", where=str(real))
    return real.relative_to(base).as_posix()

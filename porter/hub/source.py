"""Where a repo's files come from: a folder or the Hub, behind one small interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from porter.hub.snapshot import RepoRef


class Source(Protocol):
    """One repo at one commit. Names are posix paths relative to the repo."""

    @property
    def ref(self) -> RepoRef: ...

    @property
    def sizes(self) -> Mapping[str, int | None]:
        """Every file of the repo with its size in bytes, None when unknown."""

    @property
    def parallel(self) -> int:
        """How many reads may run at once."""

    def path(self, name: str) -> Path:
        """The file on this machine. Raises HubError or MissingFile."""

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`; fewer only at the end of the file."""

    def cached_header(self, name: str) -> bytes | None:
        """A safetensors header kept from an earlier run."""

    def keep_header(self, name: str, header: bytes) -> None: ...

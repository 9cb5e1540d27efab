"""What porter keeps of a remote repo beside the Hub's own cache: revisions, file lists and tensor headers.

So that a second run asks for nothing twice, an interrupted one resumes, and `--offline` works. It only ever saves time:
whatever cannot be written or read back is asked for again.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Kept:
    """Files of one repo below `folder`; everything but `revisions/` is named by commit and never changes."""

    folder: Path

    def commit(self, revision: str) -> str | None:
        data = self._read(self._revision(revision))
        return data.decode("ascii", errors="replace").strip() if data else None

    def listing(self, commit: str) -> dict[str, int | None] | None:
        """File names with sizes, or None when nothing usable is kept."""
        try:
            value = json.loads(self._read(self.folder / commit / "listing.json") or b"null")
        except ValueError:
            return None
        if not isinstance(value, dict):
            return None
        return {name: size if isinstance(size, int) else None for name, size in value.items()}

    def header(self, commit: str, name: str) -> bytes | None:
        return self._read(self._header(commit, name))

    def keep_listing(self, revision: str, commit: str, sizes: Mapping[str, int | None]) -> None:
        self._write(self.folder / commit / "listing.json", json.dumps(dict(sizes)).encode())
        self._write(self._revision(revision), commit.encode())

    def keep_header(self, commit: str, name: str, data: bytes) -> None:
        self._write(self._header(commit, name), data)

    def _revision(self, revision: str) -> Path:
        return self.folder / "revisions" / quote(revision, safe="")

    def _header(self, commit: str, name: str) -> Path:
        return self.folder / commit / f"{quote(name, safe='')}.header"

    def _read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except OSError:
            return None

    def _write(self, path: Path, data: bytes) -> None:
        """Whole or not at all, also beside another process that writes the same."""
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent)
            temporary = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

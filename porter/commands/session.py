"""What every command shares: where things are, how porter talks to a person, and a folder for workers."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from porter.errors import PorterError
from porter.jsontypes import JSONObject

if TYPE_CHECKING:
    from porter.process import WorkerSettings


class Talk(Protocol):
    """How a command reaches a person."""

    @property
    def interactive(self) -> bool: ...

    def note(self, text: str) -> None: ...

    def detail(self, text: str) -> None:
        """Only for who asked for more (`--verbose`)."""

    def confirm(self, question: str) -> bool: ...

    def ask(self, question: str) -> str: ...

    def show_plan(self, diff: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Silent:
    """No person: library use and tests."""

    interactive: bool = False

    def note(self, text: str) -> None:
        return None

    def detail(self, text: str) -> None:
        return None

    def confirm(self, question: str) -> bool:
        return False

    def ask(self, question: str) -> str:
        return ""

    def show_plan(self, diff: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that all commands have. `python` is the interpreter whose vLLM is used; `log` gets worker output."""

    python: str = sys.executable
    vllm: Path | None = None
    revision: str | None = None
    offline: bool = False
    strict: bool = False
    log: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command hands back. `failed`: nothing was raised, yet something did not pass; `log` is shown then."""

    error: PorterError | None = None
    failed: bool = False
    log: Path | None = None

    @property
    def ok(self) -> bool:
        return self.error is None and not self.failed

    @property
    def exit_code(self) -> int:
        if self.error is not None:
            return self.error.exit_code
        return 1 if self.failed else 0

    def to_json(self) -> JSONObject:
        """The command's own keys; the envelope is added where the document is made."""
        return {}


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder that is gone afterwards, and the log that workers write."""

    folder: Path
    log: Path

    def worker(self, python: str, *, timeout: float = 600.0, path: tuple[Path, ...] = ()) -> WorkerSettings:
        from porter.process import WorkerSettings

        return WorkerSettings(python=python, scratch=self.folder, log=self.log, timeout=timeout, path=path)


@contextmanager
def scratch(settings: Settings) -> Iterator[Scratch]:
    """The log stays when it was asked for or when the command failed; the folder never does."""
    folder = Path(tempfile.mkdtemp(prefix="porter-"))
    log = settings.log or default_log()
    try:
        yield Scratch(folder, log.absolute())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def default_log() -> Path:
    """One log file per process, in the temporary folder; nothing is created here."""
    return Path(tempfile.gettempdir()) / f"porter-{os.getpid()}.log"

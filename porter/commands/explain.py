"""A vLLM log or traceback: the cause, what to change in the port, and the rung that would have caught it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from porter.commands.session import Result
from porter.errors import UsageError
from porter.jsontypes import JSONObject
from porter.smoke.explain import Explanation
from porter.smoke.explain import explain as explain_log
from porter.smoke.explain_log import cut_lines

BLOCK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainResult(Result):
    explanation: Explanation

    def to_json(self) -> JSONObject:
        return self.explanation.to_json()


def explain(log: str) -> ExplainResult:
    """`log` is a file, or `-` for stdin. Failed when no known error was found in it. Raises UsageError."""
    with _opened(log) as stream:
        found = explain_log(cut_lines(iter(lambda: stream.read(BLOCK), b"")))
    return ExplainResult(explanation=found, failed=not found.causes)


@contextmanager
def _opened(log: str) -> Iterator[BinaryIO]:
    try:
        with nullcontext(sys.stdin.buffer) if log == "-" else Path(log).open("rb") as stream:
            yield stream
    except OSError as error:
        raise UsageError(f"{log} cannot be read: {error.strerror}") from error

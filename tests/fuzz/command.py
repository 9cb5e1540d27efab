"""One porter command in this process, through the real parser, under guard."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from porter.cli import main
from tests.fuzz.guard import CANARY, Watch, watched

EXPECTED = (0, 1, 2)
"""Never 3: that is a bug, and its traceback is in the log."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def porter(*arguments: str, case: Path, target: Path | None = None) -> Ran:
    """Runs and checks what holds of every command; `case` is a folder of which only `tmp` and `home` may change."""
    scratch, home = case / "tmp", case / "home"
    scratch.mkdir(parents=True, exist_ok=True)
    home.mkdir(exist_ok=True)
    out, err = io.StringIO(), io.StringIO()
    roots = (scratch, home, *((target,) if target else ()))
    with (
        mock.patch.object(tempfile, "tempdir", str(scratch)),
        mock.patch.dict(os.environ, {"HF_HOME": str(home), "TMPDIR": str(scratch)}),
        mock.patch.object(sys, "dont_write_bytecode", True),
        redirect_stdout(out),
        redirect_stderr(err),
        watched(*roots) as watch,
    ):
        code = main(list(arguments))
    ran = Ran(code, out.getvalue(), err.getvalue())
    check(ran, watch, case, arguments)
    return ran


def check(ran: Ran, watch: Watch, case: Path, arguments: tuple[str, ...]) -> None:
    logs = [path.read_text(errors="replace") for path in (case / "tmp").glob("porter-*.log")] if ran.code == 3 else []
    assert ran.code in EXPECTED, (arguments, ran.err, *logs)
    assert not watch.seen
    assert CANARY not in os.environ
    assert not list(case.rglob(CANARY))
    assert "Traceback" not in ran.out + ran.err
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == (ran.code != 0 and not _failed_quietly(ran, arguments)), ran.err
    assert not set(ran.out + ran.err) & TERMINAL
    if "--json" in arguments:
        assert ran.document["command"] == arguments[0]


TERMINAL = {chr(code) for code in (*range(32), *range(127, 160), 0x202A, 0x202B, 0x202D, 0x202E, 0x2066, 0x2067)} - {
    "\n",
    "\t",
}
"""Characters that move a cursor, switch a mode or turn text around."""


def _failed_quietly(ran: Ran, arguments: tuple[str, ...]) -> bool:
    """A failed check or an open item ends with exit code 1 and a whole result, without an error."""
    return ran.code == 1 and "--json" in arguments and ran.document["error"] is None

"""The one error boundary: every way a command can end becomes a line, a document and an exit code."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from porter.commands.session import Result, default_log
from porter.console import Console, Mode
from porter.errors import PorterError, UsageError
from porter.jsontypes import JSONObject
from porter.options import Common
from porter.render.documents import document, error_json

BUG, INTERRUPTED = 3, 130
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
# Click's root exception: this Typer may carry a click of its own, so it is taken from a name that Typer exports.
ParserError: type[Exception] = typer.BadParameter.__mro__[2]


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed command line: what to run and how to show what it returns."""

    command: str
    common: Common
    run: Callable[[Console], Result]
    show: Callable[[Console, Any], None]


def guarded(parse: Callable[[], object], arguments: Sequence[str]) -> int:
    """Parses, runs and shows; returns the exit code. Nothing escapes but what the interpreter itself raises."""
    ending = _Ending(_command(arguments), Console("json" if "--json" in arguments else "human"))
    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or pipe whose encoding lacks a character is no bug
            stream.reconfigure(errors="backslashreplace")
    try:
        return _ended(parse, ending)
    except OSError:  # a stream takes no more, so there is nobody to tell
        _silence()
        return 1


def _ended(parse: Callable[[], object], ending: _Ending) -> int:
    try:
        return _run(parse(), ending)
    except PorterError as error:
        return ending.failed(error_json(error), error.exit_code)
    except ParserError as error:
        return ending.failed(error_json(_usage(error, ending.command)), 2)
    except (KeyboardInterrupt, typer.Abort):
        return ending.failed(_plain_error("interrupted", "interrupted"), INTERRUPTED)
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return ending.failed(_plain_error("no_room", f"{error.strerror}: {error.filename or 'the output'}"), 1)
        return ending.failed(_bug(error, ending.log), BUG)


def _silence() -> None:
    """What is still buffered goes nowhere: Python would fail once more while it writes that at exit."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@dataclass(slots=True)
class _Ending:
    command: str
    console: Console
    log: Path | None = None

    def failed(self, error: JSONObject, code: int, result: Result | None = None) -> int:
        body = result.to_json() if result else None
        self.console.document(document(self.command, ok=False, error=error, body=body))
        where = f"  ({error['where']})" if error["where"] else ""
        self.console.problem(f"error: {error['message']}{where}")
        if error["hint"]:
            self.console.problem(f"next: {error['hint']}")
        self.show_log()
        return code

    def show_log(self) -> None:
        log = self.log or default_log()
        if log.is_file():
            self.console.problem(f"log: {log}")


def _run(parsed: object, ending: _Ending) -> int:
    if not isinstance(parsed, Call):  # --help, --version, or an interrupt that Typer turned into its exit code
        return ending.failed(_plain_error("interrupted", "interrupted"), INTERRUPTED) if parsed == INTERRUPTED else 0
    ending.command, ending.log = parsed.command, parsed.common.log
    ending.console = Console(_mode(parsed.common), verbose=parsed.common.verbose)
    _check_log(parsed.common.log)
    result = parsed.run(ending.console)
    parsed.show(ending.console, result)
    if result.error is not None:
        return ending.failed(error_json(result.error), result.exit_code, result)
    ending.console.document(document(parsed.command, ok=result.ok, error=None, body=result.to_json()))
    if result.ok:
        default_log().unlink(missing_ok=True)
    else:
        ending.show_log()
    return result.exit_code


def _mode(common: Common) -> Mode:
    return "json" if common.json else "quiet" if common.quiet else "human"


def _check_log(log: Path | None) -> None:
    if log is None:
        return
    try:
        log.open("a").close()
    except OSError as error:
        raise UsageError(f"--log {log} cannot be written: {error.strerror}") from error


def _command(arguments: Sequence[str]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")


def _usage(error: Exception, command: str) -> UsageError:
    shown = error.format_message() if hasattr(error, "format_message") else str(error)
    named = f"porter {command}" if command and "No such command" not in shown else "porter"
    return UsageError(" ".join(shown.split()), hint=f"{named} --help")


def _plain_error(code: str, message: str) -> JSONObject:
    return {"code": code, "message": message, "hint": None, "where": None}


def _bug(error: Exception, log: Path | None) -> JSONObject:
    import traceback

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    target = log or default_log()
    with suppress(OSError), target.open("a", encoding="utf-8") as stream:
        stream.write(text)
    what = f"a bug in porter: {type(error).__name__}: {error}"
    return {"code": "bug", "message": what, "hint": f"report it with the traceback in {target}", "where": None}


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt

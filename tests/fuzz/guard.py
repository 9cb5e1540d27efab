"""What porter's own process does while it reads a hostile repo, seen by the interpreter's audit hook.

A hook cannot be taken out again, so there is one, and it judges only while a `Watch` is on.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

CANARY = "PORTER_CANARY_7d1c"
"""Stands in every piece of planted code, names the file that it would write and the variable that it would set."""
HANG, STUCK = 20, 300
"""Seconds of computing, and of waiting, after which a case counts as hung: for the machine's sake, no measurement."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
INSTALLED = tuple(os.path.realpath(path) for path in {sys.prefix, sys.base_prefix})
"""Where imports may leave byte code."""


class Hang(BaseException):
    """Not an Exception: porter's error boundary must not take it for a bug."""


@dataclass(slots=True)
class Watch:
    """Writing is allowed below `roots` only. `seen` are the things that must not happen, and did."""

    roots: tuple[Path, ...]
    seen: list[str] = field(default_factory=list)

    def allows(self, path: Any, folder: int = -1) -> bool:
        """`folder` is the open folder that `path` starts from, -1 for the current one."""
        if isinstance(path, int):
            return True
        start = f"/proc/self/fd/{folder}" if folder != -1 else ""
        real = os.path.realpath(os.path.join(start, os.fsdecode(path)))  # noqa: PTH118 (a hook must stay cheap)
        allowed = [*(os.path.realpath(root) for root in self.roots), os.devnull]
        if "__pycache__" in real:
            allowed += INSTALLED
        return any(real == root or real.startswith(root + os.sep) for root in allowed)


class _State:
    watch: Watch | None = None
    installed = False


def _written(watch: Watch, args: tuple[Any, ...]) -> str:
    path, mode, flags = args
    writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & WRITING)
    return f"opened {path!r} for writing" if writes and not watch.allows(path) else ""


def _changed(*places: tuple[int, int | None]) -> Callable[[Watch, tuple[Any, ...]], str]:
    """`places` say which arguments are a path, and which the open folder that it starts from."""

    def judge(watch: Watch, args: tuple[Any, ...]) -> str:
        named = [(args[path], -1 if folder is None else args[folder]) for path, folder in places]
        strange = [path for path, folder in named if not watch.allows(path, folder)]
        return f"changed {strange!r}" if strange else ""

    return judge


def _run(watch: Watch, args: tuple[Any, ...]) -> str:
    code = args[0]
    return f"ran code of the repo ({code.co_filename})" if isinstance(code, CodeType) and planted(code) else ""


def _forbidden(what: str) -> Callable[[Watch, tuple[Any, ...]], str]:
    return lambda watch, args: f"{what}: {args!r}"[:400]


def planted(code: CodeType) -> bool:
    """Whether a code object, or one inside it, is made from what the tests planted."""
    if any(CANARY in str(item) for item in (*code.co_names, *code.co_varnames, code.co_filename)):
        return True
    return any(
        planted(item) if isinstance(item, CodeType) else CANARY in str(item)
        for item in code.co_consts
        if item is not None
    )


JUDGES: Mapping[str, Callable[[Watch, tuple[Any, ...]], str]] = {
    "open": _written,
    "exec": _run,
    "os.mkdir": _changed((0, 2)),
    "os.remove": _changed((0, 1)),
    "os.rmdir": _changed((0, 1)),
    "os.truncate": _changed((0, None)),
    "os.rename": _changed((0, 2), (1, 3)),
    "os.chmod": _changed((0, 2)),
    "os.symlink": _changed((1, 2)),
    "os.link": _changed((1, 3)),
    **{name: _forbidden(name) for name in ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")},
    **{
        name: _forbidden(name) for name in ("subprocess.Popen", "pickle.find_class", "ctypes.dlopen", "webbrowser.open")
    },
}


def _hook(event: str, args: tuple[Any, ...]) -> None:
    watch, judge = _State.watch, JUDGES.get(event)
    if watch is None or judge is None:
        return
    complaint = judge(watch, args)
    if complaint:
        watch.seen.append(complaint)
        raise PermissionError(complaint)


@contextmanager
def watched(*roots: Path) -> Iterator[Watch]:
    """Judges what this process does until the block ends; a hang is dumped and raised."""
    if not _State.installed:
        sys.addaudithook(_hook)
        _State.installed = True
    watch = Watch(roots)
    with _limited():
        _State.watch = watch
        try:
            yield watch
        finally:
            _State.watch = None


@contextmanager
def _limited() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    clocks = ((signal.SIGPROF, signal.ITIMER_PROF, HANG), (signal.SIGALRM, signal.ITIMER_REAL, STUCK))
    before = {number: signal.signal(number, _hung) for number, _, _ in clocks}
    for _, clock, seconds in clocks:
        signal.setitimer(clock, seconds)
    try:
        yield
    finally:
        for number, clock, _ in clocks:
            signal.setitimer(clock, 0)
            signal.signal(number, before[number])


def _hung(number: int, frame: FrameType | None) -> None:
    faulthandler.dump_traceback(sys.__stderr__ or 2)
    raise Hang("a case does not end")

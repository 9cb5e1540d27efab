"""The end of a process group: every process of it, and the shared memory that they would leave behind.

Standard library only: porter's own process and the watcher of a worker both use it.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

SHARED = Path("/dev/shm")
_OURS = re.compile(r"/dev/shm/((?:psm|torch|wnsm|vllm|sem\.mp)[^\s/]*)")
ROUNDS = 100


def members(group: int, spare: Collection[int] = ()) -> list[int]:
    """Processes that still run of a group, and of the session of that number: a test runner's forks leave the group.

    None where the system has no /proc.
    """
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            state, _, *numbers = status.read_text().rsplit(")", 1)[1].split()[:4]
            if str(group) in numbers and state not in "ZX":
                found.append(int(status.parent.name))
    return [pid for pid in found if pid not in spare]


def shared_memory(pids: Iterable[int]) -> set[str]:
    """Names of the segments that these processes have mapped: Python's, torch's and vLLM's kinds only."""
    names: set[str] = set()
    for pid in pids:
        with suppress(OSError):
            names.update(_OURS.findall(Path(f"/proc/{pid}/maps").read_text(errors="replace")))
    return names


def remove(names: Iterable[str]) -> None:
    for name in names:
        with suppress(OSError):
            (SHARED / name).unlink()


def remove_left(names: set[str]) -> None:
    """Removes those of `names` that no process of the caller's group has mapped, once the ending ones are gone."""
    others: set[str] = set()
    for _ in range(ROUNDS):
        others = names & shared_memory(members(os.getpgrp(), {os.getpid()}))
        if not others:
            break
        time.sleep(0.05)
    remove(names - others - shared_memory([os.getpid()]))


def end_since(before: set[int]) -> None:
    """Ends what joined the caller's group after `before`."""
    for pid in members(os.getpgrp(), {*before, os.getpid()}):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def end_others(group: int) -> None:
    """Ends every process of `group` but the caller, then removes their shared memory."""
    spare, names = {os.getpid()}, set[str]()
    for _ in range(ROUNDS):
        alive = members(group, spare)
        if not alive:
            break
        names |= shared_memory(alive)
        for pid in alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    remove(names)

"""What every worker runs in: request in, answer out, and an end when porter ends.

Called as `python -m porter_worker.JOB REQUEST ANSWER EVENTS`. Imports only the standard library, because it runs under
another interpreter than porter's.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from porter_worker import groups, isolation, memory

Handler = Callable[[dict[str, Any]], dict[str, Any]]

_LIMITS = {
    "address_space": "RLIMIT_AS",
    "cpu_seconds": "RLIMIT_CPU",
    "file_size": "RLIMIT_FSIZE",
    "memory_share": "RLIMIT_DATA",
}
_events: list[Path] = []


def serve(handler: Handler) -> None:
    """Runs `handler(payload)` once and writes its answer; an exception becomes a failure answer and exit code 1."""
    request_file, answer_file, events_file = (Path(argument) for argument in sys.argv[1:4])
    request = json.loads(request_file.read_text(encoding="utf-8"))
    _tie_to_porter(request["lifeline"])
    faulthandler.enable()
    contained = _contain(request.get("contain"))
    _apply_limits(request["limits"])
    _events[:] = [events_file]
    try:
        made = handler(request["payload"])
        answer = {"answer": {**made, **contained} if contained else made}
    except SystemExit:
        raise
    except BaseException as error:
        traceback.print_exc()
        answer = {"failure": {"type": type(error).__name__, "message": str(error)}}
    _write(answer_file, answer)
    sys.stdout.flush()
    sys.stderr.flush()
    if "failure" in answer:
        sys.exit(1)


def event(record: dict[str, Any]) -> None:
    """Tells porter about progress; one JSON line, appended whole. Outside a worker it does nothing."""
    for path in _events:
        with path.open("ab", buffering=0) as stream:
            stream.write(json.dumps(record, default=str).encode() + b"\n")


def _write(path: Path, answer: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(answer), encoding="utf-8")
    partial.replace(path)


def _tie_to_porter(lifeline: int) -> None:
    """A watcher process, not a thread: foreign code may hold the interpreter lock for ever."""
    if os.fork() == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while os.read(lifeline, 1):
            continue
        groups.end_others(os.getpgrp())
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os.close(lifeline)


def _contain(folders: dict[str, list[str]] | None) -> dict[str, Any]:
    """What keeps the repo's code in, for the answer; nothing for a job that runs none."""
    if folders is None:
        return {}
    writable, hidden = ([Path(name) for name in folders[key]] for key in ("writable", "hidden"))
    return {"contained": isolation.report(isolation.enter(writable, hidden))}


def _apply_limits(limits: dict[str, float]) -> None:
    import resource

    for name, stated in limits.items():
        kind = getattr(resource, _LIMITS[name])
        value = memory.share(stated) if name == "memory_share" else int(stated)
        _, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))

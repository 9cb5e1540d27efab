"""Many jobs of porter's in one process family: vLLM is imported once, then each job runs in a fork of that process.

Called by `tests.warm` as porter calls a worker, `python warm_host.py REQUEST ANSWER EVENTS`.

Request  {room, preload: [module], together}
Answer   {jobs, threads}: how many ran, and how many threads the imports had started

`room` is a folder. A job is a file `NAME.job` in it: {job, files: [request, answer, events], env, path, cwd, log,
timeout}; its files are those of a worker of its own. `NAME.done` is there when it ended: {code, timed_out, seconds}.
A file `end` ends all. Nothing is computed before a fork: threads do not survive it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porter_worker import groups, runtime, spawned

POLL_SECONDS = 0.02
CRASHED = 70


@dataclass
class Child:
    """A job that runs: its process leads a group of its own."""

    pid: int
    done: Path
    start: float
    timeout: float

    def poll(self) -> bool:
        """Whether it ended; then its whole group is gone and its ending written down."""
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        late = time.monotonic() - self.start > self.timeout
        if not ended and not late:
            return False
        shared = groups.shared_memory(groups.members(self.pid))
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        groups.end_others(self.pid)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        groups.remove(shared)
        ending = {"code": code, "timed_out": late and not ended, "seconds": time.monotonic() - self.start}
        partial = self.done.with_suffix(".partial")
        partial.write_text(json.dumps(ending), encoding="utf-8")
        partial.replace(self.done)
        return True


def preload(names: list[str]) -> int:
    """Imports what all jobs share; answers how many threads that started."""
    for name in names:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    return len(list(Path("/proc/self/task").iterdir()))


def start(file: Path, lifeline: int) -> Child:
    job = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        become(job, lifeline)
    return Child(pid, file.with_suffix(".done"), time.monotonic(), float(job["timeout"]))


def become(job: dict[str, Any], lifeline: int) -> None:
    """The rest of a child's life: what `python -m porter_worker.JOB` does, less the imports. Does not return."""
    code = CRASHED
    try:
        os.setsid()
        log = os.open(job["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for stream in (1, 2):
            os.dup2(log, stream)
        move_in(job)
        spawned.START_METHOD = "fork"
        # What was imported stays frozen: vLLM unfreezes it to collect it, and a fork copies what is collected.
        gc.freeze = gc.unfreeze = lambda: None
        sys.argv = [f"porter_worker.{job['job']}", *job["files"]]
        request = Path(job["files"][0])
        asked = {**json.loads(request.read_text(encoding="utf-8")), "lifeline": lifeline}
        request.write_text(json.dumps(asked), encoding="utf-8")
        runtime.serve(importlib.import_module(f"porter_worker.{job['job']}").handle)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def move_in(job: dict[str, Any]) -> None:
    """Environment, folders and module path of this job, also where a package took them over when it was imported."""
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    tempfile.tempdir = None
    sys.path[:0] = job["path"]
    importlib.invalidate_caches()
    cache = job["env"].get("HF_MODULES_CACHE")
    for name in [name for name in sys.modules if name.startswith("transformers.")]:
        if cache and "HF_MODULES_CACHE" in vars(sys.modules[name]):
            sys.modules[name].HF_MODULES_CACHE = cache  # type: ignore[attr-defined]


def handle(payload: dict[str, Any], lifeline: int) -> dict[str, Any]:
    room = Path(payload["room"])
    threads = preload(list(payload["preload"]))
    (room / "ready").touch()
    running: list[Child] = []
    count = 0
    while running or not (room / "end").exists():
        running = [child for child in running if not child.poll()]
        for file in sorted(room.glob("*.job"))[: int(payload["together"]) - len(running)]:
            running.append(start(file, lifeline))
            count += 1
        time.sleep(POLL_SECONDS)
    return {"jobs": count, "threads": threads}


def main() -> None:
    # The watcher of this process takes over the pipe to porter; each child needs it for a watcher of its own.
    lifeline = os.dup(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["lifeline"])
    runtime.serve(lambda payload: handle(payload, lifeline))


if __name__ == "__main__":
    main()

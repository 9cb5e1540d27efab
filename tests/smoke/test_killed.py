"""Porter ended from outside while an engine runs: no process and no shared memory stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = "examples/skylark-vl"
SHARED = Path("/dev/shm")

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM"),
    pytest.mark.skipif(not SHARED.is_dir(), reason="this system has no /dev/shm"),
]


def marked(mark: str) -> list[int]:
    """Processes that still run and whose environment holds `mark`: porter's descendants, wherever they hang."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in environ.read_bytes():
                found.append(int(environ.parent.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def segments() -> set[str]:
    return {path.name for path in SHARED.iterdir() if path.name.startswith(("psm_", "torch_", "sem.mp", "wnsm"))}


def wait_for(condition: Callable[[], bool]) -> bool:
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


def ported(folder: Path) -> Path:
    """A port of the bundled example."""
    command = [sys.executable, "-m", "porter", "new-model", EXAMPLE, "--plugin", str(folder), "--yes", "--no-smoke"]
    subprocess.run([*command, "--trust-remote-code", "--quiet"], cwd=ROOT, check=True)
    return folder


def started(port: Path, mark: str, log: Path) -> subprocess.Popen[bytes]:
    """`porter smoke-test` on a port, with `mark` in the environment of every process that it starts."""
    command = [sys.executable, "-m", "porter", "smoke-test", str(port), "--repo", EXAMPLE, "--no-parity", "--quiet"]
    env = {**os.environ, "END_OF_PORTER": mark, "TMPDIR": str(log.parent)}
    return subprocess.Popen([*command, "--log", str(log)], cwd=ROOT, env=env, start_new_session=True)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ported(tmp_path_factory.mktemp("killed") / "skylark-vl")


@pytest.mark.parametrize(
    ("seconds", "how"), [(1.0, signal.SIGKILL), (5.0, signal.SIGKILL), (9.0, signal.SIGINT), (14.0, signal.SIGKILL)]
)
def test_nothing_stays_behind(seconds: float, how: signal.Signals, port: Path, tmp_path: Path) -> None:
    before, mark = segments(), f"END_OF_PORTER={uuid.uuid4()}"
    process = started(port, mark.partition("=")[2], tmp_path / "worker.log")
    try:
        time.sleep(seconds)
        assert marked(mark), "porter ended before it could be killed"
    finally:
        process.send_signal(how)
        process.wait()
    assert wait_for(lambda: not marked(mark)), marked(mark)
    assert not segments() - before

"""Porter killed with kill -9 at 20 random moments of a ladder: which processes and shared memory stay behind.

`python bench/killed.py [--seed N] [--rounds N]`. Exit code 1 when anything stays.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
ROUNDS = 20
LONGEST = 40.0
"""Seconds: the ladder of the example takes about this long on two cores."""


def killed_after(port: Path, seconds: float) -> tuple[int, int, bool]:
    """(processes left, shared memory segments left, whether porter still ran when it was killed)."""
    from tests.smoke.test_killed import marked, segments, started, wait_for

    with tempfile.TemporaryDirectory() as folder:
        mark, before = f"END_OF_PORTER={uuid.uuid4()}", segments()
        process = started(port, mark.partition("=")[2], Path(folder) / "worker.log")
        time.sleep(seconds)
        running = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_for(lambda: not marked(mark))
        return len(marked(mark)), len(segments() - before), running


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    moments = [random.Random(options.seed + index).uniform(0.2, LONGEST) for index in range(options.rounds)]
    from tests.smoke.test_killed import ported

    with tempfile.TemporaryDirectory() as folder:
        port = ported(Path(folder) / "skylark-vl")
        left = [killed_after(port, moment) for moment in moments]
    for moment, (processes, memory, running) in zip(moments, left, strict=True):
        state = "running" if running else "already over"
        print(f"{moment:5.1f} s ({state}): {processes} processes, {memory} segments left")
    print(f"{len(left)} kills: {sum(row[0] for row in left)} processes and {sum(row[1] for row in left)} segments left")
    return 1 if any(row[0] or row[1] for row in left) else 0


if __name__ == "__main__":
    sys.exit(main())

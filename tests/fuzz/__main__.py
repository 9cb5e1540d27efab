"""`python -m tests.fuzz FOLDER COMMAND ...`: a porter command in a process of its own, under guard.

The Hub's client reads its settings once per process, so what needs a Hub of the test's own cannot share one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from porter.cli import main
from tests.fuzz.guard import watched


def run(folder: Path, arguments: list[str]) -> int:
    """The exit code, 99 where something was done that must not be; files may be written below `folder` only."""
    with watched(folder) as watch:
        code = main(arguments)
    for line in watch.seen:
        print(f"guard: {line}", file=sys.stderr)
    return 99 if watch.seen else code


sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))

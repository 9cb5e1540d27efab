"""The line of a log that says most. Standard library only: porter reads its workers' logs with it, a worker a server's.

`porter.smoke.explain_log` reads all that a log tells.
"""

from __future__ import annotations

import re
from pathlib import Path

LONGEST = 300
_MARKS = re.compile(r"^\(\w[^)]*\)\s*|^(ERROR|WARNING|INFO)\s[\d\- :.]+\[[^\]]+\]\s*")
_NOISE = re.compile(r"warnings\.warn|destroy_process_group|resource_tracker|^[\^~]+$|^Extension modules:")
_RAISED = re.compile(r"^([\w.]*(Error|Exception|Interrupt)|[\w.]+Exit)\b|^Fatal Python error")
_OF_OTHERS = re.compile(r"See root cause above|initialization failed|AssertionError$|SystemExit|KeyboardInterrupt")
_TOLD = re.compile(r"error: ")


def telling_line(log: Path, start: int = 0, most: int | None = None) -> str:
    """Of a log, from byte `start` and of its last `most` bytes: the last error that is not only about another one.

    Else the last line that is not noise; "" where there is none.
    """
    with log.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(start, size - most) if most else start)
        text = stream.read().decode("utf-8", "replace")
    lines = [line for line in map(plain, text.splitlines()) if line and not _NOISE.search(line)]
    raised = [line for line in lines if _RAISED.search(line)]
    causes = [line for line in raised if not _OF_OTHERS.search(line)]
    chosen = causes or [line for line in lines if _TOLD.search(line)] or raised or lines or [""]
    return "".join(char if char.isprintable() else "?" for char in chosen[-1][:LONGEST])


def plain(line: str) -> str:
    """Without the marks that vLLM puts before what a process says."""
    before = None
    while line != before:
        before, line = line, _MARKS.sub("", line.strip())
    return line

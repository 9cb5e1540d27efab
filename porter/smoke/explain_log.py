"""What was raised according to a log: of several processes in turn, with prefixes, colours, chains and junk in between.

Read once, in bounded memory: a line, a message and a traceback are cut where they are longer than any that says more.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

LONGEST_LINE = 4096
LONGEST_MESSAGE = 4000
LONGEST_TEXT = 40
"""Lines of a message."""
MOST_FRAMES = 120
MOST_PROCESSES = 256
LONGEST_SILENCE = 1000
"""Lines of others that may stand within a traceback."""

_COLOUR = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_TIME = re.compile(r"^\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*(?:Z|[+-]\d\d:?\d\d)?\]?\s(?:std(?:out|err) [FP] )?")
_CONTAINER = re.compile(r"^[\w.-]{1,64}\s*\|\s")
_PROCESS = re.compile(r"^(\([A-Za-z][\w.]*(?: [\w.=:,]+)* ?(?:pid|rank|ip)=[^)]*\)|\[rank\d+\]:) ?")
_HEADER = re.compile(
    r"^(?:\[\w+\] )?(DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d (?:\[[^\]]*\]|[\w.]+:\d+\]) ?"
)
_FRAME = re.compile(r'^\s*File "([^"\n]+)", line (\d+)(?:,)? in (.+)$')
_EXCEPTION = re.compile(
    r"^(?:E {2,}|Process [\w-]+: )?((?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt|Warning))(?:: ?(.*))?$"
)
_NAMED = re.compile(r"\b((?:\w+\.)*\w*(?:Error|Exception)): (.+)$")
_MARKS = re.compile(r"^[\s~^]+$")
_LINK = ("The above exception was the direct cause", "During handling of the above exception")
_START = "Traceback (most recent call last)"
_CRASH = ("Fatal Python error:", "most recent call first")
_TELLING = re.compile(
    rb"rror|xception|Traceback|ailed|not supported|died|illed|most recent call|File \"|above exception"
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a traceback; `text` is the source that stood there, empty where the log does not show it."""

    file: str
    line: int
    function: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception, or a line that tells of one (`type` empty).

    `lines`: where each line of the message stands, from 1; `frames` outermost first; `traced`: with a traceback.
    """

    type: str
    message: str
    lines: tuple[int, ...]
    frames: tuple[Frame, ...] = ()
    traced: bool = False


def raised(lines: Iterable[bytes]) -> Iterator[Raised]:
    """Every exception in the order in which it was written; of a chain the first is the one that began it."""
    processes: dict[str, _Process] = {}
    for number, line in enumerate(lines, 1):
        if number % LONGEST_SILENCE == 0 or len(processes) > MOST_PROCESSES:
            yield from _silent(processes, number)
        if processes or _TELLING.search(line):
            name, text = _split(line)
            yield from processes.setdefault(name, _Process()).take(text, number)
            if not processes[name].reading:
                del processes[name]
    for process in processes.values():
        yield from process.end()


def _silent(processes: dict[str, _Process], number: int) -> Iterator[Raised]:
    """Who has said nothing for long is not waited for; nor is the first of too many."""
    first = next(iter(processes)) if len(processes) > MOST_PROCESSES else None
    for name in [*processes]:
        if name == first or processes[name].heard + LONGEST_SILENCE < number:
            yield from processes.pop(name).end()


def cut_lines(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of a binary stream, each cut to a bounded length, whatever lies between the line breaks."""
    kept = b""
    for block in stream:
        *whole, rest = (kept + block).split(b"\n")
        yield from (line[:LONGEST_LINE] for line in whole)
        kept = rest[:LONGEST_LINE]
    if kept:
        yield kept


def _split(line: bytes) -> tuple[str, str]:
    """The process that wrote a line (and whether its logger did), and what it wrote."""
    text = _COLOUR.sub("", line[:LONGEST_LINE].decode("utf-8", "replace")).rstrip()
    text = "".join(char for char in text if char.isprintable() or char == "\t")
    text = _TIME.sub("", _CONTAINER.sub("", text))
    process = _PROCESS.match(text)
    text = text[process.end() :] if process else text
    inner = _PROCESS.match(text)
    text = text[inner.end() :] if inner else text
    header = _HEADER.match(text)
    text = text[header.end() :] if header else text
    return f"{process.group(1) if process else ''}{'#' if header else ''}", text


@dataclass(slots=True)
class _Process:
    """What one process is in the middle of telling."""

    frames: deque[Frame] = field(default_factory=lambda: deque(maxlen=MOST_FRAMES))
    reading: bool = False
    heard: int = 0
    crash: str = ""
    type: str = ""
    message: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def take(self, text: str, number: int) -> Iterator[Raised]:
        self.heard = number
        if _START in text or text.startswith(_CRASH[0]) or text.startswith(_LINK):
            yield from self.end()
            self._begin(text, number)
        elif not self.reading:
            yield from _told(text, number)
        elif not self.type:
            yield from self._traceback(text, number)
        elif not text.strip() or len(self.message) > LONGEST_TEXT:
            yield from self.end()
        elif _EXCEPTION.match(text):
            yield from self.end()
            yield from _told(text, number)
        else:
            self._say(text, number)

    def _begin(self, text: str, number: int) -> None:
        self.reading = _START in text or text.startswith(_CRASH[0])
        self.crash, self.lines = (text if text.startswith(_CRASH[0]) else ""), [number]

    def _say(self, text: str, number: int) -> None:
        self.message.append(text)
        self.lines.append(number)

    def _traceback(self, text: str, number: int) -> Iterator[Raised]:
        frame = _FRAME.match(text)
        found = _EXCEPTION.match(text)
        if frame:
            made = Frame(frame.group(1), int(frame.group(2)), frame.group(3).strip())
            self.frames.appendleft(made) if self.crash else self.frames.append(made)
        elif found and not self.crash:
            self.type, self.lines = found.group(1).rpartition(".")[2], []
            self._say(found.group(2) or "", number)
        elif self.frames and (text[:1].isspace() or not (self.frames[-1].text or self.crash)):
            self._source(text)
        elif self.frames and not text[:1].isspace():
            yield from self.end()

    def _source(self, text: str) -> None:
        last = self.frames[-1]
        if not last.text and not _MARKS.match(text) and not self.crash:
            self.frames[-1] = Frame(last.file, last.line, last.function, text.strip())

    def end(self) -> Iterator[Raised]:
        """The traceback is over: what it told, if it was whole."""
        if self.type or self.crash:
            message = self.crash or "\n".join(self.message)
            yield Raised(self.type, message[:LONGEST_MESSAGE], tuple(self.lines), tuple(self.frames), traced=True)
        self.frames.clear()
        self.message.clear()
        self.reading, self.type, self.crash = False, "", ""


def _told(text: str, number: int) -> Iterator[Raised]:
    """A line outside any traceback that names an exception or a failure."""
    named = _EXCEPTION.match(text) or _NAMED.search(text)
    if named:
        yield Raised(named.group(1).rpartition(".")[2], (named.group(2) or "")[:LONGEST_MESSAGE], (number,))
    elif text:
        yield Raised("", text, (number,))

"""Requirement lines of a tree's tests: one line into each `requirements/test/*.in` that lacks the package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from porter.changes.state import decode
from porter.errors import TreeError
from porter.planning.plan import FileChange
from porter.planning.sites.order import insertion_index

FOLDER = "requirements/test"
COMMON = "requirements/common.txt"
COMPILE = "pip compile"
PURPOSE = "required for"
MAX_INCLUDES = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One requirement line: its number from 0, the canonical package name, and whether a comment tells its purpose."""

    number: int
    name: str
    purpose: bool


def requirement_edits(root: Path, packages: Sequence[str], title: str) -> tuple[FileChange, ...]:
    """The edits that make `packages` known to the tests; files that have them all, or that serving has, are left out.

    Raises TreeError when the tree has no file to put them into. Compiled `.txt` files are the tree's own command's.
    """
    if not packages:
        return ()
    paths = sorted((root / FOLDER).glob("*.in"))
    if not paths:
        raise TreeError(f"this vLLM tree has no {FOLDER}/*.in for {', '.join(packages)}", where=str(root / FOLDER))
    common = root / COMMON
    served = frozenset(_included(common, decode(common.read_bytes()))) if common.is_file() else frozenset()
    changes: list[FileChange] = []
    for path in paths:
        old = decode(path.read_bytes())
        known = {*_included(path, old), *served}
        lacking = [name for name in packages if canonicalize_name(name) not in known]
        new = old
        for name in lacking:
            new = with_requirement(new, name, f"{PURPOSE} {title} test")
        if lacking:
            changes.append(FileChange(path.relative_to(root).as_posix(), old, new))
    return tuple(changes)


def compile_commands(root: Path, path: str) -> tuple[str, ...]:
    """The commands, as the tree's own compiled files state them, that compile `path` again."""
    found: list[str] = []
    for compiled in sorted((root / path).parent.glob("*.txt")):
        lines = compiled.read_text(encoding="utf-8", errors="replace").splitlines()[:5]
        commands = (line.lstrip("# ") for line in lines if COMPILE in line and line.startswith("#"))
        found.extend(command for command in commands if path in command.split())
    return tuple(found)


def with_requirement(text: str, package: str, purpose: str) -> str:
    """`text` with a line for the package, in the block whose lines say what each is required for."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.split(newline)
    line = f"{package} # {purpose}"
    block = _block(list(_lines(lines)))
    if not block:
        end = len(lines) - (lines[-1] == "")
        return newline.join([*lines[:end], line, *lines[end:]])
    index = insertion_index([item.name for item in block], canonicalize_name(package))
    at = block[index].number if index < len(block) else block[-1].number + 1
    return newline.join([*lines[:at], line, *lines[at:]])


def _lines(lines: Sequence[str]) -> Iterator[Line]:
    for number, line in enumerate(lines):
        text, _, comment = line.partition("#")
        name = requirement_name(text)
        if name is not None:
            yield Line(number, name, PURPOSE in comment.lower())


def requirement_name(text: str) -> str | None:
    """The canonical name in a requirement; None for options, comments and what pip would not read."""
    text = text.partition(" --")[0].strip().removesuffix("\\").strip()
    if not text or text.startswith("-"):
        return None
    try:
        return canonicalize_name(Requirement(text).name)
    except InvalidRequirement:
        return None


def _block(lines: Sequence[Line]) -> list[Line]:
    """The run of neighbouring lines with most stated purposes; the longest run where none has any."""
    runs: list[list[Line]] = []
    for line in lines:
        if runs and runs[-1][-1].number + 1 == line.number:
            runs[-1].append(line)
        else:
            runs.append([line])
    return max(runs, key=lambda run: (sum(line.purpose for line in run), len(run)), default=[])


def _included(path: Path, text: str) -> Iterator[str]:
    """Names in a file and in those that it includes with `-r`."""
    waiting, seen = [(path, text)], {path.resolve()}
    while waiting:
        current, content = waiting.pop()
        yield from (line.name for line in _lines(content.splitlines()))
        for other in _includes(current, content):
            if other.resolve() not in seen and len(seen) < MAX_INCLUDES:
                seen.add(other.resolve())
                waiting.append((other, other.read_text(encoding="utf-8", errors="replace")))


def _includes(path: Path, content: str) -> Iterator[Path]:
    for line in content.splitlines():
        option, _, name = line.strip().partition(" ")
        other = path.parent / PurePosixPath(name.strip())
        if option in ("-r", "--requirement") and other.is_file():
            yield other

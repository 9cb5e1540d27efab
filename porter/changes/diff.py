"""A plan as a unified diff."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from porter.planning.plan import FileChange, Plan


@dataclass(frozen=True, slots=True)
class DiffCount:
    files: int
    added: int
    removed: int


def diff(plan: Plan) -> str:
    """The unified diff of every file that changes, new files against /dev/null; empty when nothing changes."""
    return "".join(file_diff(change) for change in plan.changes)


def file_diff(change: FileChange) -> str:
    if change.action == "unchanged":
        return ""
    lines = difflib.unified_diff(
        _lines(change.old or ""),
        _lines(change.new),
        "/dev/null" if change.old is None else f"a/{change.path}",
        f"b/{change.path}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def count(plan: Plan) -> DiffCount:
    """How many files change, and by how many lines."""
    changed = [change for change in plan.changes if change.action != "unchanged"]
    added = removed = 0
    for change in changed:
        for tag, a_from, a_to, b_from, b_to in _opcodes(change):
            if tag != "equal":
                added, removed = added + b_to - b_from, removed + a_to - a_from
    return DiffCount(len(changed), added, removed)


def _opcodes(change: FileChange) -> list[tuple[str, int, int, int, int]]:
    matcher = difflib.SequenceMatcher(None, _lines(change.old or ""), _lines(change.new), autojunk=False)
    return list(matcher.get_opcodes())


def _lines(text: str) -> list[str]:
    """Lines at newlines only: a form feed inside a line is no line end to a diff."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])

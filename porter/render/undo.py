"""`porter undo` on a terminal."""

from __future__ import annotations

from porter.commands.undo import UndoResult
from porter.console import Console


def show(console: Console, result: UndoResult) -> None:
    if not result.files:
        console.line(f"{result.port}: nothing to undo")
        return
    console.line(f"undone: {result.port}", "bold")
    console.table([(action, path) for path, action in result.files], ("action", "file"))

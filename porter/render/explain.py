"""`porter explain` on a terminal."""

from __future__ import annotations

from porter.commands.explain import ExplainResult
from porter.console import Console
from porter.smoke.explain import Cause, Explanation


def show(console: Console, result: ExplainResult) -> None:
    found = result.explanation
    for cause in found.causes:
        show_cause(console, cause)
    if not found.causes:
        console.line(_unrecognised(found), "yellow")
    if found.frame is not None:
        frame = found.frame
        console.line(f"where: {frame.file}:{frame.line} in {frame.function}")
        if frame.text:
            console.line(f"       {frame.text}")


def show_cause(console: Console, cause: Cause) -> None:
    console.line(f"{cause.name}: {cause.cause}", "bold")
    console.item(f"log line {cause.line}: {cause.text}")
    console.item(f"change: {cause.change}")
    console.item(f"caught earlier by: porter smoke-test --rungs {cause.rung}")
    if cause.threads:
        console.item(f"threads: {', '.join(cause.threads)}")


def _unrecognised(found: Explanation) -> str:
    unknown = found.unknown
    if unknown is None:
        return "no error was found in this log"
    return f"not a known error, line {unknown.lines[0]}: {unknown.type}: {unknown.message.strip()}".rstrip(": ")

"""`porter new-model` on a terminal: what was decided, written and checked, and the next command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from porter.commands.reading import Check, ModelResult
from porter.console import Console
from porter.jsontypes import JSONObject
from porter.planning.plan import FileChange, Plan
from porter.render.model import show_head, show_list, show_questions

SECONDS = "{:.1f} s"


def show(console: Console, result: ModelResult) -> None:
    show_head(console, result)
    if result.error is not None or result.plan is None:
        show_questions(console, result)
    if result.plan is not None:
        show_plan(console, result, result.plan)
    show_checks(console, result.checks)
    show_proof(console, result.smoke)
    show_list(console, "Open items", [f"{item.what}: {item.why}  {item.where}" for item in result.todo])
    if result.written and result.plan is not None and result.error is None:
        console.heading(next_step(result, result.plan))


def show_plan(console: Console, result: ModelResult, plan: Plan) -> None:
    """The files when they were written, the diff when they were not."""
    if not result.written:
        console.diff(result.diff)
        return
    console.line(f"port: {plan.root}", "bold")
    rows = [(change.action, change.path, changed_lines(plan, change)) for change in plan.changes]
    console.table(rows, ("action", "file", "lines"))
    show_list(console, "Kept as backups", list(result.backups))


def changed_lines(plan: Plan, change: FileChange) -> str:
    """`+12`, or `+12 -3` where lines went."""
    from porter.changes import count

    found = count(replace(plan, changes=(change,)))
    return f"+{found.added}" + (f" -{found.removed}" if found.removed else "")


def show_checks(console: Console, checks: Sequence[Check]) -> None:
    if checks:
        console.heading("Checks")
        rows = [(c.name, c.status, "" if c.seconds is None else SECONDS.format(c.seconds), c.detail) for c in checks]
        console.table(rows, ("check", "status", "time", "detail"))


def show_proof(console: Console, smoke: JSONObject | None) -> None:
    """What the proof does not cover stands beside it every time."""
    parity = (smoke or {}).get("parity")
    if not isinstance(parity, dict):
        return
    unproven = parity.get("not_proven")
    show_list(console, "Not proven", [str(line) for line in unproven] if isinstance(unproven, list) else [])


def next_step(result: ModelResult, plan: Plan) -> str:
    repo = result.reading.snapshot.repo if result.reading else None
    model = (repo.folder or repo.id) if repo else "REPO"
    wrong = [check.name for check in result.checks if check.status in ("failed", "error", "unproven")]
    if wrong:
        port = plan.root if plan.layout == "plugin" else f"{plan.root}::{plan.module}"
        again = "check-weights" if wrong == ["check-weights"] else "smoke-test"
        return f"not ready to serve: {', '.join(wrong)}; next: porter {again} {port} --repo {model} --verbose"
    proven = any(check.name == "parity" and check.status == "passed" for check in result.checks)
    doubt = "" if proven else "not proven against the repo's own code; "
    if plan.layout == "plugin":
        return f"{doubt}next: pip install {plan.root} && vllm serve {model}"
    return f"next: cd {plan.root} && git diff"

"""Taking a port out again: the bytes that stood there before come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from porter.commands.session import Result, Silent, Talk
from porter.errors import Refused, UsageError
from porter.jsontypes import JSON, JSONObject


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """`port` as typed, None = the port around the current folder; `yes` agrees to merges."""

    port: str | None = None
    yes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoResult(Result):
    """What was done per file: `restore`, `merge` or `delete`."""

    port: str
    files: Sequence[tuple[str, str]]

    def to_json(self) -> JSONObject:
        files: JSON = [{"path": path, "action": action} for path, action in self.files]
        return {"port": self.port, "files": files}


def undo(request: UndoRequest, talk: Talk | None = None) -> UndoResult:
    """Raises TargetError when edits would be lost, UsageError when a merge needs a yes that nobody gave."""
    from porter.changes.diff import file_diff
    from porter.changes.undo import plan_undo
    from porter.changes.undo import undo as carry_out
    from porter.ports import find_port, load_port

    talk = talk or Silent()
    plan = plan_undo(load_port(request.port) if request.port else find_port(Path()))
    if plan.merge and not plan.conflicts:
        talk.show_plan("\n".join(file_diff(change) for change in plan.merge))
        agree([change.path for change in plan.merge], request, talk)
    carry_out(plan)
    done = [
        *((change.path, "restore") for change in plan.restore),
        *((change.path, "merge") for change in plan.merge),
        *((path, "delete") for path in plan.delete),
    ]
    return UndoResult(port=plan.port.spec, files=sorted(done))


def agree(paths: Sequence[str], request: UndoRequest, talk: Talk) -> None:
    """A file that was edited since is merged only when a person says so."""
    if request.yes:
        return
    names = ", ".join(paths)
    if not talk.interactive:
        raise UsageError(f"{names} changed since porter wrote it: taking the change out needs --yes")
    if not talk.confirm(f"Take porter's change out of {names}?"):
        raise Refused("nothing was changed: not confirmed")

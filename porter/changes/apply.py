"""Applying a plan to a folder: all of it or nothing, and never over someone's edits."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from porter.changes.manifest import complete, manifest_path, to_text
from porter.changes.state import State, checked_path, decode, encode, read_bytes
from porter.changes.transaction import Operation, Step, commit, no_step, recover, write_synced
from porter.errors import TargetError
from porter.planning.plan import FileChange, Plan

Action = Literal["create", "edit", "unchanged"]


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done: the action per path, and the paths of backups (relative to the target) that `force` made."""

    actions: tuple[tuple[str, Action], ...]
    backups: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return any(action != "unchanged" for _, action in self.actions)


def settle(plan: Plan, target: Path, *, force: bool = False) -> Plan:
    """The plan against what is on disk now: `old` becomes the text that stands there, so actions and diff are true.

    Raises TargetError for a file that holds something else: one that was to be new, one that changed since the plan was
    made, or one of porter's own that somebody edited. `force` allows the first and the last.
    """
    state = State(target, plan.module)
    if target.exists() and not target.is_dir():
        raise TargetError(f"{target} is not a folder", where=str(target))
    return replace(plan, changes=tuple(_settled(change, state, force) for change in plan.changes))


def apply(plan: Plan, target: Path, *, force: bool = False, step: Step = no_step) -> Applied:
    """Write the plan's files, porter.json and the undo data. Raises TargetError with nothing written.

    A target that does not exist yet appears complete, by one rename. `step` is called before each step that touches the
    disk.
    """
    recover(target, State(target, plan.module).stage)
    plan = settle(plan, target, force=force)
    operations, backups = _operations(plan, target)
    changed = [item for item in operations if read_bytes(target / item.path) != item.new]
    if not target.exists():
        _create(target, changed, step)
    elif changed:
        commit(target, State(target, plan.module).stage, changed, step)
    return Applied(tuple((change.path, change.action) for change in plan.changes), backups)


def _settled(change: FileChange, state: State, force: bool) -> FileChange:
    real = checked_path(state.root, change.path)
    data = read_bytes(state.root / real)
    new = encode(change.new)
    if data is None:
        if change.old is not None:
            raise TargetError(f"{change.path} is gone since the plan was made", where=str(state.root / real))
        return replace(change, path=real)
    if data != new and not _replaceable(change, data, state.generated(real), force):
        raise _occupied(change, state, real)
    return replace(change, path=real, old=decode(data))


def _replaceable(change: FileChange, data: bytes, generated: bytes | None, force: bool) -> bool:
    """An edit needs the text it was made from; a whole file may replace only what porter itself wrote."""
    if change.old is not None:
        return data == encode(change.old)
    return force or data == generated


def _occupied(change: FileChange, state: State, real: str) -> TargetError:
    where = str(state.root / real)
    if change.old is not None:
        return TargetError(f"{change.path} changed since the plan was made; run again", where=where)
    if state.generated(real) is not None:
        message = f"{change.path} was edited since porter wrote it"
    else:
        message = f"{change.path} exists with other content"
    return TargetError(f"{message}; nothing was written", hint="--force keeps a backup and replaces it", where=where)


def _operations(plan: Plan, target: Path) -> tuple[list[Operation], tuple[str, ...]]:
    state = State(target, plan.module)
    before = {change.path: _before(change, state) for change in plan.changes}
    modes = {change.path: _mode(target / change.path) for change in plan.changes}
    operations = [Operation(f"{state.folder}/.gitignore", b"*\n")]
    backups = []
    for change in plan.changes:
        old, new = change.old, encode(change.new)
        if old is not None and _loses(old, change, state):
            backups.append(state.backup_path(change.path))
            operations.append(Operation(backups[-1], encode(old)))
        first = before[change.path]
        if first is not None:
            operations.append(Operation(state.before_path(change.path), first))
        operations.append(Operation(state.generated_path(change.path), new))
        operations.append(Operation(change.path, new))
    manifest = complete(plan, before, modes)
    operations.append(Operation(manifest_path(plan.layout, plan.module), to_text(manifest).encode()))
    return operations, tuple(backups)


def _before(change: FileChange, state: State) -> bytes | None:
    """What stood there before porter's first run: remembered, else what stands there now."""
    if state.generated(change.path) is not None or change.old is None:
        return state.before(change.path)
    return encode(change.old)


def _loses(old: str, change: FileChange, state: State) -> bool:
    """Lines go that porter did not write itself. An edit that only adds loses nothing."""
    if encode(old) == state.generated(change.path):
        return False
    return bool(Counter(old.split("\n")) - Counter(change.new.split("\n")))


def _mode(path: Path) -> str:
    """As git sees it, so that a machine's umask does not show in the manifest."""
    return "0755" if path.is_file() and path.stat().st_mode & 0o100 else "0644"


def _create(target: Path, operations: Sequence[Operation], step: Step) -> None:
    """Build the folder beside its place, then give it its name."""
    made = [folder for folder in target.parents if not folder.exists()]
    draft = target.parent / f".{target.name}.porter-{os.getpid()}"
    try:
        step("draft")
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear_drafts(target)
        for operation in operations:
            step(f"write {operation.path}")
            (draft / operation.path).parent.mkdir(parents=True, exist_ok=True)
            write_synced(draft / operation.path, operation.new or b"")
        step("name")
        draft.rename(target)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise TargetError(
                f"{target} cannot be written: {error.strerror or error}; nothing was changed", where=str(target)
            ) from error
        raise


def _clear_drafts(target: Path) -> None:
    """Drafts of runs that were killed; one whose process still lives is left alone."""
    for draft in target.parent.glob(f".{target.name}.porter-*"):
        owner = draft.name.rpartition("-")[2]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(draft, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

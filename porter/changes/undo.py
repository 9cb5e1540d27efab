"""Taking a port out again: bytes where a file is as porter left it, else porter's change alone, by three-way merge."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from porter.changes.manifest import NAME
from porter.changes.state import STATE, State, checked_path, decode, encode, read_bytes
from porter.changes.transaction import Operation, Step, commit, no_step, recover
from porter.errors import TargetError
from porter.planning.plan import FileChange
from porter.ports import Port


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """What undo would do: `restore` and `merge` as changes to show, `delete` paths, `conflicts` with a reason."""

    port: Port
    restore: tuple[FileChange, ...]
    merge: tuple[FileChange, ...]
    delete: tuple[str, ...]
    conflicts: tuple[str, ...]

    @property
    def empty(self) -> bool:
        return not (self.restore or self.merge or self.delete or self.conflicts)


def plan_undo(port: Port) -> UndoPlan:
    """Decide per file; nothing is written (a run that was cut short is finished first)."""
    state = State(port.root, port.module)
    recover(port.root, state.stage)
    restore, merge, delete, conflicts = [], [], [], []
    for path in port.files():
        checked_path(port.root, path)
        now, before, generated = read_bytes(port.root / path), state.before(path), state.generated(path)
        if now is None or now == before:
            continue
        if generated is None:
            conflicts.append(f"{path}: what porter wrote is not recorded any more")
        elif before is None and now == generated:
            delete.append(path)
        elif before is None:
            conflicts.append(f"{path}: was edited since porter wrote it")
        elif now == generated:
            restore.append(_change(path, now, before))
        elif (merged := merge_out(now, generated, before)) is not None:
            merge.append(_change(path, now, merged))
        else:
            conflicts.append(f"{path}: was edited in the lines that porter added")
    return UndoPlan(port, tuple(restore), tuple(merge), tuple(delete), tuple(conflicts))


def undo(plan: UndoPlan, *, step: Step = no_step) -> None:
    """Carry an undo out, all or nothing. Raises TargetError naming the conflicts, with nothing changed."""
    port = plan.port
    if plan.conflicts:
        message = f"undo would lose edits: {'; '.join(plan.conflicts)}"
        raise TargetError(message, hint="take the edits out, or move the file away")
    state = State(port.root, port.module)
    operations = [Operation(item.path, encode(item.new)) for item in (*plan.restore, *plan.merge)]
    operations += [Operation(path, None) for path in plan.delete]
    if port.layout == "plugin" and (port.root / NAME).is_file():
        operations.append(Operation(NAME, None))
    commit(port.root, state.stage, operations, step)
    _forget(state)
    _remove_empty(port.root, [*plan.delete, f"{STATE}/{port.module}/x"])


def _forget(state: State) -> None:
    """Drop the undo data; backups of somebody's edits stay."""
    folder = state.root / state.folder
    kept = {"backup", ".gitignore"} if (folder / "backup").is_dir() else set()
    for item in folder.iterdir() if folder.is_dir() else ():
        if item.name not in kept:
            shutil.rmtree(item) if item.is_dir() else item.unlink()


def merge_out(now: bytes, generated: bytes, before: bytes) -> bytes | None:
    """`now` without the change from `before` to `generated`; None when the two overlap, or there is no git to merge."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("now", "generated", "before")]
        for path, data in zip(paths, (now, generated, before), strict=True):
            path.write_bytes(data)
        try:
            done = subprocess.run(
                ["git", "merge-file", "-p", "-q", *map(str, paths)], capture_output=True, timeout=60, check=False
            )
        except (OSError, subprocess.SubprocessError):
            return None
    return done.stdout if done.returncode == 0 else None


def _change(path: str, old: bytes, new: bytes) -> FileChange:
    return FileChange(path, decode(old), decode(new))


def _remove_empty(root: Path, paths: list[str]) -> None:
    """Folders that only porter's files and Python's caches of them had kept, `root` itself last."""
    folders = {parent for path in paths for parent in (root / path).parents if parent.is_relative_to(root)}
    for folder in sorted(folders, key=lambda item: -len(item.parts)):
        if folder.is_dir() and {item.name for item in folder.iterdir()} == {"__pycache__"}:
            shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        with suppress(OSError):
            folder.rmdir()

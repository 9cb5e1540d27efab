"""Writing many files as one: staged, journalled, then renamed; a run cut short is finished or undone.

    stage/new/N      the bytes to come, complete and synced before anything is touched
    stage/old/N      the bytes that were there
    stage/journal    what is to happen; once it exists the change will happen, by this run or by the next (`recover`)
    stage/back       set when this run gave up: the next one puts the old bytes back instead

Marking `back` is a rename, which needs no room on a full disk.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from porter.changes.state import checked_path
from porter.errors import TargetError

Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Operation:
    """One file: `new` None deletes it. `path` is relative to the root; `mode` None keeps what is there."""

    path: str
    new: bytes | None
    mode: int | None = None


def no_step(step: str) -> None:
    """Called before every step that touches the disk."""


def commit(root: Path, stage: Path, operations: Sequence[Operation], step: Step = no_step) -> None:
    """Apply all operations or none. `stage` is a folder of its own below `root`.

    Raises TargetError, with `root` as it was, when something cannot be written.
    """
    if not operations:
        return
    made = _missing_folders(root, [stage, *(root / operation.path for operation in operations)])
    try:
        _stage(root, stage, operations, made, step)
    except BaseException as error:
        _clear(stage)
        _remove_empty(root, made)
        raise _as_target_error(error, root) from error
    try:
        _forward(root, stage, step)
    except BaseException as error:
        if not (stage / "journal").exists():
            # every file is in place; an error while cleaning up is not a failed change
            if isinstance(error, OSError):
                return
            raise
        (stage / "back.ready").rename(stage / "back")
        _backward(root, stage)
        raise _as_target_error(error, root) from error


def recover(root: Path, stage: Path) -> str | None:
    """Finish or undo a run that was cut short: `finished`, `undone`, or None when there was none."""
    if not stage.is_dir():
        return None
    try:
        if not (stage / "journal").is_file():
            _clear(stage)
            return None
        if (stage / "back").exists():
            _backward(root, stage)
            return "undone"
        _forward(root, stage, no_step)
        return "finished"
    except OSError as error:
        raise _as_target_error(error, root) from error


def _stage(root: Path, stage: Path, operations: Sequence[Operation], made: list[str], step: Step) -> None:
    step("stage")
    _clear(stage)
    for name in ("new", "old"):
        (stage / name).mkdir(parents=True, exist_ok=True)
    entries = []
    for number, operation in enumerate(operations):
        step(f"stage {operation.path}")
        entries.append(_stage_one(root, stage, number, operation))
    write_synced(stage / "back.ready", b"")
    step("journal")
    write_synced(stage / "journal.part", json.dumps({"operations": entries, "made": made}).encode())
    _sync_folders([stage / "new", stage / "old", stage])
    (stage / "journal.part").rename(stage / "journal")
    _sync_folders([stage])


def _stage_one(root: Path, stage: Path, number: int, operation: Operation) -> dict[str, Any]:
    path = root / operation.path
    existed = path.is_file()
    mode = operation.mode if operation.mode is not None else (path.stat().st_mode & 0o7777 if existed else None)
    if existed:
        write_synced(stage / "old" / str(number), path.read_bytes(), path.stat().st_mode & 0o7777)
    if operation.new is not None:
        write_synced(stage / "new" / str(number), operation.new, mode)
    return {"path": operation.path, "existed": existed, "delete": operation.new is None}


def _forward(root: Path, stage: Path, step: Step) -> None:
    journal = _journal(root, stage)
    folders: set[Path] = set()
    for number, entry in enumerate(journal["operations"]):
        path = root / entry["path"]
        step(f"replace {entry['path']}")
        staged = stage / "new" / str(number)
        if entry["delete"]:
            path.unlink(missing_ok=True)
        elif staged.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(path)
        if path.parent.is_dir():
            folders.add(path.parent)
    _sync_folders(sorted(folders))
    step("finish")
    _finish(stage)


def _backward(root: Path, stage: Path) -> None:
    journal = _journal(root, stage)
    for number, entry in reversed(list(enumerate(journal["operations"]))):
        path, old = root / entry["path"], stage / "old" / str(number)
        if old.exists():
            old.replace(path)
        elif not entry["existed"] and not (stage / "new" / str(number)).exists():
            path.unlink(missing_ok=True)
    _finish(stage)
    _remove_empty(root, journal["made"])


def _journal(root: Path, stage: Path) -> dict[str, Any]:
    """Raises TargetError for one that leaves the target: it may have come with a folder from anywhere."""
    try:
        journal: dict[str, Any] = json.loads((stage / "journal").read_bytes())
        for entry in journal["operations"]:
            checked_path(root, entry["path"])
        outside = [folder for folder in journal["made"] if ".." in PurePosixPath(folder).parts or folder[:1] == "/"]
    except (ValueError, TypeError, KeyError) as error:
        raise TargetError(f"{stage} is damaged: {error}", hint="remove it", where=str(stage)) from error
    if outside:
        raise TargetError(f"{stage} names folders outside the target", hint="remove it", where=str(stage))
    return journal


def _finish(stage: Path) -> None:
    """Without its journal the stage is only rubbish, so the journal goes first."""
    (stage / "journal").unlink(missing_ok=True)
    _sync_folders([stage])
    _clear(stage)


def write_synced(path: Path, data: bytes, mode: int | None = None) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _missing_folders(root: Path, paths: Sequence[Path]) -> list[str]:
    """The folders below `root` (and `root` itself as `.`) that do not exist yet, deepest first."""
    missing: set[Path] = set()
    for path in paths:
        for folder in [path, *path.parents]:
            if folder.is_relative_to(root) and not folder.exists():
                missing.add(folder)
    return [folder.relative_to(root).as_posix() for folder in sorted(missing, key=lambda item: -len(item.parts))]


def _remove_empty(root: Path, folders: Sequence[str]) -> None:
    for folder in folders:
        with suppress(OSError):
            (root / folder).rmdir()


def _clear(stage: Path) -> None:
    shutil.rmtree(stage, ignore_errors=True)


def _sync_folders(folders: Sequence[Path]) -> None:
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _as_target_error(error: BaseException, root: Path) -> BaseException:
    if not isinstance(error, OSError):
        return error
    where = str(error.filename or root)
    return TargetError(f"{root} cannot be written: {error.strerror or error}; nothing was changed", where=where)

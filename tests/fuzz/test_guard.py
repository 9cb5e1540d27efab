"""The guard itself: each thing that must not happen is seen, and what porter does by right is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.guard import CANARY, watched

ACTS: dict[str, Callable[[Path], object]] = {
    "code of the repo": lambda folder: exec(f"x = '{CANARY}'"),
    "code inside code": lambda folder: exec(f"def f():\n    return {CANARY}\n"),
    "a file elsewhere": lambda folder: (folder / "x").write_text("x"),
    "a file by its number": lambda folder: os.open(folder / "x", os.O_CREAT | os.O_WRONLY),
    "a folder elsewhere": lambda folder: (folder / "x").mkdir(),
    "a path with dots": lambda folder: (folder / "in" / ".." / "x").write_text("x"),
    "a file that goes": lambda folder: (folder / "old").unlink(),
    "a file that moves out": lambda folder: (folder / "in" / "mine").rename(folder / "x"),
    "a link": lambda folder: (folder / "x").symlink_to(folder / "old"),
    "a shell": lambda folder: os.system("true"),
    "a process": lambda folder: subprocess.run([sys.executable, "-c", ""], check=False),
}


@pytest.mark.parametrize("name", ACTS)
def test_what_must_not_happen_is_seen_and_stopped(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for path in (tmp_path / "old", tmp_path / "in" / "mine"):
        path.write_text("kept")
    with watched(tmp_path / "in") as watch, pytest.raises(PermissionError):
        ACTS[name](tmp_path)
    assert len(watch.seen) == 1
    assert (tmp_path / "old").read_text() == (tmp_path / "in" / "mine").read_text() == "kept"
    assert not (tmp_path / "x").exists()


def test_what_is_allowed_is_not_seen(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "b").write_text("x")
        (tmp_path / "a" / "b").rename(tmp_path / "c")
        (tmp_path / "c").read_text()
        exec("x = 1")
    (tmp_path.parent / f"{tmp_path.name}-after").write_text("nobody watches any more")
    assert watch.seen == []

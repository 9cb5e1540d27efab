"""Undo: bytes where files are untouched, a three-way merge where they were edited, refusal where lines overlap."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.changes import apply
from porter.changes.undo import merge_out, plan_undo, undo
from porter.errors import TargetError
from porter.planning.plan import FileChange, Plan
from porter.ports import find_port, load_port
from tests.changes.test_apply import everything, make_tree, plan_for

LONG = "".join(f"line {n}\n" for n in range(20))


def test_undo_restores_every_byte_and_removes_folders(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    before = everything(root)
    apply(plan_for(), root)
    (root / "pkg/sub/__pycache__").mkdir()
    (root / "pkg/sub/__pycache__/new.pyc").write_bytes(b"x")
    undo(plan_undo(load_port(f"{root}::thing")))
    assert everything(root) == before
    assert not (root / ".porter").exists() and not (root / "pkg/sub").exists()


def test_undo_of_a_plugin_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    apply(Plan("", "plugin", "thing", (FileChange("thing/__init__.py", None, "x = 1\n"),)), out)
    undo(plan_undo(find_port(out / "thing")))
    assert not out.exists()


def test_edits_elsewhere_survive(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LONG)
    apply(Plan("", "tree", "m", (FileChange("a.py", LONG, LONG.replace("line 3\n", "line 3\nported\n")),)), tmp_path)
    (tmp_path / "a.py").write_text((tmp_path / "a.py").read_text().replace("line 17\n", "line seventeen\n"))
    plan = plan_undo(load_port(f"{tmp_path}::m"))
    assert [change.path for change in plan.merge] == ["a.py"] and not plan.conflicts
    undo(plan)
    assert (tmp_path / "a.py").read_text() == LONG.replace("line 17\n", "line seventeen\n")


def test_edits_in_porters_lines_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LONG)
    apply(Plan("", "tree", "m", (FileChange("a.py", LONG, LONG.replace("line 3\n", "line 3\nported\n")),)), tmp_path)
    (tmp_path / "a.py").write_text((tmp_path / "a.py").read_text().replace("ported\n", "ported by me\n"))
    before = everything(tmp_path)
    plan = plan_undo(load_port(f"{tmp_path}::m"))
    with pytest.raises(TargetError, match=r"a\.py: was edited in the lines"):
        undo(plan)
    assert everything(tmp_path) == before


def test_an_edited_new_file_is_refused(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    apply(plan_for(), root)
    (root / "pkg/sub/new.py").write_text("mine\n")
    with pytest.raises(TargetError, match="was edited since porter wrote it"):
        undo(plan_undo(load_port(f"{root}::thing")))
    assert (root / "pkg/sub/new.py").read_text() == "mine\n"


def test_undo_after_force_brings_the_foreign_file_back(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    (root / "pkg/sub").mkdir()
    (root / "pkg/sub/new.py").write_text("mine\n")
    apply(plan_for(), root, force=True)
    undo(plan_undo(load_port(f"{root}::thing")))
    assert (root / "pkg/sub/new.py").read_text() == "mine\n"


@pytest.mark.parametrize("at", range(6))
def test_a_fault_during_undo_changes_nothing(tmp_path: Path, at: int) -> None:
    root = make_tree(tmp_path)
    apply(plan_for(), root)
    before, seen = everything(root), iter(range(100))

    def fail(_: str) -> None:
        if next(seen) == at:
            raise OSError(28, "No space left on device")

    with pytest.raises(TargetError):
        undo(plan_undo(load_port(f"{root}::thing")), step=fail)
    assert everything(root) == before


def test_undo_after_undo_of_the_files_is_empty(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    apply(plan_for(), root)
    (root / "pkg/sub/new.py").unlink()
    (root / "pkg/registry.py").write_text("A = 1\n")
    (root / "docs/list.md").write_text("one\n")
    assert plan_undo(load_port(f"{root}::thing")).empty


def test_merge_out_keeps_binary_neighbours() -> None:
    now = b"a\xff\nb\nc\nd\ne\nf\nnew\n"
    assert merge_out(b"A\n" + now, now, now.removesuffix(b"new\n")) == b"A\na\xff\nb\nc\nd\ne\nf\n"


def test_a_manifest_cannot_make_undo_leave_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "porter.json").write_text('{"schema": 1, "files": [], "module": "../.."}')
    with pytest.raises(TargetError):
        undo(plan_undo(load_port(str(out))))
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    "journal",
    [
        '{"operations": [{"path": "../mine", "existed": false, "delete": true}], "made": []}',
        '{"operations": [], "made": ["../empty"]}',
        '{"operations": [{}], "made": []}',
        "[",
    ],
)
def test_a_journal_cannot_make_undo_leave_its_folder(tmp_path: Path, journal: str) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    apply(Plan("", "plugin", "thing", (FileChange("thing/__init__.py", None, "x = 1\n"),)), out)
    (out / ".porter/thing/journal").mkdir()
    (out / ".porter/thing/journal/journal").write_text(journal)
    with pytest.raises(TargetError):
        plan_undo(load_port(str(out)))
    assert (tmp_path / "mine").is_file() and (tmp_path / "empty").is_dir()

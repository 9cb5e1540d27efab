"""Applying plans: preconditions, backups, modes, links, and all-or-nothing under faults at every step."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from porter.changes import apply, diff, settle
from porter.changes.diff import count
from porter.changes.state import State
from porter.changes.transaction import recover
from porter.errors import TargetError
from porter.planning.plan import FileChange, Plan

REGISTRY = "pkg/registry.py"


def plan_for(layout: str = "tree") -> Plan:
    changes = (
        FileChange(REGISTRY, "A = 1\n", "A = 1\nB = 2\n"),
        FileChange("pkg/sub/new.py", None, "print('new')\n"),
        FileChange("docs/list.md", "one\n", "one\ntwo\n"),
    )
    return Plan("", "plugin" if layout == "plugin" else "tree", "thing", changes)


def make_tree(root: Path) -> Path:
    (root / "pkg").mkdir(parents=True)
    (root / "docs").mkdir()
    (root / REGISTRY).write_text("A = 1\n")
    (root / "docs/list.md").write_text("one\n")
    return root


def visible(root: Path) -> dict[str, str]:
    """Every file that is not porter's own state."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and ".porter" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_text() for path in files}


def everything(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    first = apply(plan_for(), root)
    after = everything(root)
    again = apply(Plan("", "tree", "thing", tuple(FileChange(c.path, c.new, c.new) for c in plan_for().changes)), root)
    assert first.changed and not again.changed
    assert everything(root) == after


def test_new_file_given_as_new_again_is_unchanged(tmp_path: Path) -> None:
    plan = Plan("", "plugin", "thing", (FileChange("a.py", None, "x = 1\n"),))
    apply(plan, tmp_path / "out")
    after = everything(tmp_path)
    assert apply(plan, tmp_path / "out").actions == (("a.py", "unchanged"),)
    assert everything(tmp_path) == after


def test_modes_of_edited_files_are_kept_and_recorded(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    (root / REGISTRY).chmod(0o750)
    apply(plan_for(), root)
    assert (root / REGISTRY).stat().st_mode & 0o777 == 0o750
    manifest = json.loads((root / ".porter/thing/porter.json").read_text())
    assert {entry["path"]: (entry["action"], entry["mode"]) for entry in manifest["files"]} == {
        REGISTRY: ("edit", "0755"),
        "pkg/sub/new.py": ("create", "0644"),
        "docs/list.md": ("edit", "0644"),
    }


def test_state_is_invisible_to_git(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    apply(plan_for(), root)
    done = subprocess.run(
        ["git", "-C", str(root), "status", "--porcelain", "-uall"], capture_output=True, text=True, check=True
    )
    assert ".porter" not in done.stdout and "pkg/sub/new.py" in done.stdout


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (REGISTRY, "A = 3\n", "changed since the plan"),
        ("pkg/sub/new.py", "mine\n", "exists with other content"),
        (REGISTRY, None, "is gone"),
    ],
)
def test_other_content_stops_everything(tmp_path: Path, path: str, text: str | None, message: str) -> None:
    root = make_tree(tmp_path)
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).unlink() if text is None else (root / path).write_text(text)
    before = everything(root)
    with pytest.raises(TargetError, match=message) as caught:
        apply(plan_for(), root)
    assert path in caught.value.message
    assert everything(root) == before


@pytest.mark.parametrize("settled", [False, True])
def test_force_replaces_a_foreign_file_and_keeps_a_backup(tmp_path: Path, settled: bool) -> None:
    root = make_tree(tmp_path)
    (root / "pkg/sub").mkdir()
    (root / "pkg/sub/new.py").write_text("mine\n")
    plan = settle(plan_for(), root, force=True) if settled else plan_for()
    done = apply(plan, root, force=True)
    assert done.backups == (".porter/thing/backup/pkg/sub/new.py",)
    assert (root / done.backups[0]).read_text() == "mine\n"
    assert (root / "pkg/sub/new.py").read_text() == "print('new')\n"


def test_an_edited_generated_file_is_not_overwritten(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    apply(plan_for(), root)
    (root / "pkg/sub/new.py").write_text("edited\n")
    again = Plan("", "tree", "thing", (FileChange("pkg/sub/new.py", None, "print('newer')\n"),))
    with pytest.raises(TargetError, match="was edited since porter wrote it"):
        apply(again, root)
    assert (root / "pkg/sub/new.py").read_text() == "edited\n"


def test_porters_own_unedited_file_may_be_replaced(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    apply(plan_for(), root)
    again = Plan("", "tree", "thing", (FileChange("pkg/sub/new.py", None, "print('newer')\n"),))
    assert "-print('new')" in diff(settle(again, root))
    apply(again, root)
    assert (root / "pkg/sub/new.py").read_text() == "print('newer')\n"


@pytest.mark.parametrize("path", ["../out.py", "/etc/out.py", "a/../../out.py", "", "link/out.py"])
def test_paths_stay_inside_the_target(tmp_path: Path, path: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "link").symlink_to(outside)
    with pytest.raises(TargetError):
        apply(Plan("", "tree", "thing", (FileChange(path, None, "x\n"),)), root)
    assert not list(outside.iterdir()) and not (tmp_path / "out.py").exists()


def test_a_link_inside_the_target_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real.py").write_text("a\n")
    (tmp_path / "link.py").symlink_to("real.py")
    apply(Plan("", "tree", "thing", (FileChange("link.py", "a\n", "b\n"),)), tmp_path)
    assert (tmp_path / "link.py").is_symlink() and (tmp_path / "real.py").read_text() == "b\n"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that nobody may write to")
def test_an_unwritable_target_is_one_line() -> None:
    for target in (Path("/proc/porter-test"), Path("/proc/porter-test/deep/out"), Path("/proc/self")):
        with pytest.raises(TargetError, match="cannot be written") as caught:
            apply(Plan("", "plugin", "thing", (FileChange("a.py", None, "x\n"),)), target)
        assert "\n" not in caught.value.message


def test_a_target_below_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    plan = Plan("", "plugin", "thing", (FileChange("a.py", None, "x\n"),))
    for target in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(TargetError) as caught:
            apply(plan, target)
        assert "\n" not in caught.value.message
    assert everything(tmp_path) == {"file": b"x"}


def steps_of(root: Path, plan: Plan) -> list[str]:
    steps: list[str] = []
    apply(plan, root, step=steps.append)
    return steps


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_fault_at_any_step_leaves_the_tree_as_it_was(tmp_path: Path, error: BaseException) -> None:
    steps = steps_of(make_tree(tmp_path / "count"), plan_for())
    assert len(steps) > 12
    for fatal in range(len(steps)):
        root = make_tree(tmp_path / f"run{fatal}")
        before, seen = everything(root), iter(range(len(steps)))

        def fail(_: str, fatal: int = fatal, seen: object = seen) -> None:
            if next(seen) == fatal:  # type: ignore[call-overload]
                raise error

        with pytest.raises((TargetError, KeyboardInterrupt)):
            apply(plan_for(), root, step=fail)
        assert everything(root) == before, steps[fatal]
        assert not (root / ".porter").exists() and not (root / "pkg/sub").exists()


def run_killed(root: Path, at: int, plan: Plan) -> int:
    """Apply in a forked child that kills itself before step `at`; its signal, or 0 when it finished."""
    child = os.fork()
    if child == 0:
        left = iter(range(10_000))

        def step(_: str) -> None:
            if next(left) == at:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            apply(plan, root, step=step)
            os._exit(0)
        except BaseException:
            os._exit(9)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def test_a_kill_at_any_step_leaves_the_tree_as_it_was_or_as_planned(tmp_path: Path) -> None:
    done = make_tree(tmp_path / "done")
    steps = steps_of(done, plan_for())
    planned = visible(done)
    outcomes = set()
    for at in range(len(steps)):
        root = make_tree(tmp_path / f"run{at}")
        before = visible(root)
        assert run_killed(root, at, plan_for()) == signal.SIGKILL
        recover(root, State(root, "thing").stage)
        assert visible(root) in (before, planned), steps[at]
        outcomes.add(visible(root) == planned)
        # the next run brings it to the end whatever the moment was
        apply(settle_for(root), root)
        assert visible(root) == planned
    assert outcomes == {True, False}


def settle_for(root: Path) -> Plan:
    changes = plan_for().changes
    texts = {c.path: (root / c.path).read_text() if (root / c.path).exists() else None for c in changes}
    return Plan("", "tree", "thing", tuple(FileChange(c.path, c.old and texts[c.path], c.new) for c in changes))


def test_a_kill_at_any_step_leaves_no_new_folder_or_all_of_it(tmp_path: Path) -> None:
    plan = Plan("", "plugin", "thing", tuple(FileChange(c.path, None, c.new) for c in plan_for().changes))
    steps = steps_of(tmp_path / "done", plan)
    whole = visible(tmp_path / "done")
    for at in range(len(steps)):
        parent = tmp_path / f"run{at}"
        assert run_killed(parent / "out", at, plan) == signal.SIGKILL
        assert not (parent / "out").exists() or visible(parent / "out") == whole
        apply(plan, parent / "out")
        assert visible(parent / "out") == whole
        assert [item.name for item in parent.iterdir()] == ["out"], "a draft was left behind"


def test_diff_and_count() -> None:
    plan = plan_for()
    assert count(plan) == type(count(plan))(3, 3, 0)
    assert "--- /dev/null\n+++ b/pkg/sub/new.py" in diff(plan) and "+B = 2\n" in diff(plan)
    assert diff(Plan("", "tree", "m", (FileChange("a", "x\n", "x\n"),))) == ""
    ending = diff(Plan("", "tree", "m", (FileChange("a", "x", "x\ny"),)))
    assert ending.count("\\ No newline at end of file") == 2

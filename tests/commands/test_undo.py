from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from porter.changes import apply
from porter.cli import main
from porter.planning.plan import FileChange, Plan


@pytest.fixture
def port(tmp_path: Path) -> Path:
    """A tree port: one new file, one edited file."""
    root = tmp_path / "tree"
    root.mkdir()
    lines = "".join(f"line {number}\n" for number in range(20))
    (root / "registry.py").write_text(lines)
    edited = lines.replace("line 3\n", "line 3\nported\n")
    changes = (FileChange("model.py", None, "x = 1\n"), FileChange("registry.py", lines, edited))
    apply(Plan(str(root), "tree", "new_vl", changes), root)
    return root


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["undo", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_undo_gives_the_bytes_back(port: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(capsys, f"{port}::new_vl")
    assert code == 0
    assert {file["path"]: file["action"] for file in document["files"]} == {
        "model.py": "delete",
        "registry.py": "restore",
    }
    assert not (port / "model.py").exists()
    assert "ported" not in (port / "registry.py").read_text()


def test_the_port_around_the_current_folder(
    port: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (port / "deep").mkdir()
    monkeypatch.chdir(port / "deep")
    assert run(capsys)[0] == 0
    assert not (port / "model.py").exists()


def test_an_edited_file_is_merged_only_when_asked_for(port: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry = port / "registry.py"
    registry.write_text(registry.read_text() + "mine\n")
    code, document = run(capsys, f"{port}::new_vl")
    assert (code, document["error"]["code"]) == (2, "usage")
    assert "ported" in registry.read_text()
    code, document = run(capsys, f"{port}::new_vl", "--yes")
    assert code == 0
    assert "ported" not in registry.read_text()
    assert registry.read_text().endswith("mine\n")


def test_an_edit_on_the_same_lines_is_named_and_kept(port: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry = port / "registry.py"
    registry.write_text(registry.read_text().replace("ported\n", "ported, and mine\n"))
    before = registry.read_text()
    code, document = run(capsys, f"{port}::new_vl", "--yes")
    assert (code, document["error"]["code"]) == (1, "target")
    assert "registry.py" in document["error"]["message"]
    assert registry.read_text() == before
    assert (port / "model.py").exists()

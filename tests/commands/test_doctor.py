from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import pytest

from porter.cli import main


def test_doctor_tells_what_the_interpreter_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["python"] == {"version": platform.python_version(), "executable": sys.executable}
    assert document["device"]["kind"] in ("none", "cpu", "cuda")
    assert set(document["tools"]) == {"git", "ruff"}
    assert document["hub"]["token"] is False


def test_doctor_on_an_interpreter_that_is_none_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "--python", str(tmp_path / "python")]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["vllm"] is None
    assert str(tmp_path / "python") in document["problem"]


def test_doctor_fits_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert 8 <= len(capsys.readouterr().out.splitlines()) <= 24

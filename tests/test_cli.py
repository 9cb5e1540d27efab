"""The command line as a user meets it: every test goes through the real parser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from porter import __version__
from porter.boundary import Call, guarded
from porter.cli import app, main
from porter.commands.session import Result, default_log
from porter.errors import Refused
from porter.options import Common
from porter.render.documents import KEYS

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "vllm", "transformers", "huggingface_hub", "libcst", "jinja2", "rich")
VERBS = tuple(sorted(KEYS))


@pytest.fixture(autouse=True)
def no_log() -> None:
    """Other tests run commands in this process too, and a log is named by its process."""
    default_log().unlink(missing_ok=True)


def porter(*arguments: str, code: str = "from porter.cli import main; sys.exit(main())") -> Any:
    command = [sys.executable, "-c", f"import sys; {code}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one JSON document on stdout; anything else there fails."""
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_help_imports_nothing_heavy() -> None:
    code = f"from porter.cli import main; main(); print([name for name in {HEAVY!r} if name in sys.modules])"
    done = porter("--help", code=code)
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.returncode == 0


def test_help_lists_every_verb_and_each_has_its_own() -> None:
    listed = porter("--help").stdout
    for verb in VERBS:
        assert verb in listed
        shown = porter(verb, "--help")
        assert shown.returncode == 0
        assert "--json" in shown.stdout


def test_documents_are_defined_for_exactly_the_commands_there_are() -> None:
    assert {command.name for command in app.registered_commands} == set(KEYS)


def test_version() -> None:
    assert porter("--version").stdout == f"porter {__version__}\n"
    assert porter("doctor", "--version").stdout == f"porter {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [(), ("frobnicate",), ("inspect",), ("inspect", "a", "b"), ("inspect", "a", "--nope"), ("doctor", "--vllm")],
)
def test_usage_errors_are_two_lines_and_exit_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = captured.err.splitlines()
    assert first.startswith("error: ")
    assert second.startswith("next: porter")


@pytest.mark.parametrize("verb", VERBS)
def test_json_has_every_key_also_on_a_usage_error(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--json", "--nope"]) == 2
    found = document(capsys)
    assert set(found) == {"schema", "command", "ok", "error", *KEYS[verb]}
    assert found["schema"] == 1
    assert found["command"] == verb
    assert found["ok"] is False
    assert set(found["error"]) == {"code", "message", "hint", "where"}
    assert found["error"]["code"] == "usage"


def guarded_call(common: Common, effect: BaseException | Result) -> int:
    def run(console: object) -> Result:
        if isinstance(effect, Result):
            return effect
        raise effect

    return guarded(lambda: Call("doctor", common, run, lambda console, result: None), ["doctor"])


@pytest.mark.parametrize(
    ("effect", "code"),
    [
        (Result(), 0),
        (Result(failed=True), 1),
        (Result(error=Refused("no")), 1),
        (Refused("no"), 1),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("x"), 3),
        (RecursionError("deep"), 3),
    ],
)
def test_every_ending_has_its_exit_code_and_one_document(
    effect: BaseException | Result, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded_call(Common(json=True, log=tmp_path / "log"), effect) == code
    found = document(capsys)
    assert found["ok"] is (code == 0)
    assert set(KEYS["doctor"]) <= set(found)


def test_a_bug_leaves_its_traceback_in_the_log_and_the_path_on_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "porter.log"
    assert guarded_call(Common(log=log), ZeroDivisionError("seven")) == 3
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert str(log) in shown
    assert "Traceback" in log.read_text()
    assert "ZeroDivisionError: seven" in log.read_text()


def test_a_log_that_cannot_be_written_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--log", str(tmp_path / "no" / "log")]) == 2
    assert "--log" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("doctor", "--help"), ("undo", "/nonexistent", "--json")])
def test_a_closed_pipe_is_no_traceback(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "porter", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        shown = process.stderr.read()
    assert "Traceback" not in shown and "Exception" not in shown
    assert process.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("mode", ["--json", "--strict"])
def test_a_full_disk_is_no_bug(mode: str) -> None:
    command = [sys.executable, "-m", "porter", "inspect", "examples/skylark-vl", mode]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "bug" not in done.stderr and "Traceback" not in done.stderr


def test_terminate_is_an_interrupt() -> None:
    code = (
        "import os, signal; from porter.boundary import *; from porter.options import Common;"
        "run = lambda console: os.kill(os.getpid(), signal.SIGTERM);"
        "sys.exit(guarded(lambda: Call('doctor', Common(), run, None), ['doctor']))"
    )
    done = porter(code=code)
    assert done.returncode == 130
    assert done.stderr.splitlines()[0] == "error: interrupted"


def test_no_color_and_no_terminal_give_plain_text() -> None:
    environment: Mapping[str, str] = {"NO_COLOR": "1", "TERM": "dumb", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "porter", "undo", "/nonexistent"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr


def test_verbose_says_more_on_stderr_and_the_same_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", str(ROOT / "examples/skylark-vl"), "--json"])
    usual = capsys.readouterr()
    main(["inspect", str(ROOT / "examples/skylark-vl"), "--json", "--verbose"])
    more = capsys.readouterr()
    assert more.out == usual.out
    assert "4 Python files" in more.err and "Python files" not in usual.err

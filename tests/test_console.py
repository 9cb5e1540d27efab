from __future__ import annotations

import json

import pytest

from porter.console import Console, clean, plain

HOSTILE = "\x1b[31mred\x1b[0m \x9b2J [bold]x[/bold]\r\n\u202etfel"


def test_plain_leaves_no_control_character() -> None:
    assert plain(HOSTILE).isprintable()
    assert "[bold]x[/bold]" in plain(HOSTILE)


def test_clean_keeps_lines() -> None:
    assert clean("a\n\tb\x07") == "a\n\tb\\x07"


def test_nothing_of_a_repo_reaches_the_terminal_as_escape_or_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.line(HOSTILE)
    console.table([(HOSTILE, HOSTILE)], ("a", "b"))
    console.tree((HOSTILE, [(HOSTILE, ())]))
    console.diff(f"+{HOSTILE}")
    console.note(HOSTILE)
    console.problem(HOSTILE)
    captured = capsys.readouterr()
    assert not set(captured.out + captured.err) & {"\x1b", "\x9b", "\r", "\u202e"}
    assert "[bold]x[/bold]" in captured.out


def test_json_mode_puts_one_document_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console("json")
    console.line("text")
    console.table([("a",)], ("b",))
    console.diff("+x")
    console.document({"a": 1})
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_quiet_mode_says_nothing_but_problems(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console("quiet")
    console.line("text")
    console.note("progress")
    console.document({"a": 1})
    console.problem("problem")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "problem\n")


def test_a_pipe_is_never_asked() -> None:
    assert not Console().interactive

"""The line of a log that says most: of a worker's, and of a server of several processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.workers.logs import telling_line

SERVER = """\
(APIServer pid=7) INFO 11-21 14:00:00 [api_server.py:2] vLLM API server
(EngineCore pid=9) ERROR 11-21 14:00:09 [core.py:900] EngineCore failed to start.
(EngineCore pid=9) ERROR 11-21 14:00:09 [core.py:900] Traceback (most recent call last):
(EngineCore pid=9) ERROR 11-21 14:00:09 [core.py:900] ValueError: Model architectures ['X'] are not supported
(APIServer pid=7) Traceback (most recent call last):
(APIServer pid=7) RuntimeError: Engine core initialization failed. See root cause above.
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (SERVER, "ValueError: Model architectures ['X'] are not supported"),
        ("(APIServer pid=7) INFO 11-21 14:00:00 [a.py:2] starting\n", "starting"),
        (
            "usage: api_server.py\napi_server.py: error: unrecognized arguments: --x\nbye",
            "api_server.py: error: unrecognized arguments: --x",
        ),
        ("SystemExit: 3\nbye", "SystemExit: 3"),
        ("ValueError: the cause\nlate error: something else", "ValueError: the cause"),
        ("a\x00b", "a?b"),
        ("", ""),
    ],
)
def test_the_line_is_the_cause(text: str, line: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(text, encoding="utf-8")
    assert telling_line(log) == line


def test_the_error_is_preferred_to_later_noise_and_what_stood_before_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ValueError: the cause\n[rank0] destroy_process_group() was not called\nbye\n\n", encoding="utf-8")
    assert telling_line(log) == "ValueError: the cause"
    assert telling_line(log, len("ValueError: the cause\n")) == "bye"
    assert telling_line(log, most=6) == "bye"

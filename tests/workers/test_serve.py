"""The server's command line, what its log says, and which answers of it are faults."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

GOOD: dict[str, Any] = {
    "choices": [{"message": {"role": "assistant", "content": "a b c d"}}],
    "usage": {"prompt_tokens": 38, "completion_tokens": 4},
}


def engine(folder: Path) -> SimpleNamespace:
    arguments = {"model": str(folder), "enforce_eager": True, "enable_prefix_caching": False, "max_logprobs": -1}
    arguments["limit_mm_per_prompt"] = {"image": 2}
    payload = {"sets": [{"weights": None}]}
    return SimpleNamespace(arguments=lambda weights: arguments, payload=payload, folder=folder, out=folder)


def test_the_server_gets_the_engines_arguments(tmp_path: Path) -> None:
    from porter.workers.serve import command

    line = command(engine(tmp_path))
    assert line[0] == sys.executable
    assert {"--enforce-eager", "--no-enable-prefix-caching", "--max-logprobs=-1"} <= set(line)
    assert '--limit-mm-per-prompt={"image": 2}' in line


@pytest.mark.parametrize(
    ("name", "text"),
    [("chat_template.jinja", "{{ x }}"), ("tokenizer_config.json", json.dumps({"chat_template": "{{ x }}"}))],
)
def test_a_template_is_written_only_for_a_repo_without_one(name: str, text: str, tmp_path: Path) -> None:
    from porter.workers.serve import TEMPLATE, command

    assert "--chat-template" in command(engine(tmp_path))
    assert (tmp_path / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE
    (tmp_path / "chat_template.jinja").unlink()
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert "--chat-template" not in command(engine(tmp_path))


def test_only_a_whole_answer_is_one() -> None:
    from porter.workers.serve import ServeFault, checked

    assert checked(GOOD) == GOOD
    short, silent, several = copy.deepcopy(GOOD), copy.deepcopy(GOOD), copy.deepcopy(GOOD)
    short["usage"]["completion_tokens"] = 3
    silent["choices"][0]["message"]["content"] = None
    several["choices"].append(several["choices"][0])
    for answer, words in ((short, "3 tokens of 4"), (silent, "no content"), (several, "2 choices"), ({}, "0 choices")):
        with pytest.raises(ServeFault, match=words):
            checked(answer)


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("'ImportError: no module named port'", "exit code 1: ImportError: no module named port"),
        ("3", "exit code 3: it said nothing"),
    ],
)
def test_a_server_that_ends_is_not_waited_for(ending: str, words: str, tmp_path: Path) -> None:
    from porter.workers.serve import ServeFault, served

    line = [sys.executable, "-c", f"import sys; sys.exit({ending})"]
    with pytest.raises(ServeFault, match=words), served(line, tmp_path / "serve.log") as server:
        server.wait()


def test_the_error_of_an_answer_is_its_message() -> None:
    from porter.workers.serve import message_of

    assert (
        message_of('{"error": {"message": "At most 1 image(s) may be provided"}}')
        == "At most 1 image(s) may be provided"
    )
    assert message_of("<html>") == "<html>"

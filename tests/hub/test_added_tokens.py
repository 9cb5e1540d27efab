"""Added tokens of tokenizer.json: read from its first bytes, and only where they say something new."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.hub import snapshot_of
from porter.hub.added_tokens import FIRST

LISTED = [{"id": 7, "content": "<image>"}]


def repo(folder: Path, tokenizer: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"version": "1.0", "added_tokens": LISTED, "model": {"vocab": {"a": 1}}}),
        json.dumps({"added_tokens": LISTED}, indent=2),
        json.dumps({"added_tokens": LISTED, "model": {"vocab": {str(index): index for index in range(200_000)}}}),
    ],
)
def test_the_list_is_read(text: str, tmp_path: Path) -> None:
    found = snapshot_of(str(repo(tmp_path / "repo", text)), offline=True)
    assert found.json["tokenizer.json"] == {"added_tokens": LISTED}


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"added_tokens": 7}', '{"added_tokens": [', '{"added_tokens"', '{"added_tokens": {"a": ',
        '{"added_tokens": ' + "[" * 100_000, '{"added_tokens": ["\\ud800"]}',
        '{"a": "' + "x" * FIRST + '", "added_tokens": []}', '{"added_tokens": [' + "9" * 5000 + "]}",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_left_out(text: str, tmp_path: Path) -> None:
    assert "tokenizer.json" not in snapshot_of(str(repo(tmp_path / "repo", text)), offline=True).json

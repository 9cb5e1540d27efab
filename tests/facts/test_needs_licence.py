"""The licence, with what states it; sources that disagree are a note."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from porter.facts import Confidence
from tests.facts.compare import read

CARD = "---\nlicense: {}\nlicense_name: own-terms\n---\n"
APACHE = "                                 Apache License\n                           Version 2.0, January 2004\n"


@pytest.mark.parametrize(
    ("files", "config", "value", "where"),
    [
        ({"README.md": CARD.format("mit")}, {}, "mit", ("README.md", "license")),
        ({"README.md": CARD.format("other")}, {}, "own-terms", ("README.md", "license_name")),
        ({"LICENSE": APACHE}, {}, "apache-2.0", ("LICENSE", "title")),
        ({"LICENSE.txt": "# Mango Terms of Use\n"}, {}, "Mango Terms of Use", ("LICENSE.txt", "title")),
        ({}, {"license": "mit"}, "mit", ("config.json", "license")),
        ({"README.md": CARD.format("apache-2.0"), "LICENSE": APACHE}, {}, "apache-2.0", ("README.md", "license")),
    ],
)
def test_one_statement(
    tmp_path: Path, files: dict[str, str], config: dict[str, Any], value: str, where: tuple[str, str]
) -> None:
    for name, text in {**files, "config.json": json.dumps(config)}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    fact = read(tmp_path).facts["license"]
    assert (fact.value, fact.confidence, fact.note) == (value, Confidence.CERTAIN, "")
    assert (fact.evidence[0].file, fact.evidence[0].where) == where


def test_the_card_wins_and_the_other_is_named(tmp_path: Path) -> None:
    for name, text in {"README.md": CARD.format("mit"), "LICENSE": APACHE, "config.json": "{}"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    fact = read(tmp_path).facts["license"]
    assert (fact.value, fact.confidence) == ("mit", Confidence.LIKELY)
    assert fact.note == "LICENSE says Apache License"


@pytest.mark.parametrize("licence", [None, 3, "", "  ", [], {}])
def test_nothing_is_unknown(tmp_path: Path, licence: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"license": licence}), encoding="utf-8")
    assert read(tmp_path).facts["license"].confidence is Confidence.UNKNOWN

# ruff: noqa: E501 (programs stand on one line each)
"""Image tokens: the strings around and in place of an image, in the styles that code is written in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from porter.facts import Confidence, RepoReading
from tests.facts.compare import read
from tests.facts.models import indented, model, write
from tests.facts.test_feature_path import LAST, ONE_SHUFFLE, joined

IDS = {"<img>": 91, "</img>": 92, "<ctx>": 93, "<image>": 94, "<tile>": 95}
PIXELS = joined(LAST, ONE_SHUFFLE, "return self.proj(x)")

STYLES: dict[str, tuple[str, str]] = {
    "module constants": (
        "START, END, CTX = '<img>', '</img>', '<ctx>'",
        "def chat(self, text, n):\n    return text.replace('<image>', START + CTX * n + END)",
    ),
    "parameter defaults": (
        "",
        "def chat(self, text, n, S='<img>', E='</img>', C='<ctx>'):\n    return text.replace('<image>', S + C * self.count * n + E, 1)",
    ),
    "class attributes": (
        "",
        "S = '<img>'\nE = '</img>'\nC = '<ctx>'\n\ndef chat(self, text, n):\n    return text.replace('<image>', f'{self.S}{self.C * n}{self.E}')",
    ),
    "f-string": (
        "C = '<ctx>'",
        "def chat(self, text, n):\n    tokens = C * n\n    return text.replace('<image>', f'<img>{tokens}</img>')",
    ),
    "split and join by hand": (
        "",
        "def chat(self, text, counts):\n    pieces = text.split('<image>')\n    out = pieces[0]\n"
        "    for n, piece in zip(counts, pieces[1:]):\n        out += '<img>' + '<ctx>' * n + '</img>' + piece\n    return out",
    ),
    "step by step": (
        "",
        "def chat(self, text, n):\n    block = '<img>'\n    block += '<ctx>' * n\n    block += '</img>'\n    return text.replace('<image>', block)",
    ),
    "a helper makes the block": (
        "def block(n, start='<img>', end='</img>'):\n    return start + '<ctx>' * n + end\n",
        "def chat(self, text, n):\n    return text.replace('<image>', block(n))",
    ),
    "count first": ("", "def chat(self, text, n):\n    return text.replace('<image>', '<img>' + n * '<ctx>' + '</img>')"),
    "re.sub": ("import re", "def chat(self, text, n):\n    return re.sub('<image>', '<img>' + '<ctx>' * n + '</img>', text)"),
}  # fmt: skip


def tokenizer(ids: dict[str, int]) -> str:
    decoder = {str(index): {"content": token, "special": True} for token, index in ids.items()}
    return json.dumps({"added_tokens_decoder": decoder})


def reading(
    tmp_path: Path,
    before: str,
    methods: str,
    config: dict[str, Any] | None = None,
    ids: dict[str, int] | None = None,
    **files: str,
) -> RepoReading:
    code = f"{model(PIXELS, before=before)}\n{indented(methods, 1)}\n"
    text = tokenizer(IDS if ids is None else ids)
    return read(write(tmp_path / "repo", code, config, tokenizer_config__json=text, **files))


def tokens(found: RepoReading) -> list[object]:
    names = (
        "image_start_token",
        "image_context_token",
        "image_end_token",
        "image_placeholder",
        "image_context_token_id",
    )
    return [found.facts.value(name) for name in names]


@pytest.mark.parametrize("style", STYLES)
def test_styles(style: str, tmp_path: Path) -> None:
    found = reading(tmp_path, *STYLES[style])
    assert tokens(found) == ["<img>", "<ctx>", "</img>", "<image>", 93]
    assert found.facts["image_context_token"].confidence is Confidence.CERTAIN


def test_context_token_that_is_the_placeholder(tmp_path: Path) -> None:
    found = reading(
        tmp_path, "", "def chat(self, t, n):\n    return t.replace('<image>', '<img>' + '<image>' * n + '</img>')"
    )
    assert tokens(found) == ["<img>", "<image>", "</img>", "<image>", 94]


def test_nothing_around_the_context_is_absent(tmp_path: Path) -> None:
    found = reading(tmp_path, "", "def chat(self, t, n):\n    return t.replace('<image>', '<ctx>' * n)")
    assert tokens(found) == [None, "<ctx>", None, "<image>", 93]
    assert found.facts["image_start_token"].confidence is Confidence.ABSENT


def test_a_config_id_that_disagrees_is_shown(tmp_path: Path) -> None:
    found = reading(tmp_path, *STYLES["module constants"], {"image_token_index": 95})
    fact = found.facts["image_context_token"]
    assert fact.value == "<ctx>"
    assert fact.confidence is Confidence.LIKELY
    assert "95" in fact.note
    assert found.facts["image_context_token_id"].confidence is not Confidence.CERTAIN


def test_a_config_id_that_agrees_stays_certain(tmp_path: Path) -> None:
    found = reading(tmp_path, *STYLES["module constants"], {"image_token_index": 93})
    assert found.facts["image_context_token_id"].confidence is Confidence.CERTAIN


def test_tokenizer_files_that_disagree_are_not_certain(tmp_path: Path) -> None:
    found = reading(tmp_path, *STYLES["module constants"], added_tokens__json=json.dumps({**IDS, "<ctx>": 77}))
    for name in ("image_context_token", "image_context_token_id"):
        assert found.facts[name].confidence is not Confidence.CERTAIN


def test_a_token_that_no_file_lists_has_no_id(tmp_path: Path) -> None:
    found = reading(tmp_path, *STYLES["module constants"], ids={})
    assert found.facts.value("image_context_token") == "<ctx>"
    assert found.facts.value("image_context_token_id") is None
    assert "<ctx>" in found.facts["image_context_token_id"].note


def test_other_repeats_are_no_image(tmp_path: Path) -> None:
    found = reading(tmp_path, "", "def bar(self, n):\n    return '[' + '=' * n + ']' + '---' * n")
    assert found.facts.value("image_context_token") != "---"
    assert found.facts["image_context_token"].confidence is not Confidence.CERTAIN


def test_ids_of_the_config_without_code_that_tells(tmp_path: Path) -> None:
    found = reading(tmp_path, "", "def nothing(self):\n    return 1", {"image_token_id": 95})
    assert tokens(found)[1] == "<tile>"
    assert found.facts["image_context_token"].confidence is Confidence.LIKELY


def test_names_alone_are_a_guess(tmp_path: Path) -> None:
    found = reading(tmp_path, "", "def nothing(self):\n    return 1", ids={"<IMG_CONTEXT>": 5, "<img>": 6})
    assert found.facts.value("image_context_token") == "<IMG_CONTEXT>"
    assert found.facts["image_context_token"].confidence is Confidence.GUESS
    assert found.facts["image_start_token"].confidence is Confidence.GUESS


@pytest.mark.parametrize(
    ("template", "placeholder"),
    [
        ("{% for c in m %}{% if c.type == 'image' %}<image>\n{% endif %}{% endfor %}", "<image>"),
        ("{% if c['type'] == 'image' or 'image_url' in c %}{{ '<tile>' }}{% endif %}", "<tile>"),
        ("{% if c.type == 'image' %}<image-{{ n }}>{% endif %}", None),
        ("{% if c.type == 'text' %}text{% endif %}", None),
        ("{% if", None),
        ("{{ '" + "{" * 500, None),
    ],
)
def test_placeholder_of_the_chat_template(template: str, placeholder: str | None, tmp_path: Path) -> None:
    found = reading(tmp_path, "", "def nothing(self):\n    return 1", chat_template__jinja=template)
    assert found.facts.value("image_placeholder") == placeholder

# ruff: noqa: E501 (programs stand on one line each)
"""Image tokens: the strings around and in place of an image, in the styles that code is written in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from porter.facts import Confidence, RepoReading
from tests.facts.compare import read
from tests.facts.models import CONFIGURATION, indented, model, write
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


BLOCKS: dict[str, tuple[str, list[object]]] = {
    "an image among other inputs": ("def a(self, t, n):\n    return t.replace('<g>', '<gene>' + '<unk>' * 32 + '</gene>')\n\ndef b(self, n):\n    return '<image>' + '<unk>' * n + '</image>'", ["<image>", "<unk>", "</image>"]),
    "a chain of tags": ("def b(self, t, n):\n    return t.replace('<p>', '<id></id><image>' + '<unk>' * n + '</image>')", ["<image>", "<unk>", "</image>"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
def test_the_tags_next_to_the_image(name: str, tmp_path: Path) -> None:
    ids = {"<unk>": 0, "<image>": 91, "</image>": 92, "<gene>": 93, "</gene>": 94, "<id>": 95, "</id>": 96}
    found = reading(tmp_path, "", BLOCKS[name][0], ids=ids)
    assert tokens(found)[:3] == BLOCKS[name][1]


COMPARED: dict[str, str] = {
    "equal": "def merge(self, input_ids):\n    return input_ids == self.config.image_token_index",
    "method": "def merge(self, input_ids):\n    return input_ids.eq(self.config.image_token_index).sum()",
    "constant": "IMAGE_TOKEN_INDEX = 95\n\ndef merge(self, ids):\n    return torch.where(ids == self.IMAGE_TOKEN_INDEX)",
}


@pytest.mark.parametrize("style", COMPARED)
def test_the_id_that_the_code_looks_for(style: str, tmp_path: Path) -> None:
    fact = reading(tmp_path, "", COMPARED[style], {"image_token_index": 95}).facts["image_context_token"]
    assert (fact.value, fact.confidence) == ("<tile>", Confidence.CERTAIN)


@pytest.mark.parametrize("name", ["pad_token_id", "image_start_id", "eos_token_id"])
def test_other_ids_that_code_looks_for_are_no_context(name: str, tmp_path: Path) -> None:
    method = f"def merge(self, input_ids):\n    return input_ids == self.config.{name}"
    assert reading(tmp_path, "", method, {name: 95}).facts.value("image_context_token") != "<tile>"


@pytest.mark.parametrize(
    "method",
    [
        "IMAGE_TOKEN_INDEX = -200\n\ndef merge(self, input_ids):\n    return input_ids == self.IMAGE_TOKEN_INDEX",
        "def merge(self, input_ids):\n    return (input_ids < 0) & (input_ids > -1000)",
    ],
)
def test_a_number_outside_the_vocabulary_marks_images(method: str, tmp_path: Path) -> None:
    facts = reading(tmp_path, "", method).facts
    assert facts["image_context_token_id"].confidence is Confidence.ABSENT
    assert "negative" in facts["image_context_token_id"].note
    assert facts["image_context_token"].confidence in (Confidence.GUESS, Confidence.UNKNOWN)


def test_a_class_default_that_config_json_replaces_is_shown(tmp_path: Path) -> None:
    code = CONFIGURATION.replace("layer=-2,", "layer=-2, image_token_index=92,")
    found = reading(tmp_path, "", COMPARED["equal"], {"image_token_index": 93}, configuration_m__py=code)
    fact = found.facts["image_context_token_id"]
    assert (fact.value, fact.confidence) == (93, Confidence.LIKELY)
    assert "default of image_token_index is 92 (</img>); what config.json states wins" in fact.note


def test_a_string_of_the_processor_that_the_code_does_not_build_is_shown(tmp_path: Path) -> None:
    files = {"processor_config__json": json.dumps({"image_token": "<tile>"})}
    fact = reading(tmp_path, *STYLES["f-string"], **files).facts["image_context_token"]
    assert (fact.value, fact.confidence) == ("<ctx>", Confidence.LIKELY)
    assert "processor_config.json image_token says <tile>" in fact.note


def test_the_placeholder_that_is_the_context_says_so(tmp_path: Path) -> None:
    method = "def chat(self, t, n):\n    return t.replace('<image>', '<img>' + '<image>' * n + '</img>')"
    assert "placeholder" in reading(tmp_path, "", method).facts["image_context_token"].note


def template(text: object, **files: str) -> dict[str, str]:
    return {"chat_template__json": json.dumps({"chat_template": text}), **files}


IMAGE = "{% for c in m %}{% if c.type == 'image' %}<image>{% endif %}{% endfor %}"
TEMPLATES: list[tuple[dict[str, str], str | None]] = [
    (template(IMAGE), "<image>"),
    (template([{"name": "other", "template": "{% if c.type == 'image' %}<tile>{% endif %}"}, {"name": "default", "template": IMAGE}]), "<image>"),
    (template({"default": IMAGE}), "<image>"),
    (template("{{ m }}", chat_template__jinja=IMAGE), "<image>"),
    (template("{% for c in m | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"), "<image>"),
    (template("{% if 'image' in c %}{% if t in c %}{{ 'Time ' + c.t }}{% endif %}{{- image_token + '\n' -}}{% endif %}"), "<tile>"),
    (template("{% if c.type == 'image' %}<image-{{ image_count.value }}>{% endif %}"), None),
    (template("{{ m }}", tokenizer_config__json=json.dumps({"chat_template": IMAGE})), "<image>"),
    (template(7), None), (template([7, {"name": [], "template": {}}]), None),
]  # fmt: skip


@pytest.mark.parametrize(("files", "placeholder"), TEMPLATES)
def test_chat_templates_in_every_shape(files: dict[str, str], placeholder: str | None, tmp_path: Path) -> None:
    text = {"tokenizer_config__json": tokenizer(IDS), **files}
    folder = write(tmp_path / "repo", model(PIXELS), {"image_token_id": 95}, **text)
    decoded = {**json.loads(tokenizer(IDS)), **json.loads(text["tokenizer_config__json"])}
    (folder / "tokenizer_config.json").write_text(json.dumps(decoded), encoding="utf-8")
    assert read(folder).facts.value("image_placeholder") == placeholder


def test_a_numbered_placeholder_says_why_it_is_unknown(tmp_path: Path) -> None:
    numbered = template("{% if c.type == 'image' %}<image-{{ image_count.value }}>{% endif %}")
    fact = reading(tmp_path, "", "def nothing(self):\n    return 1", **numbered).facts["image_placeholder"]
    assert "<image-N>" in fact.note

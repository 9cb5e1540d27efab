# ruff: noqa: E501 (hostile values stand on one line each)
"""Safetensors headers, indexes, model cards and templates that lie, through the real parser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.command import porter
from tests.fuzz.guard import CANARY
from tests.fuzz.hostile import BYTES, JINJA, NUMBERS, SPELL, STRINGS, structures, texts
from tests.fuzz.test_json_files import EXAMPLE, LONGER, case, examples, write
from tests.hub.repos import with_header

pytestmark = pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM")
STEP = 2 if LONGER == 1 else 1
WEIGHT: Mapping[str, Any] = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
HEADERS: Mapping[str, bytes] = {
    "empty": b"",
    "seven bytes": b"1234567",
    "no header": (0).to_bytes(8, "little"),
    "longer than the file": (10**6).to_bytes(8, "little") + b"{}",
    "longest length": b"\xff" * 8,
    "claims what the format forbids": (100_000_001).to_bytes(8, "little") + b"{}",
    "cut inside": with_header({"a": WEIGHT})[:20],
    "no data": with_header({"a": WEIGHT}),
    "not JSON": (4).to_bytes(8, "little") + b"{{{{",
    "a list": (2).to_bytes(8, "little") + b"[]",
    "not UTF-8": (2).to_bytes(8, "little") + b"\xff\xfe",
    "deep": (20_000).to_bytes(8, "little") + b"[" * 20_000,
    "the same name twice": (lambda body: len(body).to_bytes(8, "little") + body + bytes(16))(
        b'{"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}'
    ),
    "offsets below zero": with_header({"a": {**WEIGHT, "data_offsets": [-16, 0]}}, 16),
    "offsets backwards": with_header({"a": {**WEIGHT, "data_offsets": [16, 0]}}, 16),
    "offsets far away": with_header({"a": {**WEIGHT, "data_offsets": [10**30, 10**30 + 16]}}, 16),
    "shared bytes": with_header({"a": WEIGHT, "b": WEIGHT}, 16),
    "another size": with_header({"a": {**WEIGHT, "shape": [3, 3]}}, 16),
    "sizes below zero": with_header({"a": {**WEIGHT, "shape": [-2, -2]}}, 16),
    "huge sizes": with_header({"a": {**WEIGHT, "shape": [10**300] * 100}}, 16),
    "no sizes": with_header({"a": {**WEIGHT, "shape": []}}, 16),
    "true as a size": with_header({"a": {**WEIGHT, "shape": [True, 4]}}, 16),
    "another dtype": with_header({"a": {**WEIGHT, "dtype": SPELL}}, 16),
    "metadata as a tensor": with_header({"__metadata__": [1], "a": WEIGHT}, 16),
    "many dimensions": with_header({"a": {**WEIGHT, "shape": [1] * 5000 + [4]}}, 16),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_lie(name: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "repo")
    file = ("model.safetensors", "model-00001-of-00001.safetensors")[sorted(HEADERS).index(name) % 2]
    (tmp_path / "repo" / file).write_bytes(HEADERS[name])
    porter("inspect", str(tmp_path / "repo"), "--offline", "--json", case=tmp_path)


TENSOR_NAMES = st.sampled_from(
    (
        *STRINGS,
        *(f"model.vit.encoder.layers.{index}.x" for index in (0, 1, 10**30, -1)),
        "a." * 3000,
        ".",
        "..",
        "model..vit",
    )
)
ENTRIES = st.one_of(
    st.just(dict(WEIGHT)),
    st.builds(
        lambda key, value: {**WEIGHT, key: value},
        st.sampled_from(tuple(WEIGHT)),
        st.sampled_from((*NUMBERS, *structures())),
    ),
    st.sampled_from((*NUMBERS, *structures())),
)


@examples(8)
@given(st.data())
def test_any_header_and_any_index(data: st.DataObject) -> None:
    with case(EXAMPLE) as folder:
        names = data.draw(st.lists(TENSOR_NAMES, max_size=6))
        write(folder, "model.safetensors", with_header({name: data.draw(ENTRIES) for name in names}, 16))
        if data.draw(st.booleans()):
            files = st.sampled_from(
                ("model.safetensors", *STRINGS, 3, None, ["a"], "../model.safetensors", "/etc/passwd")
            )
            index = {
                "metadata": data.draw(st.sampled_from(structures())),
                "weight_map": {name: data.draw(files) for name in names},
            }
            write(folder, "model.safetensors.index.json", json.dumps(index))
        porter("inspect", str(folder / "repo"), "--json", "--offline", case=folder)


CARDS = (
    "---\n" * 5000, "---\nlicense: " + "a" * 10**6, "---\nlicense: &a [*a, *a]\n---", f"---\nlicense: !!python/object/apply:os.system ['touch {CANARY}']\n---",
    "---\nlicense:\n" + "- " * 20_000 + "\n---", "---\nlicense: other\nlicense_name: \x1b[2J\n---", "---\n" + "a: &a b\n" * 9 + "---", "\ufeff---\r\nlicense: mit\r\n---\r\n",
    "---\nlicense: |\n  x\n  y\n---", "---\nlicense: '\n---", '---\nlicense: "a\\"\n---', "---\n\0license: mit\n---", "---\nlicense: {a: b}\n---", "a" * 10**6,
)  # fmt: skip


@pytest.mark.parametrize("index", range(0, len(CARDS), STEP))
def test_model_cards(index: int, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "repo")
    (tmp_path / "repo" / "README.md").write_text(CARDS[index], encoding="utf-8")
    (tmp_path / "repo" / "LICENSE").write_text(CARDS[-index], encoding="utf-8")
    porter("inspect", str(tmp_path / "repo"), "--offline", case=tmp_path)


TEMPLATES = (
    JINJA, "{% include '/etc/passwd' %}", "{% import 'os' as os %}", "{% for a in range(10**12) %}{{ a }}{% endfor %}", "{{ 'a' * 10**12 }}", "{{ 10**10**10 }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{% set x = messages.__class__.__mro__ %}{{ x[-1].__subclasses__() }}", "{{" * 50_000, "{% if a %}" * 5000,
    "{{ " + "(" * 5000 + ")" * 5000 + " }}", "{% raw %}", "{{ ''|format(''.__class__) }}", "<image>" * 100_000, "{{ messages[0]['content'] }}<image>\0\ud7ff",
)  # fmt: skip


@pytest.mark.parametrize("index", range(0, len(TEMPLATES), STEP))
def test_chat_templates(index: int, tmp_path: Path) -> None:
    """Wherever a template may stand: its own file, the tokenizer's config, a list of named ones."""
    shutil.copytree(EXAMPLE, tmp_path / "repo")
    repo, text = tmp_path / "repo", TEMPLATES[index]
    (repo / "additional_chat_templates").mkdir()
    for name in ("chat_template.jinja", "additional_chat_templates/tools.jinja"):
        (repo / name).write_text(text, encoding="utf-8")
    named = [{"name": text, "template": text}, {"name": "default", "template": text}]
    (repo / "chat_template.json").write_text(json.dumps({"chat_template": named}), encoding="utf-8")
    for name in ("tokenizer_config.json", "processor_config.json"):
        old = json.loads((repo / name).read_text(encoding="utf-8")) if (repo / name).is_file() else {}
        (repo / name).write_text(json.dumps({**old, "chat_template": named if index % 2 else text}), encoding="utf-8")
    target = tmp_path / "out" / "port"
    target.parent.mkdir()
    asked = ("--plugin", str(target), "--yes", "--no-smoke", "--offline", "--json")
    porter("new-model", str(repo), *asked, case=tmp_path, target=target.parent)


def test_broken_bytes_in_every_file(tmp_path: Path) -> None:
    """One file at a time; the rest of the repo stays whole."""
    for index, path in list(enumerate(sorted(EXAMPLE.iterdir())))[::STEP]:
        folder = tmp_path / str(index)
        shutil.copytree(EXAMPLE, folder / "repo")
        (folder / "repo" / path.name).write_bytes(BYTES[index % len(BYTES)])
        porter("inspect", str(folder / "repo"), "--offline", "--json", case=folder)


def test_the_texts_are_broken_in_ways_that_json_notices() -> None:
    """What `test_text_that_is_no_json` draws from holds both kinds, so neither of its ends is idle."""
    kinds = set()
    for text in texts({"a": 1}):
        try:
            json.loads(text)
            kinds.add("reads")
        except (ValueError, RecursionError):
            kinds.add("fails")
    assert kinds == {"reads", "fails"}

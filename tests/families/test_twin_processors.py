"""A copy that brings its own processor file: the original's class does the same, or there is no port."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from porter.families import FAMILIES
from porter.families.base import Match
from tests.families.repos import needs_vllm, read, tree
from tests.twins import TWINS, write_repo

pytestmark = needs_vllm
FILE = "processing_knot_vl.py"


def match(folder: Path) -> Match:
    return FAMILIES["llava_onevision"].match(read(folder), tree())


def blockers(folder: Path) -> list[str]:
    return [blocker.what for blocker in match(folder).blockers]


def test_a_copied_processor_is_the_originals(twin_repo: Callable[[str], Path]) -> None:
    found = match(twin_repo("knot-processor"))
    assert found.blockers == () and found.processor_class == "LlavaOnevisionProcessor"
    assert ("processor", "KnotProcessor") in {(item.what, item.repo) for item in found.differences}


CHANGES = {
    "what it defaults to": ('"padding": False', '"padding": True'),
    "a default that no file states": ("chat_template=None", "chat_template=''"),
    "an argument that files give by name": ("vision_aspect_ratio", "aspect_ratio"),
    "a method that the library calls by name": ("def replace_image_token", "def replace_picture"),
    "one operation": ("num_image_tokens -= 1", "num_image_tokens -= 2"),
    "one more method": (
        "    def replace_video_token",
        "    def decode(self, ids):\n        return ''\n\n    def replace_video_token",
    ),
    "a key that it is given": ('"text_kwargs"', '"words_kwargs"'),
    "another base": ("(ProcessorMixin)", "(ProcessorMixin, dict)"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_processor_that_is_nearly_the_originals_is_a_blocker(what: str, tmp_path: Path) -> None:
    write_repo(TWINS["knot-processor"], tmp_path)
    code, (old, new) = tmp_path / FILE, CHANGES[what]
    said = code.read_text(encoding="utf-8")
    assert old in said
    code.write_text(said.replace(old, new), encoding="utf-8")
    assert blockers(tmp_path) == ["processor"]


def test_a_default_matters_where_the_file_does_not_state_it(tmp_path: Path) -> None:
    file = write_repo(TWINS["knot-processor"], tmp_path) / "processor_config.json"
    stated = json.loads(file.read_text(encoding="utf-8"))
    del stated["image_token"]
    file.write_text(json.dumps(stated), encoding="utf-8")
    assert blockers(tmp_path) == ["processor"]


def test_an_image_processor_of_its_own_is_a_blocker(tmp_path: Path) -> None:
    file = write_repo(TWINS["knot-processor"], tmp_path) / "preprocessor_config.json"
    stated = json.loads(file.read_text(encoding="utf-8"))
    stated["auto_map"]["AutoImageProcessor"] = "processing_knot_vl.KnotProcessor"
    file.write_text(json.dumps(stated), encoding="utf-8")
    assert blockers(tmp_path) == ["processor"]

"""Bases that go by the config's model_type: the port's config answers to the original's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from porter.families import FAMILIES
from porter.families.twin.anchors import read_anchors
from porter.families.verdict import decide
from porter.planning.build import port_spec
from tests.families.repos import needs_vllm, read, tree

pytestmark = needs_vllm


@pytest.mark.parametrize(
    ("architecture", "model_type", "typed"),
    [
        ("Glm4vForConditionalGeneration", "glm4v", True),
        ("Glm4vForConditionalGeneration", "another", False),
        ("Qwen2VLForConditionalGeneration", "qwen2_vl", False),
        ("LlavaForConditionalGeneration", "mistral", False),
    ],
)
def test_a_class_goes_by_the_type_of_the_whole_config_only(architecture: str, model_type: str, typed: bool) -> None:
    assert read_anchors(tree(), architecture, model_type).typed is typed


@pytest.mark.parametrize(("name", "said"), [("redpoll-copy", True), ("phalarope-copy", False)])
def test_the_port_s_config_has_the_type_where_the_class_asks(
    name: str, said: bool, twin_repo: Callable[[str], Path]
) -> None:
    reading = read(twin_repo(name))
    verdict = decide(reading, tree())
    assert verdict.match is not None
    spec = port_spec(reading, verdict, tree())
    text = FAMILIES[verdict.match.family].config_file(spec)
    assert ('self.model_type = "glm4v"' in text) is said
    assert f'model_type = "{name.partition("-")[0]}_vl"' in text

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


def test_what_only_the_tree_s_class_reads_is_said_in_the_part_that_it_reads(
    twin_repo: Callable[[str], Path],
) -> None:
    """transformers' GLM-4V has biases that vLLM's builds only where the text config says so."""
    reading = read(twin_repo("redpoll-copy"))
    verdict = decide(reading, tree())
    assert verdict.match is not None
    text = FAMILIES["glm4v"].config_file(port_spec(reading, verdict, tree()))
    inside = text.partition('values["text_config"] = {')[2].partition("}")[0]
    assert inside.index("**text_config") < inside.index('"attention_bias": True')


@pytest.mark.parametrize(("name", "certain"), [("redpoll-copy", True), ("whitethroat-copy", False)])
def test_a_base_that_was_never_compared_is_taken_with_a_word_of_doubt(
    name: str, certain: bool, twin_repo: Callable[[str], Path]
) -> None:
    verdict = decide(read(twin_repo(name)), tree())
    assert verdict.level == "inherit"
    assert any("only the comparison" in line for line in verdict.reasons) is not certain

"""Repos that no port can or need serve: removed from the tree, text-only, encoder-decoder, or known by name only."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.families.base import Verdict
from porter.families.verdict import decide
from porter.vllm_tree.registry import architectures
from tests.facts.odd_repos import PARSE, QWEN_VL, SIGLIP, VISUAL, repo
from tests.families.repos import needs_vllm, tree

pytestmark = needs_vllm


def verdict(folder: Path, config: dict[str, object], tensors: list[str] | None = None) -> Verdict:
    return decide(repo(folder, config, tensors), tree())


def test_every_architecture_that_the_tree_once_had_names_its_last_version(tmp_path: Path) -> None:
    removed = [entry for entry in architectures(tree()).values() if entry.removed]
    assert removed
    for entry in removed:
        (tmp_path / entry.name).mkdir()
        found = verdict(tmp_path / entry.name, {"architectures": [entry.name], "vision_config": SIGLIP})
        assert found.level == "refuse", entry
        assert any(str(entry.removed) in reason for reason in found.reasons), (entry, found.reasons)


@pytest.mark.parametrize("seeing", [True, False])
def test_a_text_model_and_its_seeing_sister_of_one_name_are_told_apart(seeing: bool, tmp_path: Path) -> None:
    found = verdict(tmp_path, {**QWEN_VL, **({"visual": VISUAL} if seeing else {})})
    assert found.level == "refuse"
    assert any("no vision part" in reason for reason in found.reasons) is not seeing, found.reasons


def test_an_encoder_decoder_that_the_tree_does_not_have_is_refused_as_one(tmp_path: Path) -> None:
    found = verdict(tmp_path, PARSE)
    assert found.level == "refuse"
    assert any("encoder-decoder" in reason for reason in found.reasons), found.reasons


def test_an_encoder_decoder_that_the_tree_has_is_not_refused_for_its_shape(tmp_path: Path) -> None:
    name = "NemotronParseForConditionalGeneration"
    if name not in architectures(tree()):
        pytest.skip("this vLLM does not have it")
    found = verdict(tmp_path, {**PARSE, "architectures": [name]})
    assert found.level == "supported", found.reasons


def test_a_model_type_of_the_tree_under_another_architecture_is_not_supported(tmp_path: Path) -> None:
    """DeepSeek-OCR and DeepSeek-VL2 share a model_type; the architecture decides."""
    config = {"architectures": ["NobodyForCausalLM"], "model_type": "deepseek_vl_v2", "vision_config": SIGLIP}
    assert verdict(tmp_path, config).level == "refuse"

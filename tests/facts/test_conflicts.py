"""Attributes that two levels of config.json state differently: both values, the winner, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.facts import Confidence
from tests.facts.odd_repos import QWEN, SIGLIP, TOP, llm, repo


def conflicts(
    folder: Path, config: dict[str, object], tensors: list[str] | None = None
) -> dict[str, dict[str, object]]:
    fact = repo(folder, {**TOP, **config}, tensors).facts["config_conflicts"]
    assert isinstance(fact.value, list)
    return {str(item["attribute"]): item for item in fact.value if isinstance(item, dict)}


def test_the_text_config_wins_over_a_copy_at_the_top(tmp_path: Path) -> None:
    found = conflicts(tmp_path, {"text_config": QWEN, "vision_config": SIGLIP, "vocab_size": 7})
    assert list(found) == ["vocab_size"]
    item = found["vocab_size"]
    assert item["values"] == [{"path": "vocab_size", "value": 7}, {"path": "text_config.vocab_size", "value": 90}]
    assert item["winner"] == "text_config.vocab_size"
    assert "language model" in str(item["reason"])


@pytest.mark.parametrize("key", ["architectures", "model_type", "torch_dtype", "use_cache"])
def test_what_each_level_has_for_itself_is_no_conflict(key: str, tmp_path: Path) -> None:
    text = {**QWEN, "torch_dtype": "float32", "use_cache": False}
    config = {"text_config": text, "torch_dtype": "bfloat16", "use_cache": True}
    assert key not in conflicts(tmp_path, config)


def test_widths_of_two_parts_are_no_conflict(tmp_path: Path) -> None:
    assert conflicts(tmp_path, {"text_config": QWEN, "vision_config": SIGLIP}) == {}


def test_the_size_of_the_pictures_and_that_of_the_tower(tmp_path: Path) -> None:
    found = conflicts(tmp_path, {"text_config": QWEN, "vision_config": SIGLIP, "image_size": 56})
    assert found["image_size"]["winner"] == "vision_config.image_size"
    assert "pictures" in str(found["image_size"]["reason"])


def test_true_and_one_are_two_values(tmp_path: Path) -> None:
    text = {**QWEN, "attention_bias": True}
    assert "attention_bias" in conflicts(tmp_path, {"text_config": text, "attention_bias": 1})


def test_a_null_says_nothing(tmp_path: Path) -> None:
    assert conflicts(tmp_path, {"text_config": QWEN, "vocab_size": None}) == {}


def test_ties_are_settled_by_the_fact_that_the_checkpoint_tells(tmp_path: Path) -> None:
    config = {**TOP, "text_config": {**QWEN, "tie_word_embeddings": True}, "tie_word_embeddings": False}
    facts = repo(tmp_path, config, llm("language_model.model", "language_model.lm_head")).facts
    listed = facts.value("config_conflicts")
    assert isinstance(listed, list)
    item = next(item for item in listed if isinstance(item, dict) and item["attribute"] == "tie_word_embeddings")
    values = {entry["path"]: entry["value"] for entry in item["values"]}  # type: ignore[union-attr, index, call-overload]
    assert values[item["winner"]] == facts.value("tied_embeddings")
    assert "tied_embeddings" in str(item["reason"])


def test_one_part_that_counts_its_layers_twice(tmp_path: Path) -> None:
    decoder = {**QWEN, "num_hidden_layers": 12, "decoder_layers": 10, "model_type": "mbart"}
    item = conflicts(tmp_path, {"encoder": {"hidden_size": 8}, "decoder": decoder})["num_hidden_layers"]
    assert item["winner"] == "decoder.decoder_layers"


def test_without_a_conflict_that_is_said_with_evidence(tmp_path: Path) -> None:
    fact = repo(tmp_path, {**TOP, "text_config": QWEN}).facts["config_conflicts"]
    assert fact.value == []
    assert fact.confidence is Confidence.CERTAIN
    assert fact.evidence
    assert fact.about == "repo"


@pytest.mark.parametrize("value", [[], "x", 5, None, {"hidden_size": {"a": 1}}])
def test_hostile_values_are_no_conflict(value: object, tmp_path: Path) -> None:
    assert isinstance(conflicts(tmp_path, {"text_config": value, "hidden_size": [1, 2]}), dict)

"""Facts that the layout gives: quantisation, ties, parts without code, and where index, headers and config disagree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from porter.facts import Confidence, RepoReading
from tests.facts.checkpoints import names_of
from tests.facts.compare import read

TEXT = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 24, "num_hidden_layers": 3,
        "vocab_size": 99}  # fmt: skip
VISION = {"model_type": "siglip_vision_model", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
          "patch_size": 14}  # fmt: skip
CONFIG = {"architectures": ["M"], "model_type": "m", "text_config": TEXT, "vision_config": VISION}


def repo(folder: Path, names: list[str], **changes: Any) -> RepoReading:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}), encoding="utf-8")
    if names:
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, "model-00001-of-00002.safetensors")}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return read(folder)


def test_parts_without_code_are_likely(tmp_path: Path) -> None:
    facts = repo(tmp_path, names_of("siglip")).facts
    assert facts["vision_tower"].confidence is Confidence.LIKELY
    tower = facts.value("vision_tower")
    assert isinstance(tower, list) and isinstance(tower[0], dict)
    assert [tower[0][key] for key in ("kind", "prefix", "layers", "heads")] == ["siglip", "tower", 2, 2]
    connector = facts["connector"]
    assert connector.confidence is Confidence.LIKELY and isinstance(connector.value, dict)
    ops = [(layer["op"], layer["out"]) for layer in connector.value["layers"] if isinstance(layer, dict)]  # type: ignore[union-attr]
    assert ops == [("Linear", None), (None, None), ("Linear", 24)]
    assert facts.value("weight_prefixes") == {
        "vision_tower": "tower", "connector": "projector", "language_model": "llm",
    }  # fmt: skip


def test_a_layer_count_that_the_checkpoint_denies_is_shown(tmp_path: Path) -> None:
    fact = repo(tmp_path, names_of("siglip"), vision_config={**VISION, "num_hidden_layers": 3}).facts["vision_tower"]
    assert isinstance(fact.value, list) and isinstance(fact.value[0], dict)
    assert fact.value[0]["layers"] == 2
    assert "layers 3" in fact.note and "holds 2" in fact.note


def test_a_block_of_another_encoder_is_not_the_towers(tmp_path: Path) -> None:
    audio = {"model_type": "audio_encoder", "hidden_size": 77, "num_hidden_layers": 2, "num_attention_heads": 7}
    tower = repo(tmp_path, names_of("siglip"), audio_config=audio).facts.value("vision_tower")
    assert isinstance(tower, list) and isinstance(tower[0], dict)
    assert tower[0]["hidden_size"] == 8


@pytest.mark.parametrize(
    ("stated", "head", "tied", "sure"),
    [
        (False, True, False, Confidence.CERTAIN),
        (True, False, True, Confidence.CERTAIN),
        (True, True, True, Confidence.LIKELY),
        (False, False, True, Confidence.LIKELY),
        (None, True, False, Confidence.LIKELY),
    ],
)
def test_ties(tmp_path: Path, stated: bool | None, head: bool, tied: bool, sure: Confidence) -> None:
    names = [name for name in names_of("siglip") if head or "lm_head" not in name]
    text = {**TEXT, **({} if stated is None else {"tie_word_embeddings": stated})}
    fact = repo(tmp_path, names, text_config=text).facts["tied_embeddings"]
    assert (fact.value, fact.confidence) == (tied, sure)


def test_two_config_levels_about_ties_are_never_certain(tmp_path: Path) -> None:
    text = {**TEXT, "tie_word_embeddings": False}
    fact = repo(tmp_path, names_of("siglip"), text_config=text, tie_word_embeddings=True).facts["tied_embeddings"]
    assert fact.value is False and fact.confidence is Confidence.LIKELY
    assert "text config" in fact.note and "model config" in fact.note


SIDES = [f"llm.model.layers.{index}.mlp.up_proj.weight.{end}" for index in range(3)
         for end in ("absmax", "quant_map", "quant_state.bitsandbytes__nf4")]  # fmt: skip
NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True}


@pytest.mark.parametrize(
    ("names", "config", "value", "sure"),
    [
        ([], None, None, Confidence.ABSENT),
        (SIDES, NF4, {"method": "bitsandbytes", "bits": 4}, Confidence.CERTAIN),
        (SIDES, None, {"method": "bitsandbytes", "bits": 4}, Confidence.LIKELY),
        ([], NF4, {"method": "bitsandbytes", "bits": 4}, Confidence.LIKELY),
        (SIDES, {"quant_method": "gptq", "bits": 8}, {"method": "gptq", "bits": 8}, Confidence.LIKELY),
        ([], {"quant_method": "fp8"}, {"method": "fp8", "bits": 8}, Confidence.CERTAIN),
    ],
)
def test_quantization(tmp_path: Path, names: list[str], config: object, value: object, sure: Confidence) -> None:
    changes = {} if config is None else {"quantization_config": config}
    fact = repo(tmp_path, [*names_of("siglip"), *names], **changes).facts["quantization"]
    found = {key: fact.value[key] for key in ("method", "bits")} if isinstance(fact.value, dict) else fact.value
    assert (found, fact.confidence) == (value, sure)


def test_the_whole_models_class_is_not_its_language_model(tmp_path: Path) -> None:
    """LLaVA's way: the language model's settings at the top level, under the whole model's names."""
    flat = {**TEXT, "architectures": ["MForConditionalGeneration"], "model_type": "m_x", "use_sliding_window": False,
            "max_window_layers": 3, "mm_vision_tower": "some/tower"}  # fmt: skip
    folder = tmp_path / "flat"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(flat), encoding="utf-8")
    fact = read(folder).facts["language_model"]
    assert isinstance(fact.value, dict)
    assert (fact.value["architecture"], fact.value["model_type"]) == ("Qwen2ForCausalLM", "qwen2")
    assert fact.confidence is Confidence.LIKELY and "max_window_layers" in fact.note


def test_without_weights_nothing_is_claimed_of_the_layout(tmp_path: Path) -> None:
    facts = repo(tmp_path, []).facts
    layout = facts.value("weights_layout")
    assert isinstance(layout, dict) and (layout["source"], layout["groups"]) == ("none", [])
    assert facts["connector"].confidence is Confidence.UNKNOWN

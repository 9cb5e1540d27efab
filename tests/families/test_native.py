"""A registered class against a repo of its name: stored names, settings, quantisation, and the map of what it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.facts.model import Confidence
from porter.families.base import Verdict
from porter.families.held import Held, children_of, own_class
from porter.families.native import place
from porter.families.verdict import decide
from porter.families.view import View
from porter.vllm_tree.quantization import quantization_methods
from porter.vllm_tree.registry import Architecture, architectures
from tests.facts.odd_repos import QWEN, SIGLIP, llm, names, repo
from tests.families.repos import needs_vllm, tree

pytestmark = needs_vllm
NAME = "LlavaForConditionalGeneration"
LLAVA = {
    "architectures": [NAME],
    "model_type": "llava",
    "text_config": QWEN,
    "vision_config": SIGLIP,
    "image_token_index": 7,
    "vision_feature_layer": -2,
}
EYES = [
    "vision_tower.vision_model.embeddings.patch_embedding.weight",
    "vision_tower.vision_model.encoder.layers.0.layer_norm1.weight",
]
CONNECTOR = names("multi_modal_projector.linear_{1,2}.weight")
STORED = [*EYES, *CONNECTOR, *llm("language_model.model", "language_model.lm_head")]


def entry(name: str = NAME) -> Architecture:
    found = architectures(tree()).get(name)
    if found is None or found.removed:
        pytest.skip(f"this vLLM does not have {name}")
    return found


def held(name: str = NAME) -> Held:
    item = entry(name)
    found = own_class(tree(), str(item.file(tree())), item.class_name)
    assert found is not None
    return found


def verdict(folder: Path, tensors: list[str] | None = None, **changes: object) -> Verdict:
    entry()
    return decide(repo(folder, {**LLAVA, **changes}, tensors), tree())


def test_a_class_is_read_with_its_modules_and_its_mapper() -> None:
    found = held()
    assert {"vision_tower", "multi_modal_projector", "language_model"} <= set(found.sites)
    assert not found.open
    assert found.rules.apply("model.language_model.norm.weight") == "language_model.model.norm.weight"
    inner = children_of(tree(), found, "multi_modal_projector")
    assert isinstance(inner, Held)
    assert {"linear_1", "linear_2"} <= set(inner.sites)


def test_what_a_mapper_drops_is_no_stranger(tmp_path: Path) -> None:
    found = held("InternVLChatModel")
    assert found.rules.apply("sam.mask.weight") is None
    assert not found.open


def test_every_name_has_a_place(tmp_path: Path) -> None:
    reading = repo(tmp_path, LLAVA, STORED)
    placed = place(View(reading, tree()), entry())
    assert placed.explained == 1.0
    assert placed.differences == ()
    found = decide(reading, tree())
    assert (found.level, found.confidence) == ("supported", Confidence.LIKELY)


@pytest.mark.parametrize(
    "name", ["gene_encoder.blocks.0.weight", "multi_modal_projector.gate.weight", "mask_head.bias"]
)
def test_a_stored_module_that_the_class_does_not_have_is_not_supported(name: str, tmp_path: Path) -> None:
    found = verdict(tmp_path, [*STORED, name])
    where = name.rpartition(".")[0].partition(".blocks")[0]
    assert found.level != "supported"
    assert any(f"has no place for {where}" in reason for reason in found.reasons), found.reasons


def test_very_many_strangers_are_counted_not_listed(tmp_path: Path) -> None:
    found = verdict(tmp_path, [*STORED, *(f"odd{number}.weight" for number in range(300))])
    assert sum("has no place for" in reason for reason in found.reasons) < 12
    assert any("292 more names" in reason for reason in found.reasons)


def test_a_module_that_the_class_builds_must_be_stored(tmp_path: Path) -> None:
    found = verdict(tmp_path, [name for name in STORED if not name.startswith("multi_modal_projector")])
    assert found.level != "supported"
    assert any("builds multi_modal_projector" in reason for reason in found.reasons)


def test_a_layout_that_was_not_seen_makes_it_likely(tmp_path: Path) -> None:
    found = verdict(tmp_path)
    assert (found.level, found.confidence) == ("supported", Confidence.LIKELY)
    assert "weights layout not seen" in found.reasons


def test_a_setting_that_the_class_never_reads_is_named(tmp_path: Path) -> None:
    found = verdict(tmp_path, STORED, use_pooling_gate=True, gate_merge_layers=3)
    assert found.level == "supported"
    assert any("use_pooling_gate" in reason and "never reads" in reason for reason in found.reasons), found.reasons


def test_a_setting_that_is_off_is_not(tmp_path: Path) -> None:
    found = verdict(tmp_path, STORED, use_pooling_gate=False)
    assert not any("use_pooling_gate" in reason for reason in found.reasons)


@pytest.mark.parametrize(("setting", "value"), [("mlp_connector_layers", 1), ("use_pixel_shuffle", False)])
def test_a_connector_that_the_class_builds_in_another_way_is_not_supported(
    setting: str, value: object, tmp_path: Path
) -> None:
    entry("Eagle2_5_VLForConditionalGeneration")
    config = {
        "architectures": ["Eagle2_5_VLForConditionalGeneration"],
        "model_type": "eagle_2_5_vl",
        "text_config": QWEN,
        "vision_config": SIGLIP,
        setting: value,
    }
    found = decide(repo(tmp_path, config), tree())
    assert found.level != "supported"
    assert any(setting in reason for reason in found.reasons), found.reasons


def test_quantisation_is_named_with_whether_the_tree_has_it(tmp_path: Path) -> None:
    methods = quantization_methods(tree())
    assert methods is not None
    assert "gptq" in methods
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    has = verdict(tmp_path / "a", STORED, quantization_config={"quant_method": "gptq", "bits": 4})
    assert has.level == "supported"
    assert any("quantised with gptq" in reason and "has" in reason for reason in has.reasons)
    lacks = verdict(tmp_path / "b", STORED, quantization_config={"quant_method": "wombat4", "bits": 4})
    assert lacks.level == "refuse"
    assert any("wombat4" in reason and "no method" in reason for reason in lacks.reasons)


def test_a_config_class_of_vllm_in_place_of_the_repos_is_named(tmp_path: Path) -> None:
    entry("DeepseekOCRForCausalLM")
    config = {
        "architectures": ["DeepseekOCRForCausalLM"],
        "model_type": "deepseek_vl_v2",
        "language_config": QWEN,
        "vision_config": SIGLIP,
        "auto_map": {"AutoConfig": "modeling_x.OtherConfig"},
    }
    found = decide(repo(tmp_path, config), tree())
    assert any("deepseek_vl_v2 is vLLM's own" in reason for reason in found.reasons), found.reasons


def test_the_config_map_of_a_supported_class(tmp_path: Path) -> None:
    found = verdict(tmp_path, STORED)
    assert found.config_map is not None
    paths = found.config_map.value
    assert isinstance(paths, dict)
    assert paths["vision_feature_layer"] == "vision_feature_layer"
    assert paths["vision_config.hidden_size"] == "vision_config.hidden_size"
    assert paths["multimodal_projector_bias"] is None
    lines = [item.text for item in found.config_map.evidence]
    assert any("vision_feature_layer = -2" in line for line in lines)
    assert any(line.startswith("config.multimodal_projector_bias <- MISSING") for line in lines), "with its default"


def test_the_config_map_of_the_nearest_class_of_a_refused_repo(tmp_path: Path) -> None:
    config = {**LLAVA, "architectures": ["NobodyForConditionalGeneration"], "model_type": "nobody"}
    found = decide(repo(tmp_path, config, STORED), tree())
    assert found.level == "refuse"
    assert found.match is not None
    assert found.config_map is not None
    assert found.config_map.about == "tree"
    assert found.nearest[0].entry.class_name == found.match.model_class

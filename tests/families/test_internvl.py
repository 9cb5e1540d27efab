from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from porter.errors import Refused, TreeError
from porter.facts import RepoReading
from porter.facts.model import Confidence, Fact
from porter.families import FAMILIES
from porter.families.internvl.anchors import Anchors, read_anchors
from porter.planning.spec import PortSpec
from porter.vllm_tree import locate
from porter.weights.mapper import NameRules
from tests.families.repos import EXAMPLE, needs_vllm, read, read_variant, tree

pytestmark = needs_vllm
FAMILY = FAMILIES["internvl"]


@pytest.fixture(scope="module")
def anchors() -> Anchors:
    return FAMILY.anchors(tree())  # type: ignore[no-any-return]


def spec_of(reading: RepoReading) -> PortSpec:
    return FAMILY.spec(FAMILY.match(reading, tree()), reading, tree())


def with_fact(reading: RepoReading, name: str, value: object) -> RepoReading:
    fact = Fact(name, value, Confidence.CERTAIN)  # type: ignore[arg-type]
    return replace(reading, facts=reading.facts.with_fact(fact))


def test_the_base_is_read_from_the_tree(anchors: Anchors) -> None:
    assert anchors.model_class == "InternVLChatModel"
    assert anchors.processor.tokens["ctx_image_token"] == "<IMG_CONTEXT>"
    assert [layer.op for layer in anchors.connector] == ["LayerNorm", "Linear", "GELU", "Linear"]
    assert anchors.drop_tokens == 1
    assert anchors.base_tower == "intern_vit"
    assert set(anchors.towers) == {"intern_vit", "siglip", "clip", "radio"}
    assert {"force_image_size", "ps_version", "select_layer", "vision_config.patch_size"} <= set(anchors.reads)
    assert anchors.image_only != anchors.with_video


def test_constants_follow_the_tree_not_porter(tmp_path: Path) -> None:
    package = tmp_path / "vllm"
    source = tree().package
    for path in ("model_executor/models", "transformers_utils/processors", "config"):
        (package / path).mkdir(parents=True)
    for path in ("model_executor/models/registry.py", "model_executor/models/intern_vit.py", "config/model.py"):
        (package / path).write_text((source / path).read_text())
    base = (
        (source / "model_executor/models/internvl.py")
        .read_text()
        .replace("vit_embeds[:, 1:, :]", "vit_embeds[:, 4:, :]")
    )
    (package / "model_executor/models/internvl.py").write_text(base)
    tokens = (source / "transformers_utils/processors/internvl.py").read_text().replace("<IMG_CONTEXT>", "<CTX>")
    (package / "transformers_utils/processors/internvl.py").write_text(tokens)
    for path in ("__init__.py", "transformers_utils/config.py"):
        (package / path).write_text("")
    found = read_anchors(locate(None, package, None), "model_executor/models/internvl.py", "InternVLChatModel")
    assert found.drop_tokens == 4
    assert found.processor.tokens["ctx_image_token"] == "<CTX>"
    assert set(found.towers) == {"intern_vit"}


def test_a_base_without_its_hooks_is_named(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match="has no class"):
        read_anchors(tree(), "model_executor/models/intern_vit.py", "InternVLChatModel")


def test_the_example_fits_with_every_difference_answered() -> None:
    match = FAMILY.match(read(EXAMPLE), tree())
    assert match.fits
    assert match.score == 1.0
    assert {"image context token", "pixels", "normalisation in the model", "config"} == {
        "image context token" if item.what.startswith("image ") else item.what for item in match.differences
    }


def test_the_spec_of_the_example() -> None:
    spec = spec_of(read(EXAMPLE))
    assert [buffer.name for buffer in spec.buffers] == ["norm_mean", "norm_std"]
    assert spec.tokens.arguments["ctx_image_token"] == "<|vision_patch|>"
    assert spec.tiling["max_dynamic_patch"].path == "max_tiles"
    assert spec.config.renames["text_config"] == "language_config"
    assert spec.tower is None
    assert not spec.connector


@pytest.mark.parametrize(
    ("name", "tower", "post_norm", "dropped"),
    [("siskin-siglip", "SiglipVisionModel", True, 0), ("curlew-clip", "CLIPVisionModel", False, None)],
)
def test_other_towers(name: str, tower: str, post_norm: bool, dropped: int | None, tmp_path: Path) -> None:
    spec = spec_of(read_variant(name, tmp_path))
    assert spec.tower is not None
    assert (spec.tower.cls, spec.tower.post_norm) == (tower, post_norm)
    assert spec.lora_tokens == dropped


def test_a_context_token_that_equals_the_placeholder(tmp_path: Path) -> None:
    spec = spec_of(read_variant("plover-image-token", tmp_path))
    assert spec.tokens.arguments["ctx_image_token"] == "<image>"
    assert spec.tokens.placeholder is None


def test_layers_above_the_tapped_one_are_dropped(tmp_path: Path) -> None:
    assert spec_of(read_variant("osprey-prefixed", tmp_path)).unbuilt_layers
    assert not spec_of(read_variant("curlew-clip", tmp_path)).unbuilt_layers, "the tree's CLIP passes over them itself"


def test_a_connector_of_one_linear(tmp_path: Path) -> None:
    assert spec_of(read_variant("godwit-one-linear", tmp_path)).connector == (
        "nn.Linear(merged_size, llm_hidden_size)",
    )


@pytest.mark.parametrize(
    ("fact", "value", "blocker"),
    [
        ("vision_tower", [{"kind": "sam", "class": "SamModel"}], "vision tower"),
        ("vision_tower", [{"kind": "siglip"}, {"kind": "clip"}], "vision tower"),
        ("image_context_token", None, "image context token"),
        ("image_size", [56, 112], "image size"),
        ("image_size", 112, "image size"),
        ("tokens_per_tile", 5, "tokens per tile"),
        ("language_model", {"architecture": "NobodysForCausalLM", "model_type": "nobodys"}, "language model"),
        ("feature_path", [{"op": "warp"}], "feature path"),
        ("connector", {"layers": [{"op": "Conv2d"}]}, "connector"),
        ("resample", 17, "pixels"),
    ],
)
def test_what_the_base_cannot_hold_is_a_named_blocker(fact: str, value: object, blocker: str) -> None:
    reading = with_fact(read(EXAMPLE), fact, value)
    match = FAMILY.match(reading, tree())
    assert blocker in {item.what for item in match.blockers}
    assert match.score < 1.0
    with pytest.raises(Refused):
        FAMILY.spec(match, reading, tree())


def test_two_merges_are_a_blocker_of_their_own() -> None:
    ops = [{"op": "tower", "layer": -1}, {"op": "connector"}, {"op": "pixel_shuffle", "version": "v2", "ratio": 0.5}]
    match = FAMILY.match(with_fact(read(EXAMPLE), "feature_path", ops), tree())
    assert "connector -> pixel_shuffle" in next(item.why for item in match.blockers if item.what == "feature path")


def test_rules_are_kept_and_unused_buffers_dropped() -> None:
    reading = read(EXAMPLE)
    stray = {"name": "model.stray", "attr": "stray", "shape": [3], "persistent": True, "used": False}
    found = with_fact(reading, "buffers", [*reading.facts.value("buffers"), stray])  # type: ignore[misc]
    rules = NameRules(prefix={"model.": ""})
    spec = FAMILY.spec(FAMILY.match(found, tree()), found, tree(), rules=rules)
    assert spec.rules.apply("model.stray") is None
    assert spec.rules.apply("model.norm_mean") == "norm_mean"


def test_two_bases_in_one_tree_are_told_apart() -> None:
    eagle = read_anchors(tree(), "model_executor/models/eagle2_5_vl.py", "Eagle2_5_VLForConditionalGeneration")
    assert (eagle.base_tower, eagle.drop_tokens) == ("siglip", 0)


@pytest.mark.parametrize("confidence", [Confidence.UNKNOWN, Confidence.GUESS])
def test_a_fact_that_nothing_settles_is_among_the_used(confidence: Confidence) -> None:
    reading = read(EXAMPLE)
    unsure = replace(reading, facts=reading.facts.with_fact(Fact("resample", None, confidence)))
    match = FAMILY.match(unsure, tree())
    assert "resample" in match.uses


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("vision_tower.", "vision_model.vision_model."),
        ("vision_tower.vision_model.", "vision_model.vision_model."),
        ("vision_tower.", "vision_model."),
    ],
)
def test_a_library_tower_takes_names_of_both_transformers(old: str, new: str, tmp_path: Path) -> None:
    reading = read_variant("siskin-siglip", tmp_path)
    rules = NameRules(prefix={old: new})
    spec = FAMILY.spec(FAMILY.match(reading, tree()), reading, tree(), rules=rules)
    for nesting in ("", "vision_model."):
        assert spec.rules.apply(f"vision_tower.{nesting}encoder.w") == "vision_model.vision_model.encoder.w"


def test_rules_that_would_chain_stay_as_they_are(tmp_path: Path) -> None:
    reading = read_variant("siskin-siglip", tmp_path)
    rules = NameRules(prefix={"vision_model.": "vision_model.vision_model."})
    spec = FAMILY.spec(FAMILY.match(reading, tree()), reading, tree(), rules=rules)
    assert spec.rules.apply("vision_model.encoder.w") == "vision_model.vision_model.encoder.w"

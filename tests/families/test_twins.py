"""Copies and subclasses of transformers' own models under other names: recognised, and near misses that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from porter.families import FAMILIES
from porter.families.base import Match
from porter.families.twin.weights import misplaced
from porter.families.verdict import decide
from porter.planning.build import port_spec
from porter.weights.mapper import NameRules
from tests.families.repos import needs_vllm, read, stored, tree
from tests.twins import TWINS, Twin, write_repo

pytestmark = needs_vllm
OTHER_PROCESSOR = ("lighton_ocr",)
"""Models whose repos name another processor than the one that vLLM's class asks for."""
UNHEEDED = ("gannet-copy", "magpie-default")
"""Copies whose tower has another activation, which vLLM's class does not ask its config about."""
SWAPPED = ("jay-swapped", "roller-swapped")


def only_renamed(twin: Twin) -> bool:
    changed = twin.near_miss or twin.edits or twin.module or twin.own_processor or twin.name in (*SWAPPED, *UNHEEDED)
    return not changed and twin.family.name not in OTHER_PROCESSOR


def matched(folder: Path) -> tuple[str, Match | None]:
    verdict = decide(read(folder), tree())
    return verdict.level, verdict.match


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if only_renamed(twin)])
def test_what_is_only_renamed_is_recognised(name: str, twin_repo: Callable[[str], Path]) -> None:
    level, match = matched(twin_repo(name))
    native = TWINS[name].family.name
    assert level == "inherit" and match is not None
    assert match.family in (native, f"{native}_original")
    assert not match.blockers


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if twin.family.name in OTHER_PROCESSOR])
def test_a_processor_that_the_class_does_not_ask_for_is_a_blocker(name: str, twin_repo: Callable[[str], Path]) -> None:
    match = FAMILIES["lightonocr"].match(read(twin_repo(name)), tree())
    assert "processor" in {blocker.what for blocker in match.blockers}
    assert matched(twin_repo(name))[0] != "inherit"


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if twin.near_miss])
def test_a_near_miss_is_never_ported_as_if_it_matched(name: str, twin_repo: Callable[[str], Path]) -> None:
    level, _ = matched(twin_repo(name))
    assert level in ("compose", "refuse"), TWINS[name].near_miss


@pytest.mark.parametrize("name", UNHEEDED)
def test_a_value_that_the_trees_class_has_fixed_otherwise_is_a_blocker(
    name: str, twin_repo: Callable[[str], Path]
) -> None:
    level, _ = matched(twin_repo(name))
    blockers = FAMILIES["qwen2_vl"].match(read(twin_repo(name)), tree()).blockers
    assert level != "inherit" and ["vision_config.hidden_act is 'gelu'" in item.why for item in blockers] == [True]


@pytest.mark.parametrize("name", SWAPPED)
def test_siblings_with_each_others_names_are_not_told_apart_by_them(
    name: str, twin_repo: Callable[[str], Path]
) -> None:
    native = TWINS[name].family.name
    family = FAMILIES[f"{native}_original" if f"{native}_original" in FAMILIES else native]
    assert "weights" in {blocker.what for blocker in family.match(read(twin_repo(name)), tree()).blockers}
    assert matched(twin_repo(name))[0] != "inherit"


def test_a_swap_that_no_mapper_can_say_is_a_blocker(tmp_path: Path) -> None:
    layer = "model.vision_model.encoder.layers.0.self_attn"
    folder = stored(write_repo(TWINS["jay-swapped"], tmp_path), [f"{layer}.{name}_proj.weight" for name in "qkv"])
    blockers = FAMILIES["idefics3"].match(read(folder), tree()).blockers
    assert [blocker.what for blocker in blockers] == ["weights"] and "k_proj" in blockers[0].why


def test_a_mapper_that_loses_a_known_place_is_seen() -> None:
    places = {"a.q.weight": "a.k.weight", "a.k.weight": "a.q.weight"}
    assert "a.q.weight is a.k.weight" in str(misplaced(places, NameRules()))
    assert misplaced(places, NameRules(substr={".q.": ".k.", ".k.": ".q."})) is not None
    assert misplaced({"b.x.weight": "c.x.weight"}, NameRules(prefix={"b.": "c."})) is None


def files(folder: Path) -> tuple[str, str]:
    """The model file and the config file of the port."""
    reading = read(folder)
    verdict = decide(reading, tree())
    assert verdict.match is not None
    family, spec = FAMILIES[verdict.match.family], port_spec(reading, verdict, tree())
    return family.model_file(spec, relative=False, own_config=True), family.config_file(spec)


def test_what_a_config_class_sets_is_in_the_ports_config(twin_repo: Callable[[str], Path]) -> None:
    assert '"vision_feature_layer": -1' in files(twin_repo("jackdaw-forced"))[1]


@pytest.mark.parametrize("name", ["martin-copy", "swift-subclass"])
def test_a_class_that_puts_images_in_by_itself_keeps_its_prompts(name: str, twin_repo: Callable[[str], Path]) -> None:
    reading = read(twin_repo(name))
    verdict = decide(reading, tree())
    assert reading.facts.value("image_placeholder") == "<image>" and verdict.match is not None
    assert "get_placeholder_str" not in files(twin_repo(name))[0]
    spec = port_spec(reading, verdict, tree())
    assert FAMILIES[spec.family].prompt(spec, 56).placeholder == ""


@pytest.mark.parametrize(
    ("name", "tensor", "given"),
    [
        ("kestrel-copy", "model.bridge.projector.linear.weight", True),
        ("merlin-subclass", "model.connector.modality_projection.proj.weight", False),
        ("martin-copy", "model.bridge.project.weight", False),
    ],
)
def test_a_loader_without_the_mapper_is_given_mapped_names(name: str, tensor: str, given: bool, tmp_path: Path) -> None:
    text = files(stored(write_repo(TWINS[name], tmp_path), [tensor]))[0]
    assert ("super().load_weights(self.hf_to_vllm_mapper.apply(weights))" in text) is given
    assert ("WeightsMapper(" in text) is (name != "merlin-subclass")


def test_a_drop_stands_beside_the_renames_of_the_base(tmp_path: Path) -> None:
    repo = write_repo(TWINS["razorbill-keys"], tmp_path)
    text = files(stored(repo, ["step", "model.visual.merger.ln_q.weight", "model.language_model.norm.weight"]))[0]
    assert '"step": None' in text and '"model.visual.": "visual."' in text
    plain = files(stored(write_repo(TWINS["puffin-subclass"], tmp_path), ["model.visual.merger.ln_q.weight"]))[0]
    assert "WeightsMapper" not in plain


def test_a_key_that_only_config_classes_read_is_renamed_too(twin_repo: Callable[[str], Path]) -> None:
    assert '"bridge_dim": "projection_dim"' in files(twin_repo("martin-copy"))[1]
    assert "projection_dim" not in files(twin_repo("swift-subclass"))[1]


def test_keys_of_a_copy_are_read_under_their_own_names(twin_repo: Callable[[str], Path]) -> None:
    text = files(twin_repo("fulmar-copy"))[1]
    for mine, native in {"eye_config": "vision_config", "width": "embed_dim", "num_blocks": "depth"}.items():
        assert f'"{mine}": "{native}"' in text

"""Repos of LLaVA's shape: recognised from their parts, and near misses that are not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from examples.byte_tokenizer import dump
from porter.families import FAMILIES
from porter.families.llava.anyres import Grid
from porter.families.llava.judge import Judgement
from porter.families.verdict import Wish, decide, rank
from tests.families.repos import needs_vllm, read, read_variant, tree
from tests.llava import REPOS, Shape, write_repo

pytestmark = needs_vllm
PINTAIL, SCOTER = REPOS["pintail-normed-anyres"], REPOS["scoter-anyres"]
AVOCET, DABCHICK, WHIMBREL = (REPOS[name] for name in ("avocet-plain", "dabchick-normed", "whimbrel-full"))
LINEAR, LAST = ("linear_1", "nn.Linear(vision, text)", "self.linear_1({x})"), "self.linear_2({x})"


def judged(shape: Shape, folder: Path) -> Judgement:
    match = FAMILIES["llava"].match(read(write_repo(shape, folder)), tree())
    assert not match.blockers, match.blockers
    assert isinstance(match.judgement, Judgement)
    return match.judgement


@pytest.mark.parametrize("name", REPOS)
def test_inherits_from_its_family(name: str, tmp_path: Path) -> None:
    verdict = decide(read(write_repo(REPOS[name], tmp_path)), tree())
    assert verdict.level == "inherit"
    assert verdict.match is not None and verdict.match.family == REPOS[name].family


def test_a_plain_repo_differs_in_its_names_alone(tmp_path: Path) -> None:
    found = judged(AVOCET, tmp_path)
    assert found.connector.code == () and (found.connector.act, found.connector.bias) == ("gelu", True)
    assert found.attributes.renames == {
        "vision_config": "vision",
        "text_config": "text",
        "image_token_index": "image_token_id",
        "vision_feature_layer": "mm_vision_select_layer",
    }
    assert found.tap is not None and (found.tap.layer, found.tap.strategy) == (-2, "default")


def test_a_connector_with_a_norm_is_written_layer_by_layer(tmp_path: Path) -> None:
    found = judged(DABCHICK, tmp_path)
    assert found.connector.code == (
        "nn.LayerNorm(vit_hidden_size, eps=1e-06)",
        "nn.Linear(vit_hidden_size, 2 * llm_hidden_size)",
        "nn.GELU()",
        "nn.Linear(2 * llm_hidden_size, llm_hidden_size)",
    )
    assert found.tap is not None and found.tap.strategy == "full"


def test_what_stands_in_code_alone_is_given_to_the_config(tmp_path: Path) -> None:
    found = judged(WHIMBREL, tmp_path)
    assert found.attributes.given == {
        "vision_feature_layer": -3,
        "vision_feature_select_strategy": "full",
        "projector_hidden_act": "silu",
        "multimodal_projector_bias": False,
    }


def test_an_activation_behind_the_last_linear_is_kept(tmp_path: Path) -> None:
    shape = replace(AVOCET, steps=(*AVOCET.steps, ("end", None, "F.gelu({x})")))
    assert judged(shape, tmp_path).connector.code[-1] == "nn.GELU()"


def test_another_order_of_layers_is_kept(tmp_path: Path) -> None:
    first, act, last = AVOCET.steps
    code = judged(replace(AVOCET, steps=(first, last, act)), tmp_path).connector.code
    assert [line.partition("(")[0] for line in code] == ["nn.Linear", "nn.Linear", "nn.GELU"]


GATED = (*AVOCET.steps[:2], ("gate", "nn.Linear(text, text)", "{x} * torch.sigmoid(self.gate({x}))"), AVOCET.steps[2])
SKIPPED = (AVOCET.steps[0], AVOCET.steps[1], ("linear_2", "nn.Linear(text, text)", "{x} + self.linear_2({x})"))
SCALED = (*AVOCET.steps, ("scale", None, "{x} * 1.1"))


@pytest.mark.parametrize("steps", [GATED, SKIPPED, SCALED], ids=["gated", "skip", "scaled"])
def test_a_connector_that_is_no_sequence_is_not_ported(steps: Any, tmp_path: Path) -> None:
    verdict = decide(read(write_repo(replace(AVOCET, steps=steps), tmp_path)), tree())
    assert verdict.level in ("compose", "refuse"), verdict.reasons


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"image_processor_type": "LlavaNextImageProcessor"}, "LlavaNextImageProcessor"),
        ({"crop_size": {"height": 28, "width": 56}}, "images are made"),
        ({"image_grid_pinpoints": [[56, 112]]}, "image_grid_pinpoints"),
        ({"auto_map": {"AutoImageProcessor": "modeling_avocet.AvocetProjector"}}, "AutoImageProcessor"),
    ],
)
def test_pixels_that_transformers_makes_otherwise_are_a_blocker(
    more: Mapping[str, object], word: str, tmp_path: Path
) -> None:
    folder = write_repo(AVOCET, tmp_path)
    path = folder / "preprocessor_config.json"
    dump(path, {**json.loads(path.read_text()), **more})
    match = FAMILIES["llava"].match(read(folder), tree())
    assert any(item.what in ("pixels", "image size") and word in item.why for item in match.blockers), match.blockers


def test_stated_arguments_of_the_processor_need_no_override(tmp_path: Path) -> None:
    assert judged(AVOCET, tmp_path / "a").processor
    assert not judged(replace(AVOCET, processor_file=True), tmp_path / "b").processor


def test_a_connector_that_a_subclass_puts_in_is_the_one_that_is_read(tmp_path: Path) -> None:
    match = FAMILIES["llava_next"].match(read(write_repo(PINTAIL, tmp_path)), tree())
    assert match.fits and isinstance(match.judgement, Judgement)
    assert match.judgement.connector.code[0] == "nn.LayerNorm(vit_hidden_size, eps=1e-06)"


def test_resolutions_are_found_under_another_key(tmp_path: Path) -> None:
    match = FAMILIES["llava_next"].match(read(write_repo(SCOTER, tmp_path)), tree())
    assert match.fits and isinstance(match.judgement, Judgement)
    assert match.judgement.attributes.renames["image_grid_pinpoints"] == "possible_resolutions"


def test_resolutions_that_the_files_do_not_agree_on_are_a_blocker(tmp_path: Path) -> None:
    folder = write_repo(SCOTER, tmp_path)
    path = folder / "preprocessor_config.json"
    dump(path, {**json.loads(path.read_text()), "image_grid_pinpoints": [[56, 56]]})
    blockers = FAMILIES["llava_next"].match(read(folder), tree()).blockers
    assert any("disagree" in item.why for item in blockers), blockers


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        (56, 56, 16 + 4 * 4 + 4),  # 56 x 112 and 112 x 56 lose as little: the first, of which half is padding
        (112, 56, 16 + 4 * 8 + 4),
        (56, 112, 16 + 8 * 4 + 8),
        (112, 112, 16 + 8 * 8 + 8),
        (168, 50, 16 + 4 * 12 + 4),  # the wide one; a row of padding on either side would need two rows lost
        (400, 100, 16 + 4 * 12 + 4),
    ],
)
def test_tokens_of_an_image_cut_by_resolutions(width: int, height: int, tokens: int) -> None:
    grid = Grid(56, 4, 16, SCOTER.resolutions)
    assert grid.tokens(width, height) == tokens


def test_a_repo_with_tiles_stays_with_its_own_family(tmp_path: Path) -> None:
    ranked = rank(read_variant("siskin-siglip", tmp_path), tree())
    assert ranked[0].family == "internvl" and ranked[0].fits
    assert all(any(item.what == "feature path" for item in match.blockers) for match in ranked[1:])


def test_a_family_can_be_asked_for_by_name(tmp_path: Path) -> None:
    reading = read(write_repo(DABCHICK, tmp_path))
    asked = decide(reading, tree(), wish=Wish.of("inherit", "internvl"))
    assert asked.match is not None and asked.match.family == "internvl"

"""Each stage and spot leads to the causes that a person would look at first."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from porter.jsontypes import JSON
from porter.proof.causes import causes
from porter.proof.compare import Row, traced
from porter.proof.stages import STAGES, Place, Stage, first_difference
from tests.proof.ways import differing, from_on, way

BAD = Row("normal", "one tile", True, False, 2.0, None, (28, 28))


def named(
    start: str, facts: Mapping[str, JSON] | None = None, signs: Mapping[str, JSON] | None = None
) -> tuple[str, ...]:
    """Causes of a mistake that shows from `start` on, where the difference there has these signs."""
    rows = differing(from_on(way(), start), start, signs=dict(signs or {}))
    found = first_difference(traced([BAD], rows)[0])
    assert found is not None
    return causes(found, facts)


@pytest.mark.parametrize(
    ("start", "signs", "word"),
    [
        ("in vit.patch", {"moved": "rows"}, "tile order"),
        ("in vit.patch", {"affine": True}, "mean and std"),
        ("in vit.patch", {"factor": 255.0}, "1/255"),
        ("in vit.patch", {"channels": True, "alike": 0.95}, "RGB against BGR"),
        ("in vit.patch", {"moved": "values"}, "RGB"),
        ("in vit.patch", {"alike": 0.998}, "resampling"),
        ("out vit.patch", {}, "patch convolution"),
        ("in vit.layers.0", {}, "position embeddings"),
        ("out vit.layers.0.norm1", {}, "epsilon"),
        ("out vit.layers.0.attn.qkv", {}, "q, k and v"),
        ("in vit.layers.0.attn.proj", {}, "q, k and v"),
        ("in vit.layers.0.mlp.fc2", {}, "GELU"),
        ("in vit.layers.0.norm2", {}, "layer scale"),
        ("in mlp1.0", {"moved": "rows"}, "pixel shuffle"),
        ("out mlp1.0", {}, "epsilon"),
        ("in mlp1.3", {}, "GELU"),
        ("out mlp1.1", {"shift": True}, "bias lost"),
        ("in llm.layers.0", {"factor": 1.5}, "scale of the embeddings"),
        ("in llm.layers.0.attn.proj", {}, "rope"),
        ("in llm.layers.0.mlp.fc2", {}, "gate and up"),
    ],
)
def test_the_likeliest_cause(start: str, signs: dict[str, JSON], word: str) -> None:
    assert word in named(start, signs=signs)[0]


def test_a_tap_at_another_layer_is_the_feature_layer() -> None:
    place = Place("vit", "out", "tapped", "tower", shapes=((1,), (1,)), rel_diff=1.0, signs={"tapped": ["a", "b"]})
    assert "feature layer" in causes(Stage("tower", "differs", place=place))[0]


@pytest.mark.parametrize(
    ("lengths", "word"), [([50, 34], "number of tiles"), ([50, 49], "start and end"), ([50, 29], "tokens per tile")]
)
def test_lengths_of_prompts(lengths: list[JSON], word: str) -> None:
    place = Place("prompt", "out", "ids", shapes=((), ()), signs={"rows": lengths})
    assert word in causes(Stage("prompt ids", "differs", place=place), {"tokens_per_tile": 16})[0]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_causes(stage: str) -> None:
    assert causes(Stage(stage, "differs"))


def test_the_fact_to_check_is_shown_with_its_value() -> None:
    assert '(fact pixel_shuffle: "v2")' in named("in mlp1.0", {"pixel_shuffle": "v2"}, {"moved": "values"})[0]
    assert "(fact" not in named("in mlp1.0", {}, {"moved": "values"})[0]

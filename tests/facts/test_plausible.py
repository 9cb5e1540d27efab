# ruff: noqa: E501 (values stand on few lines)
"""A value that no model can have is not known by it, however plainly a file states it."""

from __future__ import annotations

import pytest

from porter.errors import UsageError
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.plausible import fault, plausible
from porter.jsontypes import JSON
from porter.overrides import parse_set

POSSIBLE: list[tuple[str, JSON]] = [
    ("image_size", 448), ("image_size", [448, 336]), ("patch_size", 14), ("min_tiles", 1), ("use_thumbnail", False),
    ("downsample_ratio", 0.5), ("downsample_ratio", 1), ("image_mean", [0.0, 0.5, -1.0]), ("image_std", [0.5]), ("feature_layer", -2),
    ("feature_layer", [-2, -5]), ("feature_layer", "pooler_output"), ("image_context_token_id", 0), ("image_context_token", "<x>"),
    ("image_size", None), ("license", ["anything"]), ("connector", {}),
]  # fmt: skip
IMPOSSIBLE: list[tuple[str, JSON]] = [
    ("image_size", 0), ("image_size", -1), ("image_size", [448]), ("image_size", [448, 0]), ("image_size", "448"), ("image_size", True),
    ("patch_size", 10**30), ("max_tiles", ""), ("min_tiles", ["a", 3]), ("use_thumbnail", 1), ("downsample_ratio", 0), ("downsample_ratio", True),
    ("image_mean", []), ("image_mean", [None, 0.5]), ("image_mean", [0.5] * 9), ("image_std", [0.0, 0.5]), ("feature_layer", []),
    ("feature_layer", 1.5), ("image_context_token_id", -1), ("image_context_token", ""), ("image_context_token", 3), ("tied_embeddings", "yes"),
    ("downsample_ratio", float("nan")), ("image_std", [float("inf")]),
]  # fmt: skip


def stated(name: str, value: JSON) -> Fact:
    return Fact(name, value, Confidence.CERTAIN, (Evidence("config.json", name, str(value)),), note="so")


@pytest.mark.parametrize(("name", "value"), POSSIBLE)
def test_what_a_model_can_have_stays(name: str, value: JSON) -> None:
    assert plausible(stated(name, value)) == stated(name, value)


@pytest.mark.parametrize(("name", "value"), IMPOSSIBLE)
def test_what_no_model_can_have_is_unknown_and_says_so(name: str, value: JSON) -> None:
    fact = plausible(stated(name, value))
    assert (fact.value, fact.confidence) == (None, Confidence.UNKNOWN)
    assert fact.evidence == stated(name, value).evidence
    assert fact.note == f"config.json states what is not {fault(name, value)}; so"


@pytest.mark.parametrize("option", ["image_size=-1", "patch_size=[14]", "downsample_ratio=0", "image_std=[0.5, 0]"])
def test_nobody_can_give_it_either(option: str) -> None:
    with pytest.raises(UsageError, match="must be"):
        parse_set([option])

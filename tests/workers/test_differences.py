"""Two recordings side by side: what is off, by how much, and in what manner."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.workers.differences import NOISE, difference, holds, rows

RANDOM = np.random.Generator(np.random.PCG64(7))
FEATURES = RANDOM.normal(size=(3, 17, 8)).astype(np.float32)
PIXELS = RANDOM.normal(size=(3, 3, 4, 4)).astype(np.float32)


def signs(left: Any, right: Any, *, pixels: bool = False) -> dict[str, Any]:
    made = difference(left, right, pixels=pixels)["signs"]
    assert isinstance(made, dict)
    return made


def test_the_same_numbers_in_another_shape_are_equal() -> None:
    found = difference(FEATURES, FEATURES.reshape(51, 8))
    assert found == {"max_diff": 0.0, "rel_diff": 0.0, "signs": {}}


@given(st.floats(-6.5, -5.2))
def test_rounding_has_no_manner(power: float) -> None:
    noise = RANDOM.uniform(-1, 1, FEATURES.shape) * 10**power * np.abs(FEATURES).max(axis=-1, keepdims=True)
    found = difference(FEATURES, (FEATURES + noise).astype(np.float32))
    assert found["rel_diff"] <= NOISE and not found["signs"]


def test_a_small_row_counts_by_its_own_size() -> None:
    left: Any = np.ones((2, 4), dtype=np.float32)
    left[1] *= 0.05
    right = left.copy()
    right[1] += 1e-4
    assert difference(left, right)["rel_diff"] == pytest.approx(2e-3, rel=1e-2)


def test_a_cls_row_on_one_side_is_left_out_and_said() -> None:
    found = difference(FEATURES, FEATURES[:, 1:].reshape(48, 8))
    assert found["rel_diff"] == 0.0 and found["signs"] == {"front": 1}
    assert difference(FEATURES[:, 1:], FEATURES)["signs"] == {"front": -1}
    shifted = difference(FEATURES, FEATURES[:, :-1])
    assert shifted["rel_diff"] > 0.1


def test_rows_that_cannot_be_lined_up_are_counted() -> None:
    found = difference(FEATURES.reshape(51, 8), FEATURES.reshape(51, 8)[:-1])
    assert found["rel_diff"] is None and found["signs"]["rows"] == [51, 50]


@pytest.mark.parametrize(
    ("right", "name", "value"),
    [
        (FEATURES[::-1], "moved", "rows"),
        (FEATURES[:, :, ::-1], "moved", "values"),
        (FEATURES * 1.5, "factor", pytest.approx(1.5)),
        (FEATURES + RANDOM.normal(size=8).astype(np.float32), "shift", True),
        (
            np.where(np.arange(17)[None, :, None] == 3, FEATURES + RANDOM.normal(size=(3, 17, 8)), FEATURES),
            "some_rows",
            [3, 51, 3],
        ),
        (FEATURES * np.float32(np.nan), "nan", True),
    ],
)
def test_manners(right: Any, name: str, value: Any) -> None:
    assert signs(FEATURES, right.astype(np.float32))[name] == value


def test_manners_of_pixels() -> None:
    per_channel = PIXELS * np.array([2, 3, 4]).reshape(1, 3, 1, 1) + np.array([1, 0, 2]).reshape(1, 3, 1, 1)
    assert signs(PIXELS, per_channel.astype(np.float32), pixels=True)["affine"] is True
    assert signs(PIXELS, PIXELS[[2, 0, 1]], pixels=True)["moved"] == "rows"
    assert signs(PIXELS, PIXELS[:, ::-1], pixels=True)["moved"] == "values"
    swapped = signs(PIXELS, per_channel[:, ::-1].astype(np.float32), pixels=True)
    assert swapped["channels"] is True and "affine" not in swapped
    assert signs(PIXELS, PIXELS[:2], pixels=True)["rows"] == [3, 2]
    assert signs(PIXELS, PIXELS.reshape(3, -1), pixels=True) == {}


def test_a_small_difference_is_not_taken_for_another_order() -> None:
    right = FEATURES.copy()
    right[0, :3] += 4e-5 * RANDOM.normal(size=(3, 8))
    assert set(signs(FEATURES, right.astype(np.float32))) <= {"some_rows", "alike"}


def test_a_merge_holds_the_values_of_what_it_moves() -> None:
    merged = FEATURES[:, 1:].reshape(3, 4, 32)
    assert holds(merged, FEATURES) and not holds(merged, FEATURES + 1e-3)


LAYOUT = {
    "parts": {"tower": "vit", "connector": "mlp", "language_model": "llm"},
    "blocks": {"tower": ["vit.layers.0", "vit.layers.1"], "language_model": ["llm.layers.0"]},
    "leaves": {"vit.patch": "Conv2d", "mlp.0": "Linear", "llm.layers.0.o_proj": "Linear"},
}


def recording(last: int) -> dict[str, Any]:
    """A tower of two layers, of which the connector gets the output of layer `last`."""
    outputs = [FEATURES, FEATURES * 2 + 1]
    merged = outputs[last - 1][:, 1:].reshape(3, 4, 32)
    made = {
        "in|vit.patch": PIXELS,
        "out|vit.layers.0": outputs[0],
        "out|vit.layers.1": outputs[1],
        "in|mlp.0": merged,
        "in|llm.layers.0": merged,
    }
    named = {f"p|{key}": value for key, value in made.items()}
    return {**named, "layout": np.asarray(json.dumps(LAYOUT)), "p|order": np.asarray(json.dumps(list(made)))}


def test_every_place_of_the_reference_is_a_row() -> None:
    found = rows(recording(2), recording(2), ["p", "text"])
    assert [row["point"] for row in found] == ["pixels", None, None, "merged", None, "tapped"]
    assert {row["rel_diff"] for row in found} == {0.0}
    assert [(row["part"], row["block"]) for row in found[1:3]] == [("tower", 1), ("tower", 2)]
    assert found[-1]["path"] == "vit.layers.1" and found[-1]["block"] is None


def test_another_layer_that_is_tapped_is_told() -> None:
    found = rows(recording(1), recording(2), ["p"])[-1]
    assert found["point"] == "tapped" and found["rel_diff"] > 0.1
    assert found["signs"]["tapped"] == ["layer 1 of 2", "layer 2 of 2"]


def test_a_place_that_one_side_lacks_has_no_difference() -> None:
    engine = {key: value for key, value in recording(2).items() if key != "p|in|mlp.0"}
    found = {row["path"]: row for row in rows(recording(2), engine, ["p"])}
    assert found["mlp.0"]["shapes"] == [[3, 4, 32], None] and found["mlp.0"]["rel_diff"] is None
    assert "tapped" not in {row["point"] for row in found.values()}

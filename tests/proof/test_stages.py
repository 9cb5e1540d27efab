"""The stage at which two computations part is found from rows of compared places alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.jsontypes import JSONObject
from porter.proof.compare import Row, judge, traced
from porter.proof.stages import STAGES, Stage, earliest, first_difference, stages_of, summary
from tests.proof.ways import NOISE, differing, from_on, unseen, way

GOOD = Row("normal", "one tile", True, True, 8e-6, 9e-7, (28, 28), (True, True))
BAD = replace(GOOD, greedy_equal=False, max_logprob_diff=2.0, embed_diff=0.3)
SEEDS = {"normal": 0}


def trace(rows: list[JSONObject], row: Row = BAD) -> list[Stage]:
    return traced([row], rows)[0]


LATE = replace(BAD, embed_diff=NOISE)
"""Of a mistake behind the image embeddings."""


def row_of(start: str) -> Row:
    keys = [f"{row['side']} {row['path']}" for row in way()]
    return LATE if keys.index(start) > keys.index("out mlp1") else BAD


def first(rows: list[JSONObject], row: Row = BAD) -> str | None:
    found = first_difference(trace(rows, row))
    return found.title if found else None


def test_equal_places_are_equal_stages_in_order() -> None:
    stages = trace(way(), GOOD)
    assert {stage.status for stage in stages} == {"equal"}
    assert [stage.title for stage in stages] == [
        "prompt ids",
        "pixel values",
        "patch embed",
        "tower layer 1 of 2",
        "tower layer 2 of 2",
        "tower",
        "merge",
        "connector",
        "merged embeddings",
        "language model layer 1 of 1",
        "language model",
    ]
    assert first_difference(stages) is None


@pytest.mark.parametrize(
    ("start", "title"),
    [
        ("in vit.patch", "pixel values"),
        ("out vit.patch", "patch embed"),
        ("in vit.layers.0", "patch embed"),
        ("out vit.layers.0.norm1", "tower layer 1 of 2"),
        ("in vit.layers.1.mlp.fc2", "tower layer 2 of 2"),
        ("in mlp1.0", "merge"),
        ("out mlp1.0", "connector"),
        ("in llm.layers.0", "merged embeddings"),
        ("in llm.layers.0.attn.proj", "language model layer 1 of 1"),
        ("out llm.norm", "language model"),
    ],
)
def test_the_first_stage_that_differs_is_named(start: str, title: str) -> None:
    assert first(from_on(way(), start), row_of(start)) == title


@given(st.data())
def test_a_mistake_is_never_named_before_where_it_is_nor_past_its_stage(data: st.DataObject) -> None:
    rows = way()
    titles = [stage.title for stage in trace(rows, GOOD)]
    keys = [f"{row['side']} {row['path']}" for row in rows[2:-1]]
    start = data.draw(st.integers(0, len(keys) - 1))
    lost = data.draw(st.sets(st.sampled_from(keys), max_size=8))
    wrong, row = from_on(rows, keys[start]), row_of(keys[start])
    earlier = titles.index(first(wrong, row) or titles[-1])
    # Places that the engine does not show move what is named later, never earlier, and never to nothing.
    named = first(unseen(wrong, *lost), row)
    assert named is not None and titles.index(named) >= earlier


def test_what_was_not_seen_is_never_equal() -> None:
    blind = unseen(way(), *[f"{row['side']} {row['path']}" for row in way()])
    stages = {stage.name: stage.status for stage in trace(blind, GOOD)}
    assert stages["tower"] == stages["merge"] == stages["pixel values"] == "not seen"
    assert stages["prompt ids"] == stages["language model"] == "equal"


def test_a_difference_that_does_not_reach_the_end_is_not_the_cause() -> None:
    unused = differing(way(), "out vit.layers.1", "in vit.layers.1.norm2")
    assert first(unused, GOOD) is None
    assert first(from_on(unused, "out mlp1.1")) == "connector"


def test_ids_come_first() -> None:
    row = replace(BAD, ids_equal=False, ids=(31, 27), max_logprob_diff=None)
    found = first_difference(trace(from_on(way(), "in vit.patch"), row))
    assert found is not None and found.title == "prompt ids"
    assert "rows 31 in the reference against 27" in found.line()


def test_the_place_inside_a_stage_is_named() -> None:
    found = first_difference(trace(from_on(way(), "in vit.layers.0.mlp.fc2")))
    assert found is not None and found.inside is not None and found.inside.after is not None
    assert (found.inside.place.path, found.inside.after.path) == ("vit.layers.0.mlp.fc2", "vit.layers.0.mlp.fc1")
    assert "first in what goes into vit.layers.0.mlp.fc2 (Linear)" in found.line()


def test_of_several_prompts_the_earliest_stage_counts() -> None:
    later, sooner = (first_difference(trace(from_on(way(), start))) for start in ("out mlp1.1", "out vit.patch"))
    assert earliest([None, later, sooner, later]) is sooner
    assert earliest([None]) is None


def test_rows_that_cannot_be_lined_up_differ() -> None:
    rows = from_on(way(), "in mlp1.0")
    rows = [
        {**row, "rel_diff": None, "max_diff": None, "signs": {"rows": [256, 255], "width": [8, 8]}}
        if row["point"] == "merged"
        else row
        for row in rows
    ]
    found = first_difference(trace(rows))
    assert found is not None and "merge differs: rows 256 in the reference against 255" in found.line()


def test_the_summary_has_one_row_per_stage_with_the_largest_difference() -> None:
    rows = summary(
        [*trace(way(), GOOD), *trace(differing(way(), "out mlp1.1", "out mlp1"), replace(GOOD, embed_diff=0.1))]
    )
    assert tuple(row.name for row in rows) == STAGES
    assert {row.name: row.rel_diff for row in rows}["connector"] == 0.1
    assert {row.name: row.rel_diff for row in rows}["merge"] == 1e-6
    assert [row.status for row in summary([])] == ["not seen"] * len(STAGES)


def test_the_verdict_is_that_of_the_answers_and_names_the_stage() -> None:
    parity = judge([BAD], seeds=SEEDS, places=from_on(way(), "out mlp1.0"))
    assert parity.status == "failed" and "first stage that differs: connector" in parity.detail
    shown = parity.to_json()
    assert shown["first_difference"] is not None and shown["causes"]
    equal = judge([GOOD], seeds=SEEDS, places=differing(way(), "in mlp1.0"))
    assert equal.status == "passed" and equal.first_difference is None and not equal.causes
    assert [stage.status for stage in equal.stages if stage.name == "merge"] == ["differs"]


def test_places_of_strangers_are_read_without_an_error() -> None:
    odd: list[JSONObject] = [{}, {"set": "normal", "prompt": "one tile", "shapes": 3, "signs": [], "block": "x"}]
    assert judge([BAD], seeds=SEEDS, places=odd).status == "failed"
    assert stages_of([])[0].status == "not seen"

"""The verdict: passed only when everything was compared and nothing differs; a failure names the first stage."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from porter.proof.compare import NEVER_PROVEN, TOLERANCE, Row, judge

GOOD = Row("normal", "one tile", True, True, 8e-6, 9e-7, (28, 28), (True, True))
SEEDS = {"normal": 0, "stress": 1}


def test_equal_rows_pass_and_say_what_is_not_proven() -> None:
    parity = judge([GOOD, replace(GOOD, set="stress")], seeds=SEEDS, not_proven=["sizes"])
    assert parity.status == "passed"
    assert parity.not_proven == (*NEVER_PROVEN, "sizes")
    shown = parity.to_json()
    assert shown["ids_equal"] is True and shown["greedy_equal"] is True
    assert shown["max_logprob_diff"] == 8e-6 and shown["embed_diff"] == 9e-7
    assert shown["weights"] == ["normal", "stress"] and shown["seeds"] == [0, 1]


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (replace(GOOD, ids_equal=False, ids=(28, 27), max_logprob_diff=None), "28 in the reference, 27 in vLLM"),
        (replace(GOOD, embed_diff=None), "differ in shape"),
        (replace(GOOD, embed_diff=TOLERANCE * 1.01), "tower or connector"),
        (replace(GOOD, embed_diff=math.nan), "tower or connector"),
        (replace(GOOD, max_logprob_diff=TOLERANCE * 1.01), "image embeddings equal"),
        (replace(GOOD, max_logprob_diff=None), "not numbers"),
        (replace(GOOD, greedy_equal=False), "greedy tokens differ"),
    ],
)
def test_each_difference_fails_and_is_named(row: Row, word: str) -> None:
    parity = judge([GOOD, row], seeds=SEEDS)
    assert parity.status == "failed"
    assert word in parity.detail and "one tile" in parity.detail


def test_a_row_that_was_not_compared_is_never_passed() -> None:
    missing = Row("normal", "two images", None, None, None, None)
    assert judge([GOOD, missing], seeds=SEEDS).status == "unproven"
    assert judge([], seeds=SEEDS).status == "unproven"


def test_a_failure_wins_over_what_was_not_compared() -> None:
    rows = [Row("normal", "text", None, None, None, None), replace(GOOD, greedy_equal=False)]
    assert judge(rows, seeds=SEEDS).status == "failed"


def test_text_alone_leaves_the_embeddings_unproven() -> None:
    text = replace(GOOD, prompt="text", embed_diff=None, has_embeds=(False, False))
    parity = judge([text], seeds=SEEDS)
    assert parity.status == "passed" and "image embeddings on their own" in parity.not_proven

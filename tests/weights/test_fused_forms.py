"""Fused, split and joined attention of real layouts under other names: how often the mapper is right."""

from __future__ import annotations

from collections import Counter

import pytest

from porter.weights.infer import Inferred
from tests.weights.fused import FORMS, Stored, fused_targets, inferred_for, right
from tests.weights.layouts import LAYOUTS
from tests.weights.renamings import RENAMINGS

ENOUGH = 0.95


def places(inferred: Inferred, stored: Stored) -> Counter[str | None]:
    return Counter(inferred.rules.apply(name) for name in stored)


@pytest.mark.parametrize("form", FORMS)
def test_nearly_all_are_complete_and_right(form: str) -> None:
    cases = [(layout, renaming) for layout in LAYOUTS for renaming in RENAMINGS]
    wrong = [case for case in cases if not right(*inferred_for(case[0], form, case[1]))]
    assert len(cases) >= 60
    assert len(wrong) <= (1 - ENOUGH) * len(cases), wrong


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_two_tensors_reach_one_place(layout: str, form: str) -> None:
    taken = {target.name for target in fused_targets(LAYOUTS[layout])}
    for renaming in RENAMINGS:
        counts = places(*inferred_for(layout, form, renaming))
        assert not {place for place, count in counts.items() if place in taken and count > 1}

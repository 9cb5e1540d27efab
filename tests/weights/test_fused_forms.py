"""Fused, split and joined attention of real layouts under other names: how often the mapper is right."""

from __future__ import annotations

from collections import Counter

import pytest

from porter.hub.snapshot import TensorInfo
from porter.weights.infer import Inferred, infer_mapper
from tests.weights.fused import FORMS, Stored, fused_targets
from tests.weights.layouts import LAYOUTS
from tests.weights.test_infer import RENAMINGS

ENOUGH = 0.95


def inferred_for(layout: str, form: str, renaming: str) -> tuple[Inferred, Stored]:
    """The mapper for one model in one form under one renaming, and where each of its tensors belongs."""
    rename = RENAMINGS[renaming]
    stored = {rename(name): where for name, where in FORMS[form](LAYOUTS[layout]).items()}
    source = [TensorInfo(name, "model.safetensors", "BF16", shape) for name, (_, shape) in stored.items()]
    return infer_mapper(source, fused_targets(LAYOUTS[layout])), stored


def places(inferred: Inferred, stored: Stored) -> Counter[str | None]:
    return Counter(inferred.rules.apply(name) for name in stored)


@pytest.mark.parametrize("form", FORMS)
def test_nearly_all_are_complete_and_right(form: str) -> None:
    cases = [(layout, renaming) for layout in LAYOUTS for renaming in RENAMINGS]
    wrong = []
    for layout, renaming in cases:
        inferred, stored = inferred_for(layout, form, renaming)
        astray = {name: inferred.rules.apply(name) for name, (place, _) in stored.items()}
        astray = {name: got for name, got in astray.items() if got != stored[name][0]}
        if astray or not inferred.complete:
            wrong.append((layout, renaming, dict(list(astray.items())[:3])))
    assert len(cases) >= 60
    assert len(wrong) <= (1 - ENOUGH) * len(cases), wrong


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_two_tensors_reach_one_place(layout: str, form: str) -> None:
    taken = {target.name for target in fused_targets(LAYOUTS[layout])}
    for renaming in RENAMINGS:
        counts = places(*inferred_for(layout, form, renaming))
        assert not {place for place, count in counts.items() if place in taken and count > 1}

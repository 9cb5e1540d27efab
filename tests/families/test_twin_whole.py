"""Every original, copied whole: it is recognised under other names, and with one operator changed it is not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from porter.errors import TreeError
from porter.families import FAMILIES
from porter.families.base import Match
from porter.families.twin.anchors import read_anchors
from porter.families.twin.original import ORIGINALS, Original, original
from tests.families.repos import needs_vllm, read, tree
from tests.twins.whole import (
    UNLIKE_ITSELF,
    Change,
    answered,
    chosen,
    code_blockers,
    default_configs,
    write_copy,
)

pytestmark = needs_vllm


@cache
def had() -> dict[str, Original]:
    """The originals of this tree and this transformers."""
    found: dict[str, Original] = {}
    for family, architecture in ORIGINALS.items():
        one = original(tree().package, architecture)
        if one is not None and family not in UNLIKE_ITSELF and _in_tree(architecture):
            found[family] = one
    return found


def _in_tree(architecture: str) -> bool:
    try:
        read_anchors(tree(), architecture)
    except TreeError:
        return False
    return True


@cache
def configs() -> dict[str, dict[str, Any]]:
    return default_configs(sorted({found.model_type for found in had().values()}))


def match_of(family: str, folder: Path, change: Change | None = None) -> Match:
    found = had()[family]
    return FAMILIES[family].match(read(write_copy(found, configs()[found.model_type], folder, change)), tree())


@pytest.mark.parametrize("family", [name for name in ORIGINALS if name not in UNLIKE_ITSELF])
def test_a_copy_under_other_names_is_the_original(family: str, tmp_path: Path) -> None:
    if family not in had():
        pytest.skip(f"this vLLM or this transformers has no {family}")
    assert code_blockers(match_of(family, tmp_path)) == []


@pytest.mark.parametrize("family", [name for name in ORIGINALS if name not in UNLIKE_ITSELF])
def test_one_operator_changed_is_never_the_original(family: str, tmp_path: Path) -> None:
    if family not in had():
        pytest.skip(f"this vLLM or this transformers has no {family}")
    for what, change in chosen(had()[family], 1, seed=1):
        match = match_of(family, tmp_path, change)
        assert code_blockers(match) or answered(match), what

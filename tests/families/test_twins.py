"""Copies and subclasses of transformers' own models under other names: recognised, and near misses that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from porter.families import FAMILIES
from porter.families.base import Match
from porter.families.verdict import decide
from porter.planning.build import port_spec
from tests.families.repos import needs_vllm, read, tree
from tests.twins import TWINS, Twin

pytestmark = needs_vllm
OWN_WAYS = {"lighton_ocr": "lightonocr"}
"""transformers' name of a model -> porter's of the family, where they differ by more than an ending."""


def only_renamed(twin: Twin) -> bool:
    return not (twin.near_miss or twin.edits or twin.module or twin.own_processor)


def matched(folder: Path) -> tuple[str, Match | None]:
    verdict = decide(read(folder), tree())
    return verdict.level, verdict.match


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if only_renamed(twin)])
def test_what_is_only_renamed_is_recognised(name: str, twin_repo: Callable[[str], Path]) -> None:
    level, match = matched(twin_repo(name))
    native = TWINS[name].family.name
    assert level == "inherit" and match is not None
    assert match.family in (OWN_WAYS.get(native, native), f"{native}_original")
    assert not match.blockers


@pytest.mark.parametrize("name", [name for name, twin in TWINS.items() if twin.near_miss])
def test_a_near_miss_is_never_ported_as_if_it_matched(name: str, twin_repo: Callable[[str], Path]) -> None:
    level, _ = matched(twin_repo(name))
    assert level in ("compose", "refuse"), TWINS[name].near_miss


def files(folder: Path) -> tuple[str, str]:
    """The model file and the config file of the port."""
    reading = read(folder)
    verdict = decide(reading, tree())
    assert verdict.match is not None
    family, spec = FAMILIES[verdict.match.family], port_spec(reading, verdict, tree())
    return family.model_file(spec, relative=False, own_config=True), family.config_file(spec)


def test_what_a_config_class_sets_is_in_the_ports_config(twin_repo: Callable[[str], Path]) -> None:
    assert '"vision_feature_layer": -1' in files(twin_repo("jackdaw-forced"))[1]
    assert '"hidden_act": "gelu"' in files(twin_repo("magpie-default"))[1]


def test_keys_of_a_copy_are_read_under_their_own_names(twin_repo: Callable[[str], Path]) -> None:
    text = files(twin_repo("fulmar-copy"))[1]
    for mine, native in {"eye_config": "vision_config", "width": "embed_dim", "num_blocks": "depth"}.items():
        assert f'"{mine}": "{native}"' in text

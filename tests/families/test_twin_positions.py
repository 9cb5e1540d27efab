"""A copy whose tokens are counted one by one: the port says so, and no other count is taken for it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from porter.families import FAMILIES
from porter.families.twin.positions import _one_by_one
from porter.families.verdict import decide
from porter.planning.build import port_spec
from tests.families.repos import needs_vllm, read, tree

HEAD = "def find(self, input_ids, mm_token_type_ids, image_grid_thw=None, attention_mask=None, **kwargs):\n"
PLAIN = """
    places = torch.arange(input_ids.shape[1], device=input_ids.device).view(1, 1, -1)
    return places.expand(3, input_ids.shape[0], -1), input_ids.new_zeros((input_ids.shape[0], 1))
"""
MASKED = """
    if attention_mask is None:
        attention_mask = torch.ones_like(input_ids)
    places = attention_mask.cumsum(-1) - 1
    return places.unsqueeze(0).expand(3, -1, -1), torch.zeros_like(input_ids)
"""


def function(body: str) -> ast.FunctionDef:
    node = ast.parse(HEAD + body).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def one_by_one(body: str) -> bool:
    from porter.source.arrays import Unfollowed

    try:
        return all(_one_by_one(function(PLAIN), function(body), masked=masked) for masked in (False, True))
    except Unfollowed:
        return False


@pytest.mark.parametrize("body", [PLAIN, MASKED])
def test_a_plain_count_is_seen_however_it_is_made(body: str) -> None:
    assert one_by_one(body)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (".view(1, 1, -1)", ".view(1, 1, -1) * 2"),
        (".view(1, 1, -1)", ".view(1, 1, -1) + 1"),
        ("new_zeros", "new_ones"),
        ("expand(3,", "expand(4,"),
        ("torch.arange(input_ids.shape[1], device=input_ids.device)", "mm_token_type_ids[0]"),
        ("torch.arange", "self.counted"),
        ("places.expand(3, input_ids.shape[0], -1), ", ""),
    ],
)
def test_another_count_is_not(old: str, new: str) -> None:
    assert old in PLAIN and not one_by_one(PLAIN.replace(old, new))


@needs_vllm
def test_the_port_counts_as_the_repo_does(twin_repo: Callable[[str], Path]) -> None:
    reading = read(twin_repo("twite-one-d"))
    verdict = decide(reading, tree())
    assert verdict.level == "inherit" and verdict.confidence.value == "likely"
    spec = port_spec(reading, verdict, tree())
    text = FAMILIES["qwen2_5_vl"].model_file(spec, relative=False, own_config=True)
    assert "return torch.arange(len(input_tokens)).expand(3, -1), 0\n" in text


@needs_vllm
def test_positions_of_the_original_need_no_override(twin_repo: Callable[[str], Path]) -> None:
    reading = read(twin_repo("oriole-copy"))
    spec = port_spec(reading, decide(reading, tree()), tree())
    assert "mrope" not in FAMILIES["qwen2_5_vl"].model_file(spec, relative=False, own_config=True)

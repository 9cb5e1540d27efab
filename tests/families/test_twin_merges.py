"""Ways of putting features among embeddings, followed over drawn inputs: what only looks right is found out."""

from __future__ import annotations

import ast

import pytest

from porter.families.twin.merges import DRAWN, PROMPTS, TOKENS, _given
from porter.source.arrays import Unfollowed
from tests.families.repos import needs_vllm
from tests.twins import native

pytestmark = needs_vllm


def merger(family: str, *edits: tuple[str, str]) -> ast.FunctionDef:
    """The method of transformers' own model, edited."""
    tree = ast.parse(native.source(family, f"modeling_{family}"))
    found = next(item for item in ast.walk(tree) if isinstance(item, ast.FunctionDef) and item.name == "inputs_merger")
    text = ast.unparse(found)
    for old, new in edits:
        assert text.count(old) >= 1, old
        text = text.replace(old, new)
    made = ast.parse(text).body[0]
    assert isinstance(made, ast.FunctionDef)
    return made


def given(function: ast.FunctionDef) -> list[object]:
    return [_given(function, ids, token, TOKENS) for ids in PROMPTS for token in DRAWN]


def test_two_ways_of_merging_give_the_same() -> None:
    assert given(merger("smolvlm")) == given(merger("idefics3"))


@pytest.mark.parametrize(
    "edit",
    [
        ("self.config.image_token_id", str(DRAWN[0])),
        ("local_idx[image_mask], :]", "local_idx[image_mask], :].to(input_ids.dtype)"),
        ("local_idx[image_mask], :]", "0 * local_idx[image_mask], :]"),
    ],
)
def test_a_merge_that_only_looks_right_does_not(edit: tuple[str, str]) -> None:
    right, wrong = given(merger("idefics3")), merger("smolvlm", edit)
    try:
        made = given(wrong)
    except Unfollowed:  # what cannot be followed is no proof of likeness either
        return
    assert made != right

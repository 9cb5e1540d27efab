"""Positions of a model whose tokens are counted one by one, where the original has some for the places of an image."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from porter.families.twin.merges import both
from porter.source.alike import Alike, Unlike
from porter.source.arrays import Array, Number, Unfollowed
from porter.source.concrete import returned
from porter.vllm_tree.classes import ClassReading, find_method
from porter.vllm_tree.tree import Tree

GIVES = "get_rope_index"
"""The original's method that gives positions along three axes, and what they are ahead of a plain count."""
HOOK, TAKES = "get_mrope_input_positions", ["self", "input_tokens", "mm_features"]
AXES, PROMPTS, LENGTH = 3, 2, 7


def counted(walk: Alike, item: Unlike, tree: Tree, model: ClassReading) -> bool:
    """Whether a difference is that the repo counts tokens one by one, and the tree's class can be told so."""
    pair = both(walk, item) if item.function == GIVES else None
    found = find_method(tree, model, HOOK)
    if pair is None or found is None or [arg.arg for arg in found[1].args.args] != TAKES:
        return False
    try:
        return all(_one_by_one(*pair, masked=masked) for masked in (False, True))
    except Unfollowed:
        return False


def _one_by_one(ours: ast.FunctionDef, theirs: ast.FunctionDef, *, masked: bool) -> bool:
    """What the repo's method gives for prompts with an image in the middle."""
    drawn = _drawn(masked=masked)
    mine, others = ([arg.arg for arg in side.args.args[1:]] for side in (ours, theirs))
    if len(mine) != len(others):
        return False
    given = {other: drawn.get(name) for name, other in zip(mine, others, strict=True)}
    found = returned(theirs, given, {})
    positions, ahead = found if isinstance(found, tuple) and len(found) == 2 else (None, None)
    if not isinstance(positions, Array) or not isinstance(ahead, Array):
        return False
    plain: list[Number] = [*range(LENGTH)] * (AXES * PROMPTS)
    return positions == Array((AXES, PROMPTS, LENGTH), plain) and not any(ahead.data)


def _drawn(*, masked: bool) -> Mapping[str, Any]:
    types = [0, 1, 1, 1, 1, 0, 0]
    return {
        "input_ids": Array((PROMPTS, LENGTH), [5, 9, 9, 9, 9, 6, 7, 4, 9, 9, 9, 9, 8, 3]),
        "mm_token_type_ids": Array((PROMPTS, LENGTH), [*types, *types]),
        "image_grid_thw": Array((PROMPTS, AXES), [1, 4, 4, 1, 4, 4]),
        "attention_mask": Array((PROMPTS, LENGTH), [1] * (PROMPTS * LENGTH)) if masked else None,
    }

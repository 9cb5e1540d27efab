"""Functions followed over small arrays: two ways to put features among embeddings, and what has no rule."""

from __future__ import annotations

import ast
import contextlib

import pytest

from porter.source.arrays import Array, Unfollowed
from porter.source.concrete import returned

HEAD = "def merge(self, ids, embeds, features):\n"
SCATTERED = """
    if ids is None:
        mask = embeds == self.embed(7)
    else:
        mask = ids == self.config.token
    mask = mask.unsqueeze(-1).to(embeds.device)
    return embeds.masked_scatter(mask, features)
"""
COUNTED = """
    _, each, _ = features.shape
    mask = ids == self.config.token
    check(torch.all(mask.sum(dim=1) % each == 0))
    before = torch.nn.functional.pad((mask.sum(dim=1) // each).cumsum(dim=0), (1, 0), value=0)[:-1]
    rank = mask.cumsum(dim=-1) - 1
    tile = before.unsqueeze(1) + rank // each
    wide = torch.zeros_like(embeds)
    wide[mask] = features[tile[mask], (rank % each)[mask], :]
    return torch.where(mask.unsqueeze(-1), wide, embeds)
"""


def merged(body: str, ids: list[int]) -> Array:
    node = ast.parse(HEAD + body.replace("    check(", "    assert (")).body[0]
    assert isinstance(node, ast.FunctionDef)
    given = {
        "ids": Array((2, 5), ids),
        "embeds": Array.counted(2, 5, 2),
        "features": Array.counted(3, 2, 2, start=100),
    }
    found = returned(node, given, {"self.config.token": 9})
    assert isinstance(found, Array)
    return found


IDS = [9, 9, 1, 9, 9, 2, 3, 9, 9, 4]


def test_features_stand_at_their_tokens_in_order() -> None:
    found = merged(SCATTERED, IDS)
    assert found.shape == (2, 5, 2)
    assert found.data[:4] == [100, 101, 102, 103] and found.data[4:6] == [4, 5]
    assert found.data[14:18] == [108, 109, 110, 111] and found.data[18:] == [18, 19]


def test_two_ways_give_the_same() -> None:
    assert merged(COUNTED, IDS) == merged(SCATTERED, IDS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mask.cumsum(dim=-1) - 1", "mask.cumsum(dim=0) - 1"),
        ("(rank % each)", "(each - 1 - rank % each)"),
        ("before.unsqueeze(1) + rank", "rank"),
        ("torch.where(mask.unsqueeze(-1), wide, embeds)", "wide"),
    ],
)
def test_another_order_gives_something_else(old: str, new: str) -> None:
    assert old in COUNTED
    with contextlib.suppress(Unfollowed):
        assert merged(COUNTED.replace(old, new), IDS) != merged(SCATTERED, IDS)


@pytest.mark.parametrize(
    "body",
    [
        "    return embeds.softmax(-1)\n",
        "    return open('x')\n",
        "    for item in ids:\n        pass\n    return embeds\n",
        "    embeds = embeds.view(3, 3)\n    return embeds\n",
        "    return self.other\n",
        "    torch = features\n    return torch.zeros_like(embeds)\n",
        "    return embeds[9]\n",
        "    return features.masked_scatter(features == features, embeds[0, :1])\n",
        "    pass\n",
    ],
)
def test_what_has_no_rule_is_not_followed(body: str) -> None:
    with pytest.raises(Unfollowed):
        merged(body, IDS)


def test_given_arrays_stay_as_they_are() -> None:
    body = """
    wide = embeds.clone()
    wide[ids == 9] = 0
    return torch.where(ids.unsqueeze(-1) == 9, wide, embeds)
"""
    assert merged(body, IDS).data[4:6] == [4, 5]


def test_subscripts_take_what_tensors_take() -> None:
    grid = Array.counted(2, 3, 2)
    assert grid.taken([0]).data == [0, 1, 2, 3, 4, 5] and grid.taken([0]).shape == (3, 2)
    assert grid.taken([Ellipsis, 0]).data == [0, 2, 4, 6, 8, 10]
    assert grid.taken([slice(None), -1, None]).shape == (2, 1, 2)
    assert grid.taken([Array((2,), [1, 0]), Array((2,), [0, 2])]).data == [6, 7, 4, 5]
    assert grid.taken([Array((2, 3), [True, False, False, False, False, True])]).data == [0, 1, 10, 11]

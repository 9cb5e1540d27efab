"""How features are put among the embeddings of a prompt: another way of it that gives the same."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from porter.source.alike import Alike, Unlike
from porter.source.alike_classes import lineage, methods_of
from porter.source.arrays import Array, Unfollowed
from porter.source.codebase import CodeBase, Definition, External
from porter.source.concrete import returned

GIVEN = ("input_ids", "inputs_embeds")
TOKENS = ("image_token_id", "image_token_index")
TILES, EACH, WIDTH = 3, 2, 2
DRAWN = (9, 23)
"""Ids of the token of an image: a merge that knows one by heart is found out by the other."""
PROMPTS = ((0, 0, 1, 2, 0, 0, 3, 4, 5, 0, 0, 6, 7, 8), (1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 8, 0, 0))
"""Two prompts of seven tokens each, 0 for that of an image: three tiles stand in both, or all in the second."""
FRACTION = 0.25
"""Embeddings and features are no whole numbers: none may be cut."""


def same_merge(walk: Alike, item: Unlike) -> bool:
    """Whether a method that differs puts the same features at the same places, by what it gives for drawn inputs."""
    pair = both(walk, item)
    if pair is None:
        return False
    ours, theirs = pair
    mine = [arg.arg for arg in ours.args.args]
    if len(mine) != 4 or tuple(mine[1:3]) != GIVEN or len(theirs.args.args) != len(mine):
        return False
    renamed = {other for renames in walk.configs.values() for one, other in renames.there.items() if one in TOKENS}
    try:
        return all(
            _given(ours, ids, token, TOKENS) == _given(theirs, ids, token, (*TOKENS, *renamed))
            for ids in PROMPTS
            for token in DRAWN
        )
    except Unfollowed:
        return False


def both(walk: Alike, item: Unlike) -> tuple[ast.FunctionDef, ast.FunctionDef] | None:
    """The original's method in which a difference stands, and the repo's."""
    names = walk.names.get((item.cls, "self"))
    own = names.there.get(item.function, item.function) if names is not None else item.function
    ours, theirs = _method(walk, item.cls, item.function), _other(walk, item.cls, own)
    return (ours, theirs) if ours is not None and theirs is not None else None


def _given(function: ast.FunctionDef, ids: tuple[int, ...], token: int, tokens: tuple[str, ...]) -> Any:
    """What a merge gives; every place and every feature has its own number."""
    length = len(ids) // 2
    drawn = (
        Array((2, length), [item or token for item in ids]),
        Array.counted(2, length, WIDTH, start=FRACTION),
        Array.counted(TILES, EACH, WIDTH, start=1000 + FRACTION),
    )
    given = dict(zip([arg.arg for arg in function.args.args[1:]], drawn, strict=True))
    return returned(function, given, dict(_held(tokens, token)))


def _held(tokens: tuple[str, ...], token: int) -> Iterator[tuple[str, int]]:
    for name in tokens:
        yield from ((f"self.config.{name}", token), (f"self.{name}", token))


def _method(walk: Alike, cls: str, name: str) -> ast.FunctionDef | None:
    for file in walk.library.code.files():
        node = file.definitions.get(cls)
        if isinstance(node, ast.ClassDef):
            return _found(walk.library.code, Definition(file.path, cls, node), name)
    return None


def _other(walk: Alike, cls: str, name: str) -> ast.FunctionDef | None:
    met = walk.classes.get(cls)
    found = walk.repo.code.meaning(*met) if met is not None else None
    return _found(walk.repo.code, found, name) if isinstance(found, Definition) else None


def _found(code: CodeBase, cls: Definition, name: str) -> ast.FunctionDef | None:
    """The method, in a file where `torch` is torch."""
    for item in lineage(code, cls):
        methods: Mapping[str, ast.FunctionDef] = methods_of(item)
        torch = code.meaning(item.file, "torch")
        if name in methods:
            return methods[name] if isinstance(torch, External) and torch.dotted == "torch" else None
    return None

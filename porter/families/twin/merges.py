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
TOKEN, TILES, EACH, WIDTH = 9, 3, 2, 2
PROMPTS = ([9, 9, 1, 2, 9, 9, 3, 4, 5, 9, 9, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 9, 9, 9, 9, 8, 9, 9])
"""Token ids of two prompts of seven tokens each: three tiles stand in both, or all in the second."""


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
        return all(_given(ours, ids, TOKENS) == _given(theirs, ids, (*TOKENS, *renamed)) for ids in PROMPTS)
    except Unfollowed:
        return False


def both(walk: Alike, item: Unlike) -> tuple[ast.FunctionDef, ast.FunctionDef] | None:
    """The original's method in which a difference stands, and the repo's."""
    names = walk.names.get((item.cls, "self"))
    own = names.there.get(item.function, item.function) if names is not None else item.function
    ours, theirs = _method(walk, item.cls, item.function), _other(walk, item.cls, own)
    return (ours, theirs) if ours is not None and theirs is not None else None


def _given(function: ast.FunctionDef, ids: list[int], tokens: tuple[str, ...]) -> Any:
    """What a merge gives; every place and every feature has its own number."""
    length = len(ids) // 2
    drawn = (
        Array((2, length), [*ids]),
        Array.counted(2, length, WIDTH),
        Array.counted(TILES, EACH, WIDTH, start=1000),
    )
    given = dict(zip([arg.arg for arg in function.args.args[1:]], drawn, strict=True))
    return returned(function, given, dict(_held(tokens)))


def _held(tokens: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    for name in tokens:
        yield from ((f"self.config.{name}", TOKEN), (f"self.{name}", TOKEN))


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

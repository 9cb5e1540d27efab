"""Tokens and parameters that stand between the parts of one image: rows, columns, slices, tiles, views."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.facts.configs import Configs
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.tile_tags import TileTags
from porter.facts.token_roles import separator_role
from porter.facts.token_sources import Stated
from porter.facts.vocabulary import Vocabulary
from porter.jsontypes import JSON
from porter.source.codebase import snippet, where
from porter.source.walking import nodes

PARAMETERS = {
    "image_newline": "newline",
    "newline": "newline",
    "image_newlines": "newline",
    "view_seperator": "view_separator",
    "view_separator": "view_separator",
    "image_sep": "view_separator",
    "glb_GN": "view_separator",
    "sub_GN": "newline",
    "row_sep": "row",
    "tile_sep": "tile",
}
NOT_IMAGES = ("video", "audio", "gene", "tool", "file", "fim", "table", "think")
MAX_SHOWN = 40


def separator_fact(
    configs: Configs, vocabulary: Vocabulary, stated: list[Stated], context: JSON, tags: TileTags | None
) -> Fact:
    """image_separators: [{token, id, role}] by id; learned ones, which are no tokens, stand in the note.

    A tag before each tile has no id: `{n}` in it is the number of the tile."""
    if tags is not None:
        return _tags_fact(tags)
    rows: dict[str, dict[str, JSON]] = {}
    shown: list[Evidence] = []
    used = _strings(configs)
    sure = Confidence.LIKELY
    for token, role, source, level in _candidates(vocabulary, stated, used):
        if token == context or token in rows or len(rows) >= MAX_SHOWN:
            continue
        rows[token] = {"token": token, "id": vocabulary.ids.get(token), "role": role}
        shown.append(source)
        sure = max(sure, level, key=list(Confidence).index)
    learned = list(_parameters(configs))
    note = f"learned in place of a token: {', '.join(learned)}" if learned else ""
    if not rows:
        why = "no source names one" if configs.code.model is None else "the code names none"
        return Fact("image_separators", None, Confidence.UNKNOWN, note=note or why)
    value: list[JSON] = [rows[token] for token in sorted(rows, key=lambda token: (vocabulary.ids.get(token, 0), token))]
    return Fact("image_separators", value, sure, tuple(shown[:6]), note=note)


def _tags_fact(tags: TileTags) -> Fact:
    rows: list[JSON] = [{"token": tags.tile, "id": None, "role": "tile", "first": tags.first}]
    if tags.overview is not None:
        rows.append({"token": tags.overview, "id": None, "role": "global"})
    source = tags.source
    return Fact("image_separators", rows, Confidence.CERTAIN, (Evidence(source.file, source.where, source.text),))


def _candidates(
    vocabulary: Vocabulary, stated: list[Stated], used: dict[str, Evidence]
) -> Iterator[tuple[str, str, Evidence, Confidence]]:
    """(token, role, where, how sure): stated under a key, then a special token that code writes, then by name."""
    for item in stated:
        role = separator_role(item.key) if item.role == "separator" else None
        token = item.value if isinstance(item.value, str) else vocabulary.token(item.value)
        if role is not None and token is not None and token in vocabulary.ids:
            source = item.sources[0]
            level = Confidence.GUESS if item.level == "default" else Confidence.LIKELY
            yield token, role, Evidence(source.file, source.where, source.text), level
    for token in vocabulary.ids:
        role = separator_role(token) if not any(word in token.lower() for word in NOT_IMAGES) else None
        if role is None or (role in ("column", "row", "global", "view_separator") and not _marked(token)):
            continue
        if token in used:
            yield token, role, used[token], Confidence.LIKELY
        else:
            yield token, role, vocabulary.sources[token][0], Confidence.GUESS


def _marked(token: str) -> bool:
    """Tables and separators of text have the same words: an image's say so."""
    return any(word in token.lower() for word in ("im", "view", "tile", "global"))


def _strings(configs: Configs) -> dict[str, Evidence]:
    """Every literal string of the code that may be a token, with its first place."""
    found: dict[str, Evidence] = {}
    for file in configs.code.run.code.files():
        for node in nodes(file.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and 2 < len(node.value) < 60:
                found.setdefault(node.value.strip(), Evidence(file.path, where(node), snippet(node)))
    return found


def _parameters(configs: Configs) -> Iterator[str]:
    for tensor in configs.snapshot.tensors.tensors:
        role = PARAMETERS.get(tensor.name.rpartition(".")[2])
        if role is not None:
            yield f"{tensor.name} ({role})"

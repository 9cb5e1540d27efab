"""The table of multimodal models in a tree's docs, found by a Markdown parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

DOCS = "docs/models/supported_models.md"
_HEADINGS = ("List of Multimodal Language Models", "Text Generation")


@dataclass(frozen=True, slots=True)
class Row:
    """One body row: its line (from 0) and the text of its cells."""

    line: int
    cells: tuple[str, ...]

    @property
    def name(self) -> str:
        """The architecture, without its code marks."""
        return self.cells[0].strip("` ") if self.cells else ""


@dataclass(frozen=True, slots=True)
class ModelTable:
    """The first table below the headings. `first` is the header's line, `last` the last row's, both from 0."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]
    first: int
    last: int


def model_table(text: str) -> ModelTable | None:
    """The table that lists vLLM's own multimodal generation models; None when the page is laid out otherwise."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    start = _after_headings(tokens)
    if start is None:
        return None
    opening = next((i for i in range(start, len(tokens)) if tokens[i].type in ("table_open", "heading_open")), None)
    if opening is None or tokens[opening].type != "table_open":
        return None
    rows = tuple(_rows(tokens, opening))
    return ModelTable(rows[0].cells, rows[1:], rows[0].line, rows[-1].line) if len(rows) > 1 else None


def _after_headings(tokens: list[Token]) -> int | None:
    """The token after the second heading, which must stand below the first."""
    wanted = list(_HEADINGS)
    for index, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        title = tokens[index + 1].content.strip()
        if title == wanted[0]:
            wanted.pop(0)
        if not wanted:
            return index + 3
    return None


def _rows(tokens: list[Token], opening: int) -> Iterator[Row]:
    cells: list[str] = []
    line = 0
    for token in tokens[opening:]:
        if token.type == "table_close":
            return
        if token.type == "tr_open":
            cells, line = [], token.map[0] if token.map else 0
        elif token.type == "inline":
            cells.append(token.content)
        elif token.type == "tr_close":
            yield Row(line, tuple(cells))

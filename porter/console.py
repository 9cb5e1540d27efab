"""The one output sink: stdout carries the result, stderr progress and prompts.

Text from a repo never reaches the terminal as markup or as escape sequences.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

from porter.jsontypes import JSON, JSONObject

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text
    from rich.tree import Tree

Mode = Literal["human", "json", "quiet"]
Branch = tuple[str, Sequence["Branch"]]

PLAIN_WIDTH = 100
LONGEST = 2000
"""Characters of one line; no text of a repo may fill the screen."""
STYLES = {
    "passed": "green",
    "failed": "red",
    "error": "red",
    "skipped": "yellow",
    "unproven": "yellow",
    "certain": "green",
    "likely": "cyan",
    "guess": "yellow",
    "unknown": "red",
    "create": "green",
    "edit": "yellow",
}


def plain(text: str) -> str:
    """`text` on one line, without control characters; `\\x1b` and friends are shown as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def one_line(text: str) -> str:
    """Like `plain`, and cut where it is longer than any line of porter's own."""
    return plain(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def clean(text: str) -> str:
    """Like `plain`, but keeps line breaks and tabs."""
    return "\n".join("\t".join(plain(cell) for cell in line.split("\t")) for line in text.split("\n"))


def finite(value: JSON) -> JSON:
    """`value` without the numbers that JSON does not have; a repo's files may hold them all the same."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list) else value


@dataclass(slots=True)
class Console:
    """`mode` decides what stdout carries: text, one JSON document, or nothing."""

    mode: Mode = "human"
    verbose: bool = False
    noted: str = ""

    @property
    def interactive(self) -> bool:
        """A person can be asked: a terminal on both ends, and no script mode."""
        return self.mode == "human" and sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def width(self) -> int:
        """Columns of stdout."""
        return self._rich(sys.stdout).width if self.mode == "human" else PLAIN_WIDTH

    def note(self, text: str) -> None:
        """One line of progress, on stderr; a line said twice in a row is said once."""
        if self.mode != "quiet" and text != self.noted:
            self.noted = text
            self._rich(sys.stderr).print(self._text(one_line(text), "dim"), soft_wrap=True)

    def detail(self, text: str) -> None:
        if self.verbose:
            self.note(text)

    def problem(self, text: str) -> None:
        """One line on stderr in every mode."""
        print(one_line(text), file=sys.stderr, flush=True)

    def document(self, document: JSONObject) -> None:
        if self.mode == "json":
            print(json.dumps(finite(document), indent=2, allow_nan=False), flush=True)

    def line(self, text: str = "", style: str = "") -> None:
        """One line, never broken by porter: a command in it can be copied."""
        if self.mode == "human":
            self._rich(sys.stdout).print(self._text(one_line(text), style), soft_wrap=True)

    def item(self, text: str, indent: int = 2) -> None:
        """One entry of a list, broken between words where the screen ends."""
        if self.mode == "human":
            screen = self._rich(sys.stdout)
            for line in self._text(one_line(text)).wrap(screen, max(screen.width - indent, indent + 1)):
                line.rstrip()
                screen.print(self._text(" " * indent).append_text(line), soft_wrap=True)

    def heading(self, text: str) -> None:
        self.line()
        self.line(text, "bold")

    def table(self, rows: Iterable[Sequence[str]], columns: Sequence[str], *, header: bool = True) -> None:
        """Cells that are a status or confidence word are coloured, a row of one cell is the title of a group."""
        if self.mode == "human":
            table = self._table(rows, columns)
            table.show_header = header
            self._rich(sys.stdout).print(table)

    def tree(self, root: Branch) -> None:
        if self.mode == "human":
            self._rich(sys.stdout).print(self._branch(root))

    def diff(self, text: str, *, stream: Literal["result", "prompt"] = "result") -> None:
        """A unified diff: on stdout as a result, on stderr in front of a question."""
        if self.mode == "quiet" or (self.mode == "json" and stream == "result"):
            return
        target = self._rich(sys.stdout if stream == "result" else sys.stderr)
        for line in clean(text).splitlines():
            target.print(self._text(line, _diff_style(line)), soft_wrap=True)

    def show_plan(self, diff: str) -> None:
        self.diff(diff, stream="prompt")

    def confirm(self, question: str) -> bool:
        """Asked on stderr; anything but y or yes is no."""
        return self.ask(f"{question} [y/N] ").lower() in ("y", "yes")

    def ask(self, question: str) -> str:
        """One line from the terminal; an end of input is an empty answer."""
        print(one_line(question), end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip()

    def _rich(self, stream: TextIO) -> RichConsole:
        from rich.console import Console as RichConsole

        width = None if stream.isatty() else PLAIN_WIDTH
        return RichConsole(file=stream, markup=False, highlight=False, emoji=False, width=width)

    @staticmethod
    def _text(text: str, style: str = "") -> Text:
        from rich.text import Text

        return Text(text, style=style)

    def _table(self, rows: Iterable[Sequence[str]], columns: Sequence[str]) -> Table:
        from rich import box
        from rich.table import Table

        table = Table(
            *columns, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="bold"
        )
        for column in table.columns:
            column.overflow = "fold"
        for row in rows:
            style = "bold" if len(row) == 1 else ""
            table.add_row(*(self._text(one_line(cell), STYLES.get(cell, style)) for cell in row))
        return table

    def _branch(self, branch: Branch, into: Tree | None = None) -> Tree:
        from rich.tree import Tree

        label, children = branch
        node = into.add(self._text(one_line(label))) if into else Tree(self._text(one_line(label)))
        for child in children:
            self._branch(child, node)
        return node


def _diff_style(line: str) -> str:
    styles = (("+++", "bold"), ("---", "bold"), ("@@", "cyan"), ("+", "green"), ("-", "red"))
    return next((style for start, style in styles if line.startswith(start)), "")

"""The row of a new model in the docs table, placed by a Markdown parser."""

from __future__ import annotations

from porter.errors import TargetError, TreeError
from porter.planning.sites.entry import SiteEntry
from porter.planning.sites.order import insertion_index
from porter.vllm_tree.docs import DOCS, ModelTable, Row, model_table


def with_row(text: str, entry: SiteEntry) -> str:
    """The page with the model's row; unchanged when it is there. LoRA and PP stay empty until those rungs passed.

    Raises TreeError when the page has no such table, TargetError when the row there is about another repo.
    """
    table = model_table(text)
    if table is None:
        raise TreeError(f"{DOCS} has no table of multimodal models that porter can add to", where=DOCS)
    present = next((row for row in table.rows if row.name == entry.architecture), None)
    if present is not None:
        return _present(text, present, entry)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.split(newline)
    at = _line(table, entry.architecture)
    return newline.join([*lines[:at], row_for(table, entry), *lines[at:]])


def row_for(table: ModelTable, entry: SiteEntry) -> str:
    """One row with the columns that this tree's table has; a column that porter knows nothing for stays empty."""
    known = {
        "architecture": f"`{entry.architecture}`",
        "models": _cell(entry.title),
        "inputs": entry.inputs,
        "example hf models": f"`{entry.repo_id}`",
    }
    cells = (known.get(name.strip().lower(), "") for name in table.header)
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def _present(text: str, row: Row, entry: SiteEntry) -> str:
    if not any(entry.repo_id in cell for cell in row.cells):
        raise TargetError(
            f"{DOCS} already lists {entry.architecture}, for another repo than {entry.repo_id}",
            where=f"line {row.line + 1}",
        )
    return text


def _line(table: ModelTable, name: str) -> int:
    index = insertion_index([row.name for row in table.rows], name)
    return table.rows[index].line if index < len(table.rows) else table.last + 1


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()

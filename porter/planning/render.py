"""Rendering: templates with StrictUndefined, and the blank lines that ruff format would leave."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from porter import templates
from porter.planning import layout

if TYPE_CHECKING:
    from jinja2 import Environment


@lru_cache(maxsize=1)
def environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(str(templates.folder()), encoding="utf-8")
    made = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    made.filters["text"] = layout.text
    made.filters["literal"] = layout.literal
    return made


def render(template: str, **context: Any) -> str:
    return environment().get_template(template).render(**context)


def render_python(template: str, **context: Any) -> str:
    """A Python file: it must parse, and its blank lines are set right."""
    found = tidy(render(template, layout=layout, **context))
    ast.parse(found)
    return found


def tidy(source: str) -> str:
    """No blank line after a block's head, at most two in a row, one newline at the end."""
    lines: list[str] = []
    blank = 0
    for line in source.split("\n"):
        if not line.strip():
            blank += 1
            continue
        opens = bool(lines) and lines[-1].rstrip().endswith((":", "(", "[", "{"))
        allowed = 0 if opens or not lines else 1 if line.startswith(" ") else 2
        lines.extend([""] * min(blank, allowed))
        lines.append(line.rstrip())
        blank = 0
    return "\n".join(lines) + "\n"

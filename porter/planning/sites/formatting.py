"""Entries as `ruff format` lays them out, at the tree's own line length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

INDENT = "    "


def quote(value: object) -> str:
    """A literal with the double quotes that ruff format prefers."""
    if isinstance(value, str):
        plain = value.replace("\\", "\\\\")
        return f"'{plain}'" if '"' in value and "'" not in value else '"' + plain.replace('"', '\\"') + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quote(key)}: {quote(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(quote(item) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    return repr(value)


def tuple_entry(key: str, items: Sequence[str], width: int) -> str:
    """`"key": ("a", "b"),` or, when that is too long, one item per line."""
    flat = f"{INDENT}{quote(key)}: ({', '.join(map(quote, items))}),"
    if len(flat) <= width:
        return flat
    lines = "".join(f"{INDENT * 2}{quote(item)},\n" for item in items)
    return f"{INDENT}{quote(key)}: (\n{lines}{INDENT}),"


def call_entry(key: str, function: str, arguments: Sequence[str], width: int) -> str:
    """`"key": function(...),` flat, with all arguments on a line of their own, or with one per line."""
    flat = f"{INDENT}{quote(key)}: {function}({', '.join(arguments)}),"
    if len(flat) <= width:
        return flat
    inner = INDENT * 2 + ", ".join(arguments)
    if len(inner) > width:
        inner = ",\n".join(INDENT * 2 + argument for argument in arguments) + ","
    return f"{INDENT}{quote(key)}: {function}(\n{inner}\n{INDENT}),"


def value_entry(key: str, value: str, width: int) -> str:
    """`"key": "value",` with the value in brackets on its own line when that is too long."""
    flat = f"{INDENT}{quote(key)}: {quote(value)},"
    return flat if len(flat) <= width else f"{INDENT}{quote(key)}: (\n{INDENT * 2}{quote(value)}\n{INDENT}),"


def item_entry(value: str) -> str:
    return f"{INDENT}{quote(value)},"


def keyword_entry(key: str, value: str) -> str:
    """`key="value",`, or a splatted dict when the key is no identifier."""
    return f"{INDENT}{key}={quote(value)}," if key.isidentifier() else f"{INDENT}**{{{quote(key)}: {quote(value)}}},"

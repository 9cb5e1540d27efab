"""Lines of Python as ruff format would lay them out at 88 columns, so that generated files need no formatter."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence

from porter.jsontypes import JSON

WIDTH = 88


def text(value: str) -> str:
    """A string literal with double quotes where that needs no more escapes."""
    plain = repr(value)
    if plain.startswith("'") and '"' not in value:
        return '"' + plain[1:-1].replace("\\'", "'") + '"'
    return plain


def raw(value: str) -> str:
    """A string literal for a regular expression: raw where that can be."""
    plain = value.isprintable() and '"' not in value and not value.endswith("\\")
    return f'r"{value}"' if plain else text(value)


def literal(value: JSON) -> str:
    """Any JSON value as a Python expression on one line."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return repr(value)


def bracketed(indent: int, head: str, items: Sequence[str], tail: str, *, explode: bool = False) -> str:
    """`head` items `tail` on one line, else the items on a line of their own, else one line each, comma at the end."""
    pad, inner = " " * indent, " " * (indent + 4)
    one = pad + head + ", ".join(items) + tail
    if not explode and (len(one) <= WIDTH or not items):
        return one
    middle = inner + ", ".join(items)
    if not explode and len(middle) <= WIDTH:
        return f"{pad}{head}\n{middle}\n{pad}{tail}"
    lines = [_wrapped(item, indent + 4) for item in items]
    return "\n".join([pad + head, *(f"{_reindented(item, inner)}," for item in lines), pad + tail])


def _wrapped(item: str, indent: int) -> str:
    """An item that is a call too long for its line, with its arguments broken; any other as it is."""
    if "\n" in item or indent + len(item) + 1 <= WIDTH:
        return item
    try:
        node = ast.parse(item, mode="eval").body
    except SyntaxError:
        return item
    if not isinstance(node, ast.Call) or item.find("(") != len(ast.unparse(node.func)):
        return item
    arguments = [str(ast.get_source_segment(item, part)) for part in (*node.args, *node.keywords)]
    head, middle = item[: item.index("(") + 1], " " * (indent + 4) + ", ".join(arguments)
    if len(middle) <= WIDTH:
        return f"{head}\n{middle}\n{' ' * indent})"
    return bracketed(indent, head, arguments, ")", explode=True).lstrip()


def _reindented(item: str, pad: str) -> str:
    lines = item.split("\n")
    return "\n".join([pad + lines[0], *lines[1:]])


def line(indent: int, statement: str) -> str:
    """An assignment; its right side in parentheses on a line of its own when it is too long."""
    one = " " * indent + statement
    if len(one) <= WIDTH:
        return one
    name, _, value = statement.partition(" = ")
    pad = " " * indent
    return f"{pad}{name} = (\n{pad}    {value}\n{pad})"


def call(indent: int, head: str, items: Iterable[str], tail: str = ")") -> str:
    return bracketed(indent, f"{head}(", list(items), tail)


def exploded(indent: int, head: str, items: Iterable[str], tail: str = ")") -> str:
    """One item per line whatever fits: for calls that read as a list."""
    return bracketed(indent, f"{head}(", list(items), tail, explode=True)


def mapping(indent: int, head: str, pairs: Mapping[str, JSON] | Sequence[tuple[str, str]], tail: str = "}") -> str:
    """A dict literal; values of a sequence of pairs are code already."""
    items = [(key, literal(value)) for key, value in pairs.items()] if isinstance(pairs, Mapping) else list(pairs)
    return braces(indent, head, [f"{text(key)}: {value}" for key, value in items], tail)


def braces(indent: int, head: str, items: Sequence[str], tail: str = "}") -> str:
    """A dict display: on one line, or one item per line."""
    one = " " * indent + head + "{" + ", ".join(items) + tail
    return one if len(one) <= WIDTH else bracketed(indent, f"{head}{{", items, tail, explode=True)


def imports(names: Mapping[str, Iterable[str]], plain: Iterable[str] = ()) -> str:
    """One section of imports: `import x` lines first, then `from x import ...` by module, names in isort's order."""
    lines = [f"import {item}" for item in sorted(set(plain), key=str.lower)]
    for module in sorted(names, key=_module_order):
        found = sorted(set(names[module]), key=_by_type)
        lines.append(_from(module, found))
    return "\n".join(lines)


def _from(module: str, names: Sequence[str]) -> str:
    one = f"from {module} import {', '.join(names)}"
    if len(one) <= WIDTH:
        return one
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])


def _module_order(name: str) -> tuple[bool, str]:
    return name.startswith("."), name.lower()


def _by_type(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower() if kind == 2 else name


def merged(indent: int, head: str, items: Sequence[str], tail: str) -> str:
    """`head**{items}tail`: a call whose one argument is a dict display."""
    pad = " " * indent
    one = f"{pad}{head}**{{{', '.join(items)}}}{tail}"
    if len(one) <= WIDTH:
        return one
    return f"{pad}{head}\n" + braces(indent + 4, "**", items) + f"\n{pad}{tail}"


def gathered(indent: int, item: str) -> str:
    """`return [item for image in images]`, as long as it is."""
    pad, loop = " " * indent, "for image in images"
    one, middle = f"{pad}return [{item} {loop}]", f"{pad}    {item} {loop}"
    if len(one) <= WIDTH:
        return one
    inner = [middle] if len(middle) <= WIDTH else [f"{pad}    {item}", f"{pad}    {loop}"]
    return "\n".join([f"{pad}return [", *inner, f"{pad}]"])

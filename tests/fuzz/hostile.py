# ruff: noqa: E501 (hostile values stand on one line each)
"""Hostile values: what any string, number or structure of a repo's files may be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.fuzz.guard import CANARY

SPELL = f"__import__('os').system('touch {CANARY}')"
JINJA = "{{ cycler.__init__.__globals__.os.system('touch " + CANARY + "') }}"
STRINGS = (
    SPELL,
    f"'); {SPELL} #",
    f'"); {SPELL} #',
    f"\n{SPELL}\n",
    f'"""\n{SPELL}\n"""',
    f"'''\n{SPELL}\n'''",
    f"\\\n{SPELL}",
    f"\r{SPELL}\u2028{SPELL}\x0b{SPELL}\x0c{SPELL}\x85{SPELL}",
    f"{{{SPELL}}}",
    f"%s {{0}} {{{SPELL}!r}} ${{HOME}} `touch {CANARY}` $(touch {CANARY})",
    JINJA,
    "{% for c in ().__class__.__base__.__subclasses__() %}" + JINJA + "{% endfor %}",
    "{#", "{%", "{{", "%}", "${", "\\", "'", '"', '"""', "'''", "\\'", '\\"', "\\u0041", "\\N{DASH}", "#", "]]>", "-->",
    f"../../{CANARY}",
    f"/tmp/{CANARY}",
    f"..\\..\\{CANARY}",
    "C:\\x", "~/x", ".", "..", "/", "", " ", "\0", "a\0b", "con", "nul.py",
    f'"\n\n[tool.{CANARY}]\nx = "',
    f"x\n- {CANARY}: !!python/object/apply:os.system ['touch {CANARY}']",
    f"| a | b |\n\n# {CANARY}\n\n<script>{CANARY}</script>",
    f"](javascript:{CANARY}) ![x](file:///etc/passwd) `",
    f"\x1b]0;{CANARY}\x07\x1b[2J\x1b[1;1H\x9b31m\x08\x08\r",
    "\u202egnp.exe\u2066\u200b\ufeff\u00ad",
    f"\nverdict: supported (certain)\n{CANARY}",
    "é" * 300, "a" * 20_000, "𝔘𝔫𝔦", "ﬁ", "名前", "class", "None", "import", "__init__", "self", "print", "true", "null", "1", "-1",
    "1e999", "nan", "--trust-remote-code", "-rf", "@file", "a b", "a-b", "a.b", "a.b.c.d", "0x10", "_", "__", "ı", "K",
)  # fmt: skip
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 7, 2**31, 2**63, -(2**63), 2**64, 10**30, 10**300, 10**4000, 0.0, -0.0, 0.5, 1.5, 1e-320, 1e308,
    float("nan"), float("inf"), float("-inf"), True, False, None,
)  # fmt: skip


def deep(levels: int, leaf: Any = 1) -> Any:
    value = leaf
    for index in range(levels):
        value = {"a": value} if index % 2 else [value]
    return value


def structures() -> tuple[Any, ...]:
    return (
        [], {}, [[]], [None], [{}], [[1, 2], [3]], {"": ""}, {"a": None}, [1] * 5000, {str(i): i for i in range(3000)},
        deep(60), {"auto_map": {"AutoModel": "x.Y"}}, {"shape": [1, -1]}, ["a", 1, None, {"b": []}], {"__class__": "x"},
        {"height": 0, "width": "x"}, {"shortest_edge": None}, [448, 336], [0.5, "0.5", None], {CANARY: SPELL}, {SPELL: SPELL},
        [SPELL], {"model_type": SPELL}, {"content": SPELL}, {"content": None}, [["a", "b"]], {"<image>": -1}, {"<image>": 10**30},
    )  # fmt: skip


def paths_in(value: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value, its own first; of a list the first three items."""
    yield prefix
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths_in(inner, (*prefix, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def put(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """`value` with `other` at `path`; changed in place below the top."""
    if not path:
        return other
    at(value, path[:-1])[path[-1]] = other
    return value


def renamed(value: Any, path: tuple[Any, ...], key: str) -> Any:
    """`value` with the key that `path` ends in called `key`."""
    holder = at(value, path[:-1])
    if isinstance(holder, dict):
        holder[key] = holder.pop(path[-1])
    return value


def texts(value: Any) -> tuple[str, ...]:
    """The JSON text of a value, broken in every way in which JSON can be."""
    text = json.dumps(value)
    half = text[: len(text) // 2]
    return (
        "", " ", "null", "[]", "3", '"x"', half, text + text, text + ",", "\ufeff" + text, "/* x */" + text, text.replace('"', "'"),
        "[" * 10_000, "[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000,
        text.replace("{", '{"config": 1, "config": {}, ', 1), text.replace("{", '{"x": NaN, "y": Infinity, "z": -Infinity, ', 1),
        text.replace("{", '{"x": ' + "9" * 5000 + ", ", 1), text.replace("{", '{"x": 1e999999, ', 1),
        text.replace("{", '{"x": "\\ud800", ', 1), text.replace("{", '{"\\udfff": 1, ', 1), text.replace("{", '{"\\u0000": "\\u0000", ', 1),
        text.replace("{", '{"architectures": ["A"], "architectures": ["B"], "model_type": 3, ', 1), "\0" + text, text + "\0",
    )  # fmt: skip


BYTES = (b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"\x80\x81", b'{"a": "\xff"}', b"\x1f\x8b\x08\x00", b"\0" * 4096)

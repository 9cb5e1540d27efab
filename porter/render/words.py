"""Values in words: on one line, short, and as a shell takes them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping

from porter.facts.model import Fact
from porter.jsontypes import JSON, objects
from porter.overrides import KINDS

CELL = 40
FORMULA = 120
PLACE, KEY = 40, 12
"""Columns of a source, and of the key in it that are always left."""
DIGITS = 4
PLACEHOLDERS = {str: "TEXT", int: "NUMBER", float: "NUMBER", bool: "true|false", list: "JSON", dict: "JSON"}


def short(value: JSON, width: int = CELL) -> str:
    """A value on one line, cut to fit a table cell."""
    text = value if isinstance(value, str) and value.strip() == value != "" else compact(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def compact(value: JSON) -> str:
    """JSON, with long fractions cut to a few digits and marked."""
    if isinstance(value, float) and len(repr(value)) > DIGITS + 4:
        return f"{value:.{DIGITS}g}…"
    if isinstance(value, list):
        return f"[{', '.join(compact(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


def quoted(text: str) -> str:
    """`text` as one word of a shell; what no terminal should get is written as an escape that a shell reads back."""
    if text.isprintable():
        return shlex.quote(text)
    escaped = text.encode("unicode_escape").decode("ascii").replace("'", "\\'")
    return f"$'{escaped}'"


def set_option(fact: Fact) -> str:
    """`--set NAME=VALUE` as it can be typed; a fact without a value shows what kind of value it takes."""
    kind = KINDS.get(fact.name, (str,))
    if fact.value is None:
        return f"--set {fact.name}={PLACEHOLDERS[kind[0]]}"
    text = fact.value if isinstance(fact.value, str) and str in kind else json.dumps(fact.value)
    return f"--set {quoted(f'{fact.name}={text}')}"


def listed(value: JSON) -> str:
    items = value if isinstance(value, list) else [value]
    return ", ".join(short(item) for item in items) or "none"


def pairs(value: JSON) -> str:
    """A flat table: `method bitsandbytes, bits 4`; what is null says nothing."""
    found = value.items() if isinstance(value, dict) else ()
    return ", ".join(f"{key} {short(item)}" for key, item in found if item is not None)


def counted(number: JSON, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _quantization(value: JSON) -> str:
    return pairs({key: item for key, item in value.items() if key != "source"} if isinstance(value, dict) else value)


def _buffers(value: JSON) -> str:
    return ", ".join(f"{item.get('name')} {short(item.get('shape'))}" for item in objects(value)) or "none"


def _separators(value: JSON) -> str:
    return ", ".join(f"{short(item.get('token'))} ({item.get('role')})" for item in objects(value)) or "none"


def _auto_map(value: JSON) -> str:
    entries = objects([*value.values()]) if isinstance(value, dict) else []
    lost = sum(entry.get("found") is False for entry in entries)
    return f"{len(entries)} classes" + (f", {lost} not in the repo" if lost else "") if entries else "none"


def _config_map(value: JSON) -> str:
    found = value if isinstance(value, dict) else {}
    lost = sum(path in (None, "MISSING") for path in found.values())
    return f"{len(found)} attributes" + (f", {lost} MISSING" if lost else "")


def _in_tree(value: JSON) -> str:
    """`einops (common.txt:44), timm not`."""
    found = value.items() if isinstance(value, dict) else ()
    return ", ".join(f"{name} ({short(place)})" if place else f"{name} not" for name, place in found) or "none"


def _library(value: JSON) -> str:
    if not isinstance(value, dict):
        return short(value)
    inside = {"true": ", inside the range", "false": ", outside the range"}.get(json.dumps(value.get("in_range")), "")
    return f"{short(value.get('version'))}{inside}"


WORDS: Mapping[str, Callable[[JSON], str]] = {
    "auto_map": _auto_map,
    "buffers": _buffers,
    "dependencies_in_tree": _in_tree,
    "transformers_in_tree": _library,
    "config_map": _config_map,
    "image_separators": _separators,
    "quantization": _quantization,
    "modalities": listed,
    "python_dependencies": listed,
    "attention_backends": listed,
}


def words(fact: Fact, width: int = CELL) -> str:
    """A fact's value for a table cell; a formula may take several lines of it."""
    width = max(width, FORMULA) if fact.name == "tokens_formula" else width
    told = WORDS.get(fact.name)
    return short(told(fact.value), width) if told is not None else short(fact.value, width)


def source(fact: Fact) -> str:
    """Where the fact was read first; a guess says why it is one."""
    first = fact.evidence[0] if fact.evidence else None
    place = f"{first.file}: {first.where}".rstrip(": ").replace(": line ", ":") if first is not None else ""
    why = fact.note if fact.confidence.value == "guess" else ""
    return "; ".join(part for part in (place, why) if part)


def short_source(fact: Fact) -> str:
    """The same for a table cell: the file by its own name, and of a long key the end."""
    if not fact.evidence:
        return source(fact)
    first = fact.evidence[0]
    file = first.file.rpartition("/")[2].removesuffix(".json")
    line = first.where.removeprefix("line ")
    room = max(PLACE - len(file) - 2, KEY)
    key = first.where if len(first.where) <= room else f"…{first.where[1 - room :]}"
    place = f"{file}:{line}" if line != first.where else f"{file}: {key}".rstrip(": ")
    why = fact.note if fact.confidence.value == "guess" else ""
    return "; ".join(part for part in (short(place, 2 * PLACE), why) if part)

"""JSON of unknown origin: every way in which it can be broken is one line with file, line and column."""

from __future__ import annotations

import json

from porter.errors import BadJson, RepoError
from porter.jsontypes import JSON, JSONObject

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64


def parse_object(data: bytes, name: str) -> JSONObject:
    """The JSON object in `data`. Raises BadJson, or RepoError when it is valid JSON of another kind."""
    value = parse(data, name)
    if not isinstance(value, dict):
        raise RepoError(f"{name}: the top level is {kind_of(value)}, not an object", where=f"{name}:1:1")
    return value


def parse(data: bytes, name: str) -> JSON:
    if len(data) > MAX_BYTES:
        raise RepoError(f"{name} has {len(data)} bytes; porter reads JSON of at most {MAX_BYTES}", where=name)
    text = decode(data, name)
    try:
        value: JSON = json.loads(text)
    except json.JSONDecodeError as error:
        raise bad(name, error.lineno, error.colno, error.msg) from error
    except RecursionError:
        raise bad(name, 1, 1, f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:  # an integer with more digits than Python converts
        raise bad(name, 1, 1, str(error).split(";", maxsplit=1)[0]) from error
    check_depth(value, name)
    check_surrogates(value, text, name)
    return value


def decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise bad(name, before.count(b"\n") + 1, column, f"not UTF-8 ({error.reason})") from error


def check_depth(value: JSON, name: str) -> None:
    if not is_shallow(value):
        raise bad(name, 1, 1, f"nested deeper than {MAX_DEPTH} levels")


def is_shallow(value: JSON) -> bool:
    level: list[JSON] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in children(item)]
        if not level:
            return True
    return False


def check_surrogates(value: JSON, text: str, name: str) -> None:
    """A lone surrogate can be written in JSON but in no output file: it is refused here, not at the first print."""
    if "\\ud" not in text and "\\uD" not in text:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise bad(name, 1, 1, "holds half of a surrogate pair") from error


def children(value: JSON) -> list[JSON]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def kind_of(value: JSON) -> str:
    if value is None:
        return "null"
    return {"list": "a list", "str": "a string", "bool": "true or false"}.get(type(value).__name__, "a number")


def bad(name: str, line: int, column: int, reason: str) -> BadJson:
    return BadJson(
        f"{name}: broken JSON at line {line}, column {column}: {reason}",
        hint="mend the file, or give another --revision",
        where=f"{name}:{line}:{column}",
    )

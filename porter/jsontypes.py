"""The JSON value type that crosses module borders, and how a part of it is read."""

from __future__ import annotations

from typing import TypeAlias, Union

JSON: TypeAlias = Union[bool, int, float, str, list["JSON"], dict[str, "JSON"], None]
JSONObject: TypeAlias = dict[str, JSON]


def items(value: JSON) -> list[JSON]:
    """The items of a list; none of anything else."""
    return value if isinstance(value, list) else []


def objects(value: JSON) -> list[JSONObject]:
    """The objects among the items of a list; none of anything else."""
    return [item for item in items(value) if isinstance(item, dict)]


def as_int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_float(value: JSON) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None

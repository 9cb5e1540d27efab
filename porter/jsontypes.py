"""The JSON value type that crosses module borders."""

from __future__ import annotations

from typing import TypeAlias, Union

JSON: TypeAlias = Union[bool, int, float, str, list["JSON"], dict[str, "JSON"], None]
JSONObject: TypeAlias = dict[str, JSON]


def items(value: JSON) -> list[JSON]:
    """The items of a list; none of anything else."""
    return value if isinstance(value, list) else []

"""Weight renames from the facts alone, for a port whose parameters nobody has built yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from porter.weights.mapper import NameRules

if TYPE_CHECKING:
    from porter.families.base import ReadingLike

PLACES = {"vision_tower": "vision_model", "connector": "mlp1", "language_model": "language_model"}
"""Modules of the InternVL base."""


def draft_rules(reading: ReadingLike, places: Mapping[str, str] = PLACES) -> NameRules:
    """Prefix renames from the facts alone; `places` are the base's modules by part."""
    prefixes = reading.facts.value("weight_prefixes")
    named = prefixes if isinstance(prefixes, dict) else {}
    rules: dict[str, str | None] = {}
    for part, place in places.items():
        prefix = named.get(part)
        if isinstance(prefix, str) and prefix and prefix != place:
            rules[f"{prefix}."] = f"{place}."
    return NameRules(prefix={**_connector_rules(reading, places["connector"]), **rules, **_buffer_rules(reading)})


def _buffer_rules(reading: ReadingLike) -> dict[str, str | None]:
    """Stored buffers onto the port's own; one that nothing uses is dropped."""
    listed = reading.facts.value("buffers")
    found: dict[str, str | None] = {}
    for buffer in listed if isinstance(listed, list) else []:
        name, attr = (buffer.get("name"), buffer.get("attr")) if isinstance(buffer, dict) else (None, None)
        if not isinstance(buffer, dict) or not isinstance(name, str) or not buffer.get("persistent"):
            continue
        if not buffer.get("used"):
            found[name] = None
        elif isinstance(attr, str) and name != attr:
            found[name] = attr
    return found


def _connector_rules(reading: ReadingLike, place: str) -> dict[str, str | None]:
    """Named connector layers onto the indices of the port's sequence."""
    fact = reading.facts.value("connector")
    layers = fact.get("layers") if isinstance(fact, dict) else None
    prefix = fact.get("prefix") if isinstance(fact, dict) else None
    found: dict[str, str | None] = {}
    for index, layer in enumerate(layers if isinstance(layers, list) else []):
        name = layer.get("name") if isinstance(layer, dict) else None
        path = ".".join(part for part in (prefix, name) if isinstance(part, str) and part)
        if isinstance(name, str) and path and name != str(index) and "weight" not in name:
            found[f"{path}."] = f"{place}.{index}."
    return found

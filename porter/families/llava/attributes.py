"""The base's own config attributes: under which key the repo keeps each, or the value that its code was seen to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from porter.families.base import ReadingLike
from porter.families.internvl.judgement import Notes, blocked, differs
from porter.families.internvl.sources import at, resolved, same
from porter.families.llava.anchors import LlavaAnchors
from porter.jsontypes import JSON
from porter.source.values import Instance

CANONICAL = {"vision_feature_layer": "select_layer", "image_token_index": "image_token_id"}
"""What the facts call an attribute."""
PARTS = ("vision_config", "text_config")


@dataclass(frozen=True, slots=True)
class Attributes:
    """`renames`: attribute to the repo's key; `given` where its JSON is silent; `forced` where it says otherwise."""

    renames: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, JSON] = field(default_factory=dict)
    forced: Mapping[str, JSON] = field(default_factory=dict)
    read: int = 0


def judge_attributes(
    reading: ReadingLike, anchors: LlavaAnchors, settled: Mapping[str, JSON]
) -> tuple[Attributes, Notes]:
    """Where each attribute that the base reads stands; `settled` are values that the code was seen to use."""
    config = reading.snapshot.config()
    renames = _parts(reading)
    given: dict[str, JSON] = {}
    forced: dict[str, JSON] = {}
    notes = Notes()
    missing: list[str] = []
    for attribute in (name for name in anchors.reads if name.partition(".")[0] not in PARTS):
        value = settled.get(attribute)
        if value is None:
            missing.append(attribute)
            continue
        key = _key(reading, attribute, value)
        if key is not None and key != attribute:
            renames[attribute] = key
            notes = notes.plus(differs("config", attribute, key, "own config class"))
        elif key is None:
            (forced if attribute in config and not same(config[attribute], value) else given)[attribute] = value
    if missing:
        names = ", ".join(missing)
        notes = notes.plus(blocked("config", f"{anchors.base.model} reads {names}, which could not be settled"))
    return Attributes(renames, given, forced, len(anchors.reads) - len(missing)), notes


def _parts(reading: ReadingLike) -> dict[str, str]:
    """The keys of the two part configs, where they have other names."""
    keys = {name: reading.facts.value(f"{name}_key") for name in PARTS}
    return {name: key for name, key in keys.items() if isinstance(key, str) and key and key != name}


def _key(reading: ReadingLike, attribute: str, value: JSON) -> str | None:
    """The top-level key of config.json that holds the value; None where it has to be given."""
    config = reading.snapshot.config()
    if attribute in config and same(config[attribute], value):
        return attribute
    alone = [name for name, stated in config.items() if isinstance(value, list) and same(stated, value)]
    if len(alone) == 1:
        return alone[0]
    taken = _taken_from(reading, attribute)
    if taken is not None and same(config.get(taken), value):
        return taken
    for name in dict.fromkeys((CANONICAL.get(attribute, attribute), attribute)):
        source = resolved(reading, "model", name, value)
        if source is not None and source.kind == "config" and source.path and "." not in source.path:
            return source.path if same(at(config, source.path), value) else None
    return None


def _taken_from(reading: ReadingLike, attribute: str) -> str | None:
    """The top-level key from which the repo's own config class fills an attribute."""
    held = reading.configs.code.config.value
    found = held.attrs.get(attribute) if isinstance(held, Instance) else None
    places = [item.where for item in found.src if item.file == "config.json"] if found is not None else []
    return next((place for place in places if place in reading.snapshot.config()), None)

"""Where a repo keeps the values that models read: config objects by scope, then the processor's files, then code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from porter.facts.code import CodeReading, json_config
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.synonyms import HIDDEN, LAYERS, TEXT_KEYS, VISION_KEYS, looks_like, spellings
from porter.facts.towers import read_value
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON
from porter.source.values import Instance, LibraryConfig, Src, Val, from_json, plain

Scope = Literal["model", "vision", "text"]
PROCESSOR_FILES = (
    "preprocessor_config.json",
    "processor_config.json",
    "image_processor_config.json",
    "video_preprocessor_config.json",
)
PREPROCESSING = frozenset(
    [
        "force_image_size",
        "image_size",
        "min_dynamic_patch",
        "max_dynamic_patch",
        "dynamic_image_size",
        "use_thumbnail",
        "image_mean",
        "image_std",
        "resample",
    ]
)


@dataclass(frozen=True, slots=True)
class Found:
    """A value with its origins; `path` is a dotted path in config.json, None when it is kept elsewhere."""

    value: JSON
    sources: tuple[Src, ...]
    sure: bool = True

    @property
    def path(self) -> str | None:
        return next((source.where for source in self.sources if source.file == "config.json"), None)

    @property
    def in_json(self) -> bool:
        return any(source.file.endswith(".json") for source in self.sources)


@dataclass(slots=True)
class Configs:
    """The config objects of a repo by scope, and the processor settings. `text` and `vision` are None where
    there is none."""

    snapshot: Snapshot
    code: CodeReading
    text: Val | None = None
    vision: Val | None = None
    processor: Instance | None = None
    known: dict[str, Found] = field(default_factory=dict)
    layers: dict[str, Found] = field(default_factory=dict)
    """Settings of the vision tower that its own layers state."""

    def scope(self, scope: Scope) -> Val | None:
        return {"model": self.code.config, "text": self.text, "vision": self.vision}[scope]

    def find(self, scope: Scope, attribute: str) -> Found | None:
        """Look an attribute up by all its spellings: facts already settled, the config object, the processor's
        settings."""
        if scope == "model" and attribute in self.known:
            return self.known[attribute]
        value = read_value(self.code.run, self.scope(scope), spellings(attribute))
        if value is None and scope == "model" and attribute in PREPROCESSING:
            value = self.processor_value(attribute)
        if value is None and scope == "model" and attribute == "force_image_size":
            value = read_value(self.code.run, self.vision, spellings("image_size"))
        if value is None and attribute == "image_size":
            value = self.processor_value("image_size")
        if value is not None:
            return found_from(value)
        if scope == "vision" and attribute in self.layers:
            return self.layers[attribute]
        similar = self._similar(attribute) if attribute in PREPROCESSING and scope != "text" else None
        return replace(found_from(similar), sure=False) if similar is not None else None

    def processor_value(self, attribute: str) -> Val | None:
        """From the processor's JSON files, then from the processor class's own defaults."""
        for _, values in self.processor_files():
            for spelling in (
                *spellings(attribute),
                *(("size", "crop_size") if attribute.endswith("image_size") else ()),
            ):
                value = values.get(spelling)
                if value is not None and value.value is not None:
                    return value
        if self.processor is not None:
            found = read_value(self.code.run, Val(self.processor), spellings(attribute))
            if found is not None:
                return found
        return None

    def preprocessing(self, attribute: str) -> Found | None:
        """A setting of the processor by any spelling; one that only looks like it is not sure."""
        value = self.processor_value(attribute)
        if value is not None:
            return found_from(value)
        similar = self._similar(attribute)
        return replace(found_from(similar), sure=False) if similar is not None else None

    def _similar(self, attribute: str) -> Val | None:
        """A processor setting whose name is made of the right words, when there is exactly one."""
        settings: dict[str, Val] = dict(self.processor.attrs) if self.processor is not None else {}
        for _, values in self.processor_files():
            settings.update(values)
        wanted = "force_image_size" if attribute == "image_size" else attribute
        found = [value for name, value in settings.items() if looks_like(wanted, name) and _scalar(plain(value))]
        return found[0] if len(found) == 1 else None

    def processor_files(self) -> Iterator[tuple[str, dict[str, Val]]]:
        """Each processor file as flat values; settings nested under `image_processor` come first."""
        for name in PROCESSOR_FILES:
            data = self.snapshot.json.get(name)
            if not data:
                continue
            values = from_json(data, name).value
            nested = values.get("image_processor")
            if nested is not None and isinstance(nested.value, dict):
                yield name, nested.value
            yield name, values

    def path_of(self, scope: Scope) -> str | None:
        """The JSON path of a scope's config in config.json: `language_config`, `parts.vision`; "" when it is
        the top level."""
        config = self.scope(scope)
        if config is None:
            return None
        paths = [source.where for value in _values(config) for source in value.src[:1] if source.file == "config.json"]
        heads = [path.rpartition(".")[0] for path in paths if "[" not in path]
        return max(set(heads), key=heads.count) if heads else None


def _scalar(value: Any) -> bool:
    return isinstance(value, (int, float, str, list)) and value not in ("", [])


def _values(config: Val) -> list[Val]:
    inner = config.value
    if isinstance(inner, LibraryConfig):
        return list(inner.values.values())
    return list(inner.attrs.values()) if isinstance(inner, Instance) else []


def found_from(value: Val) -> Found:
    return Found(json_only(_square(plain(value))), value.src)


def json_only(value: Any) -> JSON:
    """The value with null for whatever in it could not be read."""
    if isinstance(value, dict):
        return {str(key): json_only(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_only(item) for item in value]
    return value if isinstance(value, (bool, int, float, str)) else None


def _square(value: Any) -> JSON:
    """Image sizes come as a number, a pair, or {height, width} / {shortest_edge}."""
    if isinstance(value, dict):
        if "height" in value and "width" in value:
            return value["height"] if value["height"] == value["width"] else [value["height"], value["width"]]
        return value.get("shortest_edge", value.get("longest_edge", value))
    if isinstance(value, list) and len(value) == 2 and value[0] == value[1] and isinstance(value[0], int):
        return value[0]
    return value if value is None or isinstance(value, (bool, int, float, str, list)) else None


def split_configs(code: CodeReading) -> tuple[Val | None, Val | None]:
    """(text, vision) config objects by what they hold, for repos whose code does not tell."""
    text = vision = None
    for name, value in _nested(code.config, 2):
        keys = _keys(value)
        sized = bool({"patch_size", "image_size", "img_size"} & keys) and bool({*HIDDEN, *LAYERS} & keys)
        is_vision = sized and "vocab_size" not in keys
        if vision is None and (is_vision or (name in VISION_KEYS and not {"vocab_size"} & keys)):
            vision = value
        elif text is None and ("vocab_size" in keys or name in TEXT_KEYS or _causal(value)):
            text = value
    if text is None and "vocab_size" in _keys(code.config):
        text = code.config
    return text, vision


def _nested(config: Val, depth: int) -> Iterator[tuple[str, Val]]:
    inner = config.value
    pairs = inner.values if isinstance(inner, LibraryConfig) else inner.attrs if isinstance(inner, Instance) else {}
    for name, value in list(pairs.items()):
        nested = Val(json_config(value.value), value.src) if isinstance(value.value, dict) else value
        if isinstance(nested.value, (Instance, LibraryConfig)):
            yield name, nested
            if depth > 1:
                yield from _nested(nested, depth - 1)


def _keys(config: Val) -> set[str]:
    inner = config.value
    pairs = inner.values if isinstance(inner, LibraryConfig) else inner.attrs if isinstance(inner, Instance) else {}
    return {name for name, value in pairs.items() if value.value is not None}


def _causal(config: Val) -> bool:
    inner = config.value
    pairs = inner.values if isinstance(inner, LibraryConfig) else {}
    names = plain(pairs.get("architectures", Val([])))
    return isinstance(names, list) and any("CausalLM" in str(name) for name in names)


def evidence(sources: tuple[Src, ...], limit: int = 4) -> tuple[Evidence, ...]:
    return tuple(Evidence(source.file, source.where, source.text) for source in sources[:limit] if source.file)


def resolved(attribute: str, found: Found | None, library_default: str = "") -> Fact:
    """A config attribute as a fact: value {path, value}."""
    if found is None:
        return Fact(attribute, None, Confidence.UNKNOWN, note=library_default)
    sure = Confidence.CERTAIN if found.sources and found.sure else Confidence.LIKELY
    return Fact(attribute, {"path": found.path, "value": found.value}, sure, evidence(found.sources))

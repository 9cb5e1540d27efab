"""Where a repo keeps the values that models read: config objects by scope, then the processor's files, then code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from porter.facts.code import CodeReading, json_config
from porter.facts.code_words import CodeWords, code_words
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.synonyms import looks_like, spellings
from porter.facts.towers import TowerReading, read_value
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON
from porter.source.values import Instance, LibraryConfig, Src, Val, from_json, plain

Scope = Literal["model", "vision", "text"]
SCOPES: tuple[Scope, ...] = ("vision", "model")
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json", "image_processor_config.json")
MAX_SIDE = 4096
"""Larger numbers under `size` count pixels of an area."""
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


STANDARD = frozenset(
    [
        *("force_image_size", "image_size", "size", "crop_size", "patch_size", "image_mean", "image_std", "resample"),
        *("min_dynamic_patch", "max_dynamic_patch", "use_thumbnail", "dynamic_image_size", "downsample_ratio"),
        *("ps_version", "select_layer", "vision_feature_layer", "mm_vision_select_layer", "merge_size", "do_rescale"),
        *("spatial_merge_size", "merge_kernel_size", "min_pixels", "max_pixels", "image_grid_pinpoints"),
    ]
)
"""Keys that mean one thing wherever they stand."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value with its origins; `path` is a dotted path in config.json, None when it is kept elsewhere."""

    value: JSON
    sources: tuple[Src, ...]
    sure: bool = True
    note: str = ""
    """What disagrees, which wins, and why; or that no code reads it."""
    unread: bool = False

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
    tower: TowerReading | None = None
    """The vision tower that image features come from, where code was followed to it."""
    known: dict[str, Found] = field(default_factory=dict)
    layers: dict[str, Found] = field(default_factory=dict)
    """Settings of the vision tower that its own layers state."""
    words: CodeWords | None = None
    ignored: dict[str, str] = field(default_factory=dict)
    """What stands in config.json under a usual name and no code reads, by attribute."""

    def scope(self, scope: Scope) -> Val | None:
        return {"model": self.code.config, "text": self.text, "vision": self.vision}[scope]

    def find(self, scope: Scope, attribute: str) -> Found | None:
        """Look an attribute up by all its spellings: facts already settled, the config object, the processor's
        settings."""
        if scope == "model" and attribute in self.known:
            return self.known[attribute]
        stated = self._stated(scope, attribute)
        if stated is not None and not stated.unread:
            return stated
        value = self.processor_value(attribute) if scope == "model" and attribute in PREPROCESSING else None
        if value is None and scope == "model" and attribute == "force_image_size":
            value = read_value(self.code.run, self.vision, spellings("image_size"))
        if value is None and attribute == "image_size":
            value = self.processor_value("image_size")
        if value is not None or stated is not None:
            return found_from(value) if value is not None else stated
        if scope == "vision" and (attribute in self.layers or attribute in self.known):
            return self.layers.get(attribute) or self.known[attribute]
        similar = self._similar(attribute) if attribute in PREPROCESSING and scope == "model" else None
        return replace(found_from(similar), sure=False) if similar is not None else None

    def _stated(self, scope: Scope, attribute: str) -> Found | None:
        """From the config object: of two spellings the one that the code reads, and what other places say."""
        names = spellings(attribute)
        if scope == "model":
            names = tuple(sorted(names, key=lambda name: self.reads(name) is False))
        for name in names:
            value = read_value(self.code.run, self.scope(scope), (name,))
            if value is None or (scope == "model" and self._ignores(attribute, name, value)):
                continue
            asked = scope != "model" or self.reads(name) is not False
            unread = not asked and self.unread(attribute, name)
            return self._compared(scope, attribute, name, replace(found_from(value), sure=asked, unread=unread))
        return None

    def _ignores(self, attribute: str, name: str, value: Val) -> bool:
        """A key of config.json that the config class does not take and no code asks for: it says nothing."""
        cls = self.code.config_class
        if cls is None or self.reads(name) is not False or name in self.code_words().stored:
            return False
        self.ignored[attribute] = f"{name} {json_text(found_from(value).value)} of config.json is read by no code"
        return True

    def _compared(self, scope: Scope, attribute: str, name: str, found: Found) -> Found:
        """The value with a note about every other place that says something else."""
        others = [(place, other) for place, other in self._elsewhere(scope, attribute, name) if other != found.value]
        if not others:
            return found
        said = "; ".join(f"{place} says {json_text(other)}" for place, other in others[:3])
        winner = found.path or (found.sources[0].where if found.sources else name)
        reason = self._reason(scope, name)
        return replace(found, sure=found.sure and reason[1], note=f"{said}; {winner} wins: {reason[0]}")

    def _reason(self, scope: Scope, name: str) -> tuple[str, bool]:
        """(why the chosen place wins, whether the code shows it)."""
        if scope == "model":
            read = self.reads(name)
            return ("the code reads it", True) if read else ("it is the field's first spelling", False)
        part = "language model" if scope == "text" else "vision tower"
        return (f"the code builds the {part} from it", True) if self.code.model else (f"it is the {part}'s own", False)

    def _elsewhere(self, scope: Scope, attribute: str, name: str) -> Iterator[tuple[str, JSON]]:
        """(place, value) of the same attribute at other levels and under other spellings."""
        top = self.scope("model")
        if scope == "model":
            for other in spellings(attribute):
                asked = other != name and self.reads(other) is not False
                value = read_value(self.code.run, top, (other,)) if asked else None
                if value is not None:
                    yield f"config.json {other}", found_from(value).value
        elif top is not None and top.value is not getattr(self.scope(scope), "value", None):
            value = read_value(self.code.run, top, (name,))
            if value is not None:
                yield f"config.json {name}", found_from(value).value
        if (scope == "model" and attribute in PREPROCESSING) or (scope == "vision" and attribute == "patch_size"):
            value = self.processor_value(attribute)
            if value is not None and value.src:
                yield f"{value.src[0].file} {value.src[0].where}", found_from(value).value

    def reads(self, name: str) -> bool | None:
        """Whether the code of the repo asks anything for an attribute of this name; None where code is missing to
        tell."""
        if self.code.model is None or self.snapshot.missing_code:
            return None
        return name in self.code_words().read

    def defines(self, cls: str) -> bool:
        """Whether the code of the repo has a class of this name, or `auto_map` says that it should."""
        named = any(entry.class_name == cls for entry in self.snapshot.auto_map)
        return named or any(cls in file.definitions for file in self.code.run.code.files())

    def speaks_of(self, name: str) -> bool:
        return name in self.code_words().spoken

    def code_words(self) -> CodeWords:
        if self.words is None:
            self.words = code_words(self.code)
        return self.words

    def unread(self, attribute: str, name: str) -> bool:
        """Whether the code was seen to do without an attribute; how images are made may stand outside the repo."""
        made = self.processor is not None or any(self.speaks_of(word) for word in ("resize", "Resize"))
        return self.reads(name) is False and (made or attribute not in PREPROCESSING)

    def confidence(self, found: Found) -> Confidence:
        """How sure a value is by where it stands: a guess where the code reads nothing of that name, likely where
        something disagrees, where an unusual key was never seen to be read, or where the part of the code that is
        there does not read it."""
        if found.unread:
            return Confidence.GUESS
        key = found.sources[0].where.rpartition(".")[2] if found.sources else ""
        in_json = bool(found.sources) and found.sources[0].file.endswith(".json")
        seen = self.processor is not None and self.speaks_of(key) if self.code.model is not None else False
        from_processor = in_json and found.path is None
        unseen = in_json and key.partition("[")[0] not in STANDARD and not seen
        unseen = unseen and (self.code.model is None or from_processor)
        part = self.code.model is not None and found.path is not None and self.reads(key) is None
        unseen = unseen or (part and key not in self.code_words().read)
        return Confidence.LIKELY if unseen or not found.sure else Confidence.CERTAIN

    def lookup(self, names: tuple[str, ...]) -> Found | None:
        """The first of several keys in the vision config, the model's, or the processor's files; other places that
        disagree are noted."""
        found: list[Found] = []
        for name in names:
            for scope in SCOPES:
                value = read_value(self.code.run, self.scope(scope), (name,))
                if value is not None:
                    found.append(found_from(value))
            found.extend(found_from(values[name]) for _, values in self.processor_files() if name in values)
        found = [item for item in found if item.value is not None]
        others = [item for item in found[1:] if item.value != found[0].value]
        if not others:
            return found[0] if found else None
        said = f"{others[0].sources[0].file} {others[0].sources[0].where} says {json_text(others[0].value)}"
        place = f"{found[0].sources[0].file} {found[0].sources[0].where}" if found[0].sources else names[0]
        return replace(found[0], sure=False, note=f"{said}; {place} wins: the model's own config comes first")

    def processor_value(self, attribute: str) -> Val | None:
        """From the processor's JSON files, then from the processor class's own defaults."""
        for _, values in self.processor_files():
            for spelling in (*spellings(attribute), *(_size_keys(values) if attribute.endswith("image_size") else ())):
                value = values.get(spelling)
                if value is not None and value.value is not None and found_from(value).value is not None:
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

    def null_path(self, scope: Scope, attribute: str) -> str | None:
        """Where a scope's config in config.json has the attribute with null: it is there, and means nothing."""
        path = self.path_of(scope)
        held: JSON = self.snapshot.config()
        for key in path.split(".") if path else ():
            held = held.get(key) if isinstance(held, dict) else None
        if path is None or not isinstance(held, dict) or attribute not in held or held[attribute] is not None:
            return None
        return f"{path}.{attribute}".lstrip(".")


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
    """Image sizes come as a number, a pair, {height, width} or {shortest_edge}; null for an area in pixels or for a
    longest edge alone, which bound an image without giving its size."""
    if isinstance(value, dict):
        if "height" in value and "width" in value:
            return value["height"] if value["height"] == value["width"] else [value["height"], value["width"]]
        side = value.get("shortest_edge")
        if side is None and "longest_edge" not in value:
            return value
        return side if isinstance(side, int) and side <= MAX_SIDE and "longest_edge" not in value else None
    if isinstance(value, list) and len(value) == 2 and value[0] == value[1] and isinstance(value[0], int):
        return value[0]
    return value if value is None or isinstance(value, (bool, int, float, str, list)) else None


def _size_keys(values: dict[str, Val]) -> tuple[str, ...]:
    """What an image ends up as: the crop where one is made, else what it is resized to."""
    crops = values.get("do_center_crop")
    return ("crop_size", "size") if crops is not None and crops.value is True else ("size", "crop_size")


def json_text(value: JSON) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def evidence(sources: tuple[Src, ...], limit: int = 4) -> tuple[Evidence, ...]:
    return tuple(Evidence(source.file, source.where, source.text) for source in sources[:limit] if source.file)


def resolved(attribute: str, found: Found | None, library_default: str = "") -> Fact:
    """A config attribute as a fact: value {path, value}."""
    if found is None:
        return Fact(attribute, None, Confidence.UNKNOWN, note=library_default)
    sure = Confidence.CERTAIN if found.sources and found.sure else Confidence.LIKELY
    value: JSON = {"path": found.path, "value": found.value}
    return Fact(attribute, value, sure, evidence(found.sources), note=found.note)


def from_nested(configs: Configs) -> Val | None:
    """The vision config in a folder of its own that config.json names: `mm_vision_tower: google/siglip-x`."""
    named = {value for value in configs.snapshot.config().values() if isinstance(value, str)}
    for file, content in configs.snapshot.json.items():
        folder, _, name = file.rpartition("/")
        if name == "config.json" and folder and (folder in named or f"./{folder}" in named):
            whole = from_json(content, file).value
            inner = whole.get("vision_config") if isinstance(whole, dict) else None
            return Val(json_config(inner.value if inner is not None and isinstance(inner.value, dict) else whole))
    return None

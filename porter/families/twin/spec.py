"""A port of a copy or subclass of one of transformers' models, as a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from porter.families.twin.anchors import Trio
from porter.families.twin.connectors import OwnModule
from porter.jsontypes import JSON, JSONObject
from porter.planning.names import Names
from porter.planning.spec import plain
from porter.weights.mapper import NameRules


@dataclass(frozen=True, slots=True)
class TwinBase:
    """The original by name: `module` and `model` in the tree at hand, `config` in transformers.

    `placeholder` is the text of an image in prompts of the tree's class, `video` that of a video; `registered`: `trio`
    is the one that it is registered with; `maps`: its `load_weights` takes the mapper of the class.
    """

    module: str
    model: str
    config: str
    placeholder: str
    video: str
    trio: Trio
    registered: bool
    maps: bool
    processor: tuple[str, str]
    """(module, class) of the HF processor."""
    other: bool = False
    """That class is not the one which the trio asks for."""
    renames: tuple[tuple[str, str], ...] = ()
    """(attribute that the tree's code reads of the processor, the processor's own name for it)."""


@dataclass(frozen=True, slots=True)
class TwinPart:
    """One part of the config: `renames` is the original's name to the repo's, `given` stands where the JSON is
    silent, `forced` whatever it says."""

    name: str
    key: str
    renames: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, JSON] = field(default_factory=dict)
    forced: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def touched(self) -> bool:
        return bool(self.renames or self.given or self.forced)


@dataclass(frozen=True, slots=True)
class TwinSpec:
    """One port. `root` is the config itself, `parts` what it holds."""

    family: str
    names: Names
    model_type: str
    base: TwinBase
    root: TwinPart
    parts: tuple[TwinPart, ...] = ()
    placeholder: str = ""
    video_placeholder: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    """(attribute of the port, expression) of values that the tree's class has otherwise."""
    modules: tuple[OwnModule, ...] = ()
    """Modules of the port's own that stand where the tree's class has others."""
    largest: tuple[str, str] | None = None
    """(module, class) of the tree that finds the largest image."""
    native_type: str = ""
    """The model_type by which the tree's class goes, where it does."""
    counted: bool = False
    """Positions count the tokens one by one, along all three axes of the base."""
    native_config: bool = False
    """transformers' own config class loads the repo as the tree's class wants it."""
    rules: NameRules = field(default_factory=NameRules)
    tokens_per_tile: int | None = None
    video: bool = False

    def to_json(self) -> JSONObject:
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}

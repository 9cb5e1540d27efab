"""A port of the LLaVA shape as a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from porter.families.llava.anyres import Grid
from porter.jsontypes import JSON, JSONObject
from porter.planning.names import Names
from porter.planning.spec import SubConfig, plain
from porter.weights.mapper import NameRules


@dataclass(frozen=True, slots=True)
class LlavaBase:
    """The base by name in the tree at hand; `config` and `hf_processor` are transformers' classes.

    `marks`: towers are built under `_mark_tower_model`.
    """

    module: str
    model: str
    info: str
    processor: str
    dummy: str
    config: str
    hf_processor: str
    hf_module: str
    placeholder: str
    build_tower: str
    marks: bool


@dataclass(frozen=True, slots=True)
class LlavaSpec:
    """One port. `renames` maps the base's config attributes to this repo's keys, `given` are values that its JSON
    leaves out, `forced` those that must hold whatever it says; `processor` are arguments of the HF processor that no
    file of the repo states; `connector` are lines of code, one per layer, where it is not the base's."""

    family: str
    names: Names
    model_type: str
    base: LlavaBase
    vision: SubConfig
    text: SubConfig
    image_token: str
    strategy: str
    renames: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, JSON] = field(default_factory=dict)
    forced: Mapping[str, JSON] = field(default_factory=dict)
    processor: Mapping[str, JSON] = field(default_factory=dict)
    connector: tuple[str, ...] = ()
    post_norm: bool = False
    """The features are those behind the tower's last norm, which the base leaves out."""
    grid: Grid | None = None
    """How images are cut by resolutions, where they are."""
    rules: NameRules = field(default_factory=NameRules)
    tokens_per_tile: int | None = None
    video: bool = False

    @property
    def native_config(self) -> bool:
        return False

    def to_json(self) -> JSONObject:
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}

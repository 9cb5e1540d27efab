"""What a renamed repo is made of, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Values = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Insert:
    """A statement that is added at the end of a method (before `post_init`), or of a class."""

    owner: str
    method: str | None
    code: str


@dataclass(frozen=True, slots=True)
class Edit:
    """One place of a class of the native file, written otherwise before names are changed."""

    owner: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Family:
    """One model of transformers at a tiny size. Config values have transformers' own names; a token stands in
    `tokens` under its name in the config (or "" for none) and is written where `Twin.tokens` says otherwise."""

    name: str
    stems: tuple[str, ...]
    """What class names of its files start with, longest first."""
    base: str
    """The stem of the config and the model class."""
    config: Values
    tokens: tuple[str, ...]
    token_keys: Values
    """Config key -> token whose id it holds."""
    image: str
    """What the chat template writes for an image."""
    preprocessor: Values
    processor: Values
    named_tokens: Values = field(default_factory=dict)
    """How the tokenizer itself names tokens (`image_token` and others)."""
    video: Values = field(default_factory=dict)
    vision_classes: tuple[str, ...] = ()
    """Classes of the modeling file whose `config` is the vision config."""
    vision_config: str = ""
    """The class of the vision config, where the family has its own."""
    edits: tuple[Edit, ...] = ()
    """What a copy needs to run at all: its own classes are in no registry."""
    bos: str | None = None
    plain_template: bool = False
    """A template without roles."""


@dataclass(frozen=True, slots=True)
class Twin:
    """One repo. A name in `keys` and `names` is renamed everywhere (`name`), in one class only (`Class.name`), or
    where it is read from what has that name (`vision_config.name`)."""

    name: str
    family: Family
    title: str
    model_type: str
    style: Literal["copy", "subclass", "native"] = "copy"
    """`native`: no code, transformers' own classes serve."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Config keys."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Submodules, methods and functions (copies only)."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Token of the family -> token of this repo."""
    edits: tuple[Edit, ...] = ()
    inserts: tuple[Insert, ...] = ()
    imports: str = ""
    module: str = ""
    """Code of further classes of a subclassing file."""
    init: tuple[str, ...] = ()
    """Statements after `super().__init__(config)` of a subclassing model."""
    config_init: tuple[str, ...] = ()
    """Statements before `super().__init__` of a subclassing config, about `values` under native names."""
    values: Values = field(default_factory=dict)
    """Config values that differ from the family's, by native path (`vision_config.depth`)."""
    own_processor: bool = False
    """The processor is a copy too; tokens that its code names have this repo's names."""
    flat: bool = False
    """The text config stands at the top of config.json, as in the first Qwen2-VL repos."""
    named: str = ""
    """The architecture where it does not follow from the title."""
    near_miss: str = ""
    """The operator that differs, where porting it as the family would be wrong."""

    @property
    def stem(self) -> str:
        return self.model_type

    @property
    def architecture(self) -> str:
        return self.named or f"{self.title}ForConditionalGeneration"

    def token(self, native: str) -> str:
        return self.tokens.get(native, native)

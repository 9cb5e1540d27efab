"""A port as a frozen value: everything that the templates need, decided; nothing here looks anything up.

`Spec` is what every family's spec has; `PortSpec` is that of the InternVL shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, Protocol

from porter.jsontypes import JSON, JSONObject
from porter.planning import layout
from porter.planning.names import Names
from porter.weights.mapper import NameRules


class Base(Protocol):
    """The class of the tree that a port builds on."""

    @property
    def module(self) -> str: ...
    @property
    def model(self) -> str: ...


class Spec(Protocol):
    """What the specs of all families have: enough for the plugin's package, its notes and a tree's sites."""

    @property
    def family(self) -> str: ...
    @property
    def names(self) -> Names: ...
    @property
    def model_type(self) -> str: ...
    @property
    def base(self) -> Base: ...
    @property
    def rules(self) -> NameRules: ...
    @property
    def tokens_per_tile(self) -> int | None: ...
    @property
    def video(self) -> bool: ...
    @property
    def native_config(self) -> bool:
        """Whether transformers' own config class loads the repo as the base wants it: the port brings none then."""

    def to_json(self) -> JSONObject: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the generated tests expect: a placeholder becomes start, context tokens and end.

    `cases` are ((width, height), tiles); `inside` are prefixes of parts whose own loaders rename further.
    """

    placeholder: str
    start: str
    context: str
    end: str
    cases: tuple[tuple[tuple[int, int], int], ...]
    inside: tuple[str, ...]
    unit: int | None = None
    """Tokens that one tile of the cases stands for; None: those of a tile of the tiny twin."""
    tags: str | None = None
    """Code of the list of tags, one before each tile's context tokens; `tiles` is their number."""
    processor: tuple[str, str] | None = None
    """(module, class) of the HF processor that says what a prompt becomes, where no arithmetic of tiles does."""

    @property
    def inside_code(self) -> str:
        """The prefixes as Python, strings in double quotes."""
        return "(" + ", ".join(f'"{prefix}"' for prefix in self.inside) + ("," if len(self.inside) == 1 else "") + ")"


SourceKind = Literal["config", "inverse", "product", "processor", "constant"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where generated code finds a value.

    config: the JSON path `path`; inverse: 1 over the number there; product: the number there times the attribute
    `factor`; processor: the key `path` of preprocessor_config.json; constant: `value` stands in the code. `value` is
    always the value found.
    """

    kind: SourceKind
    value: JSON
    path: str | None = None
    factor: str | None = None
    otherwise: float = 0
    """Of a product: the number where the JSON has none."""


@dataclass(frozen=True, slots=True)
class SubConfig:
    """One part's config. `key` is its JSON path, None when its values stand at the top level.

    `library` is transformers' class (vision) or model_type (text) that takes the values, None for the port's own class.
    `renames` maps canonical names to this repo's; `defaults` fill what the JSON leaves out; `forced` overrule the JSON.
    """

    key: str | None
    library: str | None
    model_type: str
    renames: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, JSON] = field(default_factory=dict)
    forced: Mapping[str, JSON] = field(default_factory=dict)
    computed: Mapping[str, Source] = field(default_factory=dict)
    table: str | None = None
    """The key of the image size that the tower's positions are stored for, where tiles have another: `tile`."""
    tile: int | None = None


@dataclass(frozen=True, slots=True)
class ConfigSpec:
    """The port's own config class. `computed` attributes are set from values of other places."""

    model_type: str
    vision: SubConfig
    text: SubConfig
    renames: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, JSON] = field(default_factory=dict)
    forced: Mapping[str, JSON] = field(default_factory=dict)
    computed: Mapping[str, Source] = field(default_factory=dict)
    feature_layer_from_end: bool = True
    tie: bool | None = None
    tie_conflict: bool = False
    """The text config states the opposite of what the checkpoint or the user says."""
    ambiguous_text: bool = False


@dataclass(frozen=True, slots=True)
class TagSpec:
    """Tags before the context tokens of each tile: `tile` with `{n}` for the number from `first`, and the tag of the
    view of the whole, the last one; None where that is numbered like the others."""

    tile: str
    first: int
    overview: str | None

    def code(self, tiles: str) -> tuple[str, str]:
        """(an f-string of the number `i`, the arguments of its range) for as many tiles as `tiles` says."""
        braced = self.tile.replace("{", "{{").replace("}", "}}").replace("{{n}}", "{i}")
        more = self.first - (1 if self.overview is not None else 0)
        stop = tiles + (f" + {more}" if more > 0 else f" - {-more}" if more < 0 else "")
        return f"f{layout.text(braced)}", f"{self.first}, {stop}"


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """Arguments of the HF-style processor that differ from its defaults, and a placeholder other than the base's.

    `{n}` in the placeholder is the number of the image; `label` is then the text before its start token.
    """

    arguments: Mapping[str, str] = field(default_factory=dict)
    placeholder: str | None = None
    tags: TagSpec | None = None
    label: str | None = None

    @property
    def numbered(self) -> bool:
        return self.label is not None


@dataclass(frozen=True, slots=True)
class GridSpec:
    """The tree's function that chooses the grid of tiles in place of the base's own."""

    module: str
    function: str


@dataclass(frozen=True, slots=True)
class PixelSpec:
    """Pixels as the repo makes them: PIL's resampling number, 1/255 or not, mean and std or None.

    `tensors`: the module of torchvision that resizes tensors of whole numbers, None where PIL resizes images.
    """

    resample: int
    rescale: bool
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    tiling: bool = True
    tensors: str | None = None
    grid: GridSpec | None = None


@dataclass(frozen=True, slots=True)
class TowerSpec:
    """A tower class of the tree in place of the base's own."""

    cls: str
    module: str
    post_norm: bool | None
    inner: str = ""
    scales: tuple[str, ...] = ()
    """Parameters of each layer that the repo's lacks: the port takes them out, and one stands in."""


@dataclass(frozen=True, slots=True)
class BufferSpec:
    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """The image path where it differs: buffers applied to pixels, tokens cut off, whether there is a pixel shuffle."""

    mean: str | None
    std: str | None
    drop_front: int
    drop_end: int
    shuffle: bool
    whole: bool
    """The whole method is written; otherwise the base's is called on the normalised pixels."""


@dataclass(frozen=True, slots=True)
class BaseSpec:
    """The base by name in the tree at hand."""

    module: str
    model: str
    info: str
    processor: str
    dummy: str
    generic: bool
    """Whether `processor` and `dummy` take the processing info in brackets."""
    hf_module: str
    hf_processor: str
    image_processor: str
    config_base: str
    quantization: tuple[str, str]
    placeholder: str
    tokens: Mapping[str, str] = field(default_factory=dict)
    """The processor's own tokens by argument name."""


@dataclass(frozen=True, slots=True)
class PortSpec:
    """One port. `connector` are lines of code, one per layer; `tiling` where the image processor's arguments stand."""

    family: str
    names: Names
    model_type: str
    base: BaseSpec
    config: ConfigSpec
    tokens: TokenSpec
    tiling: Mapping[str, Source]
    video: bool
    pixels: PixelSpec | None = None
    tower: TowerSpec | None = None
    connector: tuple[str, ...] = ()
    buffers: tuple[BufferSpec, ...] = ()
    features: FeatureSpec | None = None
    lora_tokens: int | None = None
    unbuilt_layers: bool = False
    """The checkpoint holds tower layers above the tapped one, and the tree's tower does not pass over them."""
    rules: NameRules = field(default_factory=NameRules)
    tokens_per_tile: int | None = None

    @property
    def native_config(self) -> bool:
        return False

    def to_json(self) -> JSONObject:
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}


def plain(value: Any) -> JSON:
    """Any value of a spec as JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)

"""What a variant is made of: plain values from which files and the expected facts are both written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

Triple = tuple[float, float, float]
NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Tower:
    """`keys` spells the config keys of own code (canonical name -> spelling); `omitted` are left to the class."""

    kind: Literal["intern_vit", "siglip", "clip", "radio"] = "intern_vit"
    style: Literal["classes", "short", "native", "radio"] = "classes"
    hidden_size: int = 64
    num_hidden_layers: int = 2
    num_attention_heads: int = 2
    intermediate_size: int = 128
    image_size: int = 56
    patch_size: int = 14
    layer_norm_eps: float = 1e-6
    hidden_act: str = "gelu"
    norm_type: str = "layer_norm"
    qkv_bias: bool = True
    split_qkv: bool = False
    """Whether q, k and v are stored apart (style "short" only)."""
    qk_normalization: bool = False
    initializer_factor: float = 0.1
    keys: Mapping[str, str] = field(default_factory=dict)
    omitted: frozenset[str] = frozenset()
    mlp_ratio: str | None = None
    """The key of the ratio from which the code derives `intermediate_size`, when it is not stored itself."""
    class_name: str = ""
    cls_tokens: int = 1
    registers: int = 3
    table_size: int = 56
    """Kind "radio" only: rows before the patches, and (native) the image size that the table of positions is for."""
    fits: bool = False
    """The table is for `table_size`, and code fits it to tiles (style "classes" only)."""
    head: bool = True
    """Native SigLIP only: whether the pooling head is built (and stored)."""

    @property
    def has_cls(self) -> bool:
        return self.kind != "siglip"

    @property
    def native(self) -> bool:
        return self.style == "native"


@dataclass(frozen=True, slots=True)
class Language:
    kind: Literal["qwen2", "qwen3", "llama", "internlm2"] = "qwen2"
    tied: bool = False
    num_hidden_layers: int = 2
    hidden_size: int = 128
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    intermediate_size: int = 256
    vocab_size: int = 320
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    nested_auto_map: bool = False


@dataclass(frozen=True, slots=True)
class Connector:
    norm: bool = True
    norm_eps: float | None = None
    """None leaves it to torch (1e-5)."""
    mid: int | None = None
    """Width between two Linears when it differs from the language model's."""
    mid_key: str | None = None
    """The config key that holds `mid`; None writes the number into the code."""
    linears: Literal[1, 2] = 2
    bias: bool = True
    act: Literal["GELU", "SiLU"] = "GELU"
    norm_last: bool = False
    """The LayerNorm stands after the Linears."""
    names: tuple[str, str, str] = ("norm", "fc1", "fc2")
    own_file: bool = False
    switch: str | None = None
    """The key by which the code chooses between one Linear and LayerNorm with two (chassis "chat" only)."""


@dataclass(frozen=True, slots=True)
class Tokens:
    start: str = "<img>"
    end: str = "</img>"
    context: str = "<IMG_CONTEXT>"
    placeholder: str = "<image>"
    style: Literal["defaults", "module", "class", "processor"] = "defaults"
    label: str | None = None
    """What stands before image N (with `{}` for N): the placeholder then holds `{}` too (style "processor" only)."""
    tags: tuple[str, str] | None = None
    """What stands before the context tokens of tile N (with `{}` for N, from 1) and of the view of the whole."""
    names: tuple[str, str, str] = ("IMG_START_TOKEN", "IMG_END_TOKEN", "IMG_CONTEXT_TOKEN")
    before: tuple[str, ...] = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    after: tuple[str, ...] = ()
    merges: int = 24

    @property
    def specials(self) -> tuple[str, ...]:
        return (*self.before, self.start, self.end, self.context, *self.after)

    @property
    def context_id(self) -> int:
        return 256 + self.merges + self.specials.index(self.context)


@dataclass(frozen=True, slots=True)
class Images:
    """`source` is where pixels are made; `stored` the canonical names that preprocessor_config.json holds."""

    source: Literal["processor_file", "auto_processor", "functions"] = "processor_file"
    scheme: Literal["internvl_tiles", "tiles", "single"] = "internvl_tiles"
    """"tiles": torchvision cuts tensors, by a grid that covers at most `cover` of the image ("auto_processor" only)."""
    cover: float = 0.6
    by_area: bool = False
    """PIL cuts tiles by such a grid too (scheme "internvl_tiles" of a "processor_file")."""
    mean: Triple = IMAGENET[0]
    std: Triple = IMAGENET[1]
    resample: Literal["bicubic", "bilinear", "lanczos"] = "bicubic"
    passes: Literal[1, 2] = 1
    """2: one image alone is cut a second time, by a grid that shares no line with the first ("functions" only)."""
    min_tiles: int = 1
    max_tiles: int = 6
    use_thumbnail: bool = True
    normalize: bool = True
    rescale: bool = True
    """False: pixels stay in 0..255."""
    keys: Mapping[str, str] = field(default_factory=dict)
    stored: frozenset[str] = frozenset(
        {"image_size", "min_tiles", "max_tiles", "use_thumbnail", "mean", "std", "resample"}
    )
    constants: tuple[str, str] = ("IMAGENET_MEAN", "IMAGENET_STD")
    count_name: str = "num_patches"


@dataclass(frozen=True, slots=True)
class Buffer:
    """A stored buffer; `expr` is the code that makes it, `values` what it holds."""

    attr: str
    expr: str
    shape: tuple[int, ...]
    role: Literal["mean", "std", "unused"] = "unused"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of modules, classes, files and config keys. `keys` spells top-level settings as a path in config.json."""

    model_type: str
    architecture: str
    stem: str
    title: str
    prefix: str = ""
    """`Xx` of the classes `XxModel`, `XxConnector`, ..."""
    tower: str = "vision_model"
    connector: str = "mlp1"
    llm: str = "language_model"
    text_key: str = "llm_config"
    vision_key: str = "vision_config"
    tower_inside: str | None = None
    """The encoder stands in a wrapper module under this name."""
    extract: str = "extract_feature"
    context_attr: str = "img_context_token_id"
    keys: Mapping[str, str] = field(default_factory=dict)
    deep_group: str | None = None
    auto_keys: tuple[str, ...] = ("AutoModel", "AutoModelForCausalLM")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A variant as values. `omitted` are settings that only the config class knows."""

    name: str
    axes: tuple[str, ...]
    seed: int
    names: Names
    tower: Tower = Tower()
    llm: Language = Language()
    connector: Connector = Connector()
    tokens: Tokens = Tokens()
    images: Images = Images()
    chassis: Literal["chat", "nested", "headed", "auto"] = "chat"
    config_style: Literal["plain", "kwargs", "deep"] = "plain"
    ratio: float = 0.5
    inverse_ratio: bool = False
    """The stored number is how many patches a side are merged: 2 for a ratio of 0.5."""
    version: Literal["v1", "v2"] = "v2"
    version_source: Literal["config", "code", "default"] = "config"
    select_layer: int = -1
    shuffle: bool = True
    shuffle_key: str | None = None
    """The key that turns the pixel shuffle off in the code (chassis "chat" only)."""
    settings: tuple[str, ...] = ("select_layer", "downsample_ratio", "ps_version")
    """Canonical names of the settings that the config class takes."""
    omitted: frozenset[str] = frozenset()
    buffers: tuple[Buffer, ...] = ()
    post_init: bool = True
    license: str | None = "apache-2.0"
    license_file: bool = False
    extra_config: Mapping[str, object] = field(default_factory=dict)
    weight_renames: tuple[tuple[str, str], ...] = ()
    """Prefixes of stored names that differ from the module names (as files saved by transformers 4 do)."""
    shards: int = 1

    @property
    def module_prefix(self) -> str:
        return "model." if self.chassis in ("nested", "headed") else ""

    @property
    def pixel_range(self) -> float:
        return 1.0 if self.images.rescale else 255.0

    @property
    def tokens_per_tile(self) -> int:
        side = self.tower.image_size // self.tower.patch_size
        return int(side * side * self.ratio**2) if self.shuffle else side * side

    @property
    def merged_width(self) -> int:
        return self.tower.hidden_size * round(1 / self.ratio) ** 2 if self.shuffle else self.tower.hidden_size

    def key(self, canonical: str) -> str:
        """How this repo spells a top-level setting."""
        if canonical == "mid" and self.connector.mid_key:
            return self.connector.mid_key
        return self.names.keys.get(canonical, canonical)

    def value(self, canonical: str) -> object:
        """The value of a top-level setting as it is stored."""
        values: dict[str, object] = {
            "select_layer": self.select_layer,
            "ps_version": self.version,
            "downsample_ratio": round(1 / self.ratio) if self.inverse_ratio else self.ratio,
            "force_image_size": self.tower.image_size,
            "image_token_id": self.tokens.context_id,
            "min_dynamic_patch": self.images.min_tiles,
            "max_dynamic_patch": self.images.max_tiles,
            "use_thumbnail": self.images.use_thumbnail,
            "dynamic_image_size": self.images.scheme != "single",
            "mid": self.connector.mid,
            "mean": [round(value * self.pixel_range, 6) for value in self.images.mean],
            "std": [round(value * self.pixel_range, 6) for value in self.images.std],
        }
        return values[canonical]

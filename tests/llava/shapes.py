"""What a repo of LLaVA's shape is made of, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

PATCH, SIDE = 14, 56
"""Pixels of a patch and of an image's side: a grid of 4 x 4."""


STEPS: tuple[tuple[str, str | None, str], ...] = (
    ("linear_1", "nn.Linear(vision, text)", "self.linear_1({x})"),
    ("act", "nn.GELU()", "self.act({x})"),
    ("linear_2", "nn.Linear(text, text)", "self.linear_2({x})"),
)
"""The connector of transformers' own class."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One repo. `keys` spells config keys (transformers' name -> this repo's), `steps` is the connector in order:
    each (attribute, code that builds it or None for a function, how forward calls it with `{x}`)."""

    name: str
    model_type: str
    architecture: str
    tower: Literal["clip", "siglip"] = "clip"
    tower_layers: int = 3
    llm: Literal["llama", "qwen2", "qwen3"] = "llama"
    headed: bool = False
    """The decoder without its head stands under `model.`, the head beside it."""
    parts: tuple[str, str, str] = ("vision_tower", "multi_modal_projector", "language_model")
    keys: Mapping[str, str] = field(default_factory=dict)
    layer: int = -2
    keep_cls: bool = False
    fixed_layer: bool = False
    """The layer and the strategy stand in the code alone."""
    image_token: str = "<image>"
    steps: tuple[tuple[str, str | None, str], ...] = STEPS
    processor_file: bool = False
    """Whether processor_config.json says how placeholders are filled, as transformers' own repos do."""
    extra: Mapping[str, object] = field(default_factory=dict)
    style: Literal["own", "subclass"] = "own"
    base: Literal["Llava", "LlavaNext"] = "Llava"
    """The stem of the classes of transformers that a subclass and the processor are of."""
    resolutions: tuple[tuple[int, int], ...] = ()
    """(height, width) by which images are cut into tiles."""

    def key(self, name: str) -> str:
        return self.keys.get(name, name)

    @property
    def family(self) -> str:
        return "llava_next" if self.resolutions else "llava"

    @property
    def stem(self) -> str:
        return self.model_type

    @property
    def title(self) -> str:
        return "".join(word.capitalize() for word in self.model_type.split("_"))

    @property
    def tokens_per_image(self) -> int:
        return (SIDE // PATCH) ** 2 + (1 if self.tower == "clip" and self.keep_cls else 0)


ORIGINAL = {
    "vision_feature_layer": "mm_vision_select_layer",
    "vision_feature_select_strategy": "mm_vision_select_feature",
    "image_token_index": "image_token_id",
}
"""Names as in the code that LLaVA was first published with."""

DABCHICK = Shape(
    "dabchick-normed",
    "dabchick",
    "DabchickForCausalLM",
    tower="siglip",
    llm="qwen2",
    parts=("encoder", "bridge", "decoder"),
    keys={**ORIGINAL, "vision_config": "visual_config", "text_config": "llm_config"},
    image_token="<|picture|>",
    steps=(
        ("pre", "nn.LayerNorm(vision, eps=1e-6)", "self.pre({x})"),
        ("up", "nn.Linear(vision, 2 * text)", "self.up({x})"),
        ("act", None, "F.gelu({x})"),
        ("down", "nn.Linear(2 * text, text)", "self.down({x})"),
    ),
)
WHIMBREL = Shape(
    "whimbrel-full",
    "whimbrel_vl",
    "WhimbrelForConditionalGeneration",
    tower="clip",
    tower_layers=4,
    llm="llama",
    headed=True,
    layer=-3,
    keep_cls=True,
    fixed_layer=True,
    image_token="<img_feature>",
    steps=(
        ("linear_1", "nn.Linear(vision, text, bias=False)", "self.linear_1({x})"),
        ("act", "nn.SiLU()", "self.act({x})"),
        ("linear_2", "nn.Linear(text, text, bias=False)", "self.linear_2({x})"),
    ),
)
AVOCET = Shape(
    "avocet-plain",
    "avocet",
    "AvocetForCausalLM",
    llm="qwen3",
    parts=("vision", "projector", "llm"),
    keys={**ORIGINAL, "vision_config": "vision", "text_config": "text"},
)
SMEW = Shape(
    "smew-subclass",
    "smew_vl",
    "SmewForConditionalGeneration",
    llm="qwen2",
    keys={
        "vision_config": "eye_config",
        "text_config": "mind_config",
        "vision_feature_layer": "eye_layer",
        "image_token_index": "picture_token",
    },
    image_token="<picture>",
    style="subclass",
)
"""Code that subclasses transformers' own class, with other names in the config."""
SCOTER = Shape(
    "scoter-anyres",
    "scoter",
    "ScoterForConditionalGeneration",
    llm="qwen2",
    keys={
        "vision_config": "eye_config",
        "image_token_index": "picture_token",
        "image_grid_pinpoints": "possible_resolutions",
    },
    image_token="<picture>",
    processor_file=True,
    style="subclass",
    base="LlavaNext",
    resolutions=((56, 112), (112, 56), (112, 112), (56, 168)),
)
GOOSANDER = replace(
    SCOTER,
    name="goosander-anyres",
    model_type="goosander",
    architecture="GoosanderForConditionalGeneration",
    tower="siglip",
    llm="llama",
    keys={"text_config": "decoder_config", "vision_feature_layer": "mm_vision_select_layer"},
    image_token="<image>",
    layer=-1,
    resolutions=((112, 112), (56, 168), (168, 56)),
)
PINTAIL = replace(
    SCOTER,
    name="pintail-normed-anyres",
    model_type="pintail",
    architecture="PintailForConditionalGeneration",
    tower="siglip",
    llm="qwen3",
    keys={"image_token_index": "image_token_id"},
    image_token="<|image|>",
    steps=(("pre_norm", "nn.LayerNorm(vision, eps=1e-6)", "self.pre_norm({x})"), *STEPS),
)
"""As vLLM's own `rvl.py` has it: resolutions, and a norm before the connector."""
REPOS = {s.name: s for s in (AVOCET, DABCHICK, WHIMBREL, SMEW, SCOTER, GOOSANDER, PINTAIL)}

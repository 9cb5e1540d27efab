"""The first batch: one repo as values, drawn from its index along many axes at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tests.facts.generated.words import invented, names_of

MEANS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "own": ((0.41, 0.43, 0.39), (0.28, 0.31, 0.27)),
}
LIBRARY = ("siglip", "clip", "dinov2")
SQUARE_MERGES = (
    "v2_steps",
    "v1_steps",
    "v2_reshape",
    "v2_rearrange",
    "v2_slices",
    "swin_slices",
    "unshuffle",
    "unfold",
)
LIES = (
    "unread values", "levels contradict", "unused connector", "dead branch", "stale words", "leftover tokens",
    "index disagrees", "wrong architectures", "null in auto_map", "tower file missing", "no weights", "second auto_map",
)  # fmt: skip
LEFTOVER = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<box>", "</box>")


@dataclass(frozen=True, slots=True)
class Setting:
    """A number that the code needs: `where` is json, default (of the config class), literal or constant."""

    value: object
    where: str


@dataclass(frozen=True, slots=True)
class Plan:
    index: int
    names: dict[str, str]
    model: str
    """Prefix of the classes."""
    layout: str
    nesting: str
    tower: str
    tower_out: str
    stem: str
    cls: bool
    separate: bool
    width: int
    depth: int
    heads: int
    grid: int
    patch: int
    select: str
    layer: int | tuple[int, ...]
    merge: str
    side: int
    ratio_as: str
    connector: str
    build: str
    act: str
    bias: bool
    eps: float | None
    mid: int
    queries: int
    llm: str
    family: str
    tied: bool
    text: dict[str, int]
    scatter: str
    tokens: str
    marks: dict[str, str | None]
    pixels: str
    tiling: bool
    colour: str
    resample: str
    lies: tuple[str, ...]
    settings: dict[str, Setting] = field(default_factory=dict)

    @property
    def image(self) -> int:
        return self.grid * self.patch

    @property
    def config_class(self) -> str:
        return f"{self.model}Config"

    @property
    def architecture(self) -> str:
        return f"{self.model}{('ForConditionalGeneration', 'ChatModel', 'ForCausalLM', 'VLM')[self.index % 4]}"

    @property
    def feature_width(self) -> int:
        """Channels that leave the tower for the merge."""
        layers = len(self.layer) if isinstance(self.layer, tuple) else 1
        return self.width * layers * (2 if self.tower == "two" else 1)

    @property
    def merged_width(self) -> int:
        if self.merge in (*SQUARE_MERGES, "pairs"):
            return self.feature_width * self.side**2
        return self.feature_width

    @property
    def tokens_out(self) -> int:
        if self.connector == "resampler":
            return self.queries
        return self.grid**2 // (1 if self.merge == "none" else self.side**2)


def draw(index: int) -> Plan:
    """The same plan for the same index, on every machine."""
    rng = Random(f"first-{index}")
    tower = rng.choice(("own", "own", "own", "siglip", "clip", "dinov2", "two", "navit"))
    shapes = shapes_of(rng, tower)
    merge, side = merge_of(rng, tower, shapes["grid"])
    connector = connector_of(rng, merge)
    tokens = rng.choice(("chat", "config_id", "processor", "code_id", "minus200"))
    nesting = nesting_of(rng, tower)
    pixels = "lib" if tower == "navit" else rng.choice(("lib", "own", "functions", "config"))
    select, layer = selection(rng, tower, shapes["depth"])
    plan = Plan(
        index=index,
        names=names_of(rng, rng.choice((0.0, 0.5, 1.0))),
        model=invented(rng).capitalize() + rng.choice(("", "VL", "Eye")),
        layout=rng.choice(("flat", "flat", "inner", "headed", "llm_base" if nesting == "llm_top" else "flat")),
        nesting=nesting,
        tower=tower,
        stem=rng.choice(("conv", "conv", "two_convs", "unfold")),
        tower_out=rng.choice(("tensor", "output", "states")),
        cls=tower in ("clip", "dinov2") or (tower == "own" and rng.random() < 0.5),
        separate=rng.random() < 0.6,
        select=select,
        layer=layer,
        merge=merge,
        side=side,
        ratio_as=rng.choice(("ratio", "step")),
        connector=connector,
        build=rng.choice(("sequential", "class", "builder", "loop")),
        act=rng.choice(("GELU", "SiLU", "tanh")),
        bias=rng.random() < 0.7,
        eps=rng.choice((None, 1e-6)),
        mid=rng.choice((0, 0, 96, 160)),
        queries=rng.choice((16, 9)),
        llm=rng.choice(("auto", "concrete", "concrete", "own")),
        family=rng.choice(("qwen2", "llama", "qwen3", "mistral")),
        tied=rng.random() < 0.4,
        text={"hidden": rng.choice((64, 80, 128)), "layers": rng.choice((2, 3)), "vocab": rng.choice((400, 512))},
        scatter=rng.choice(("masked_scatter", "index", "where", "index_put", "loop")),
        tokens=tokens,
        marks=marks_of(rng, tokens),
        pixels=pixels,
        tiling=pixels in ("own", "functions") and rng.random() < 0.6,
        colour=rng.choice(tuple(MEANS)),
        resample=rng.choice(("bicubic", "bilinear", "lanczos")),
        lies=tuple(sorted(rng.sample(LIES, rng.choice((0, 0, 1, 2, 3))))),
        width=shapes["width"],
        depth=shapes["depth"],
        heads=shapes["heads"],
        grid=shapes["grid"],
        patch=shapes["patch"],
    )
    return with_settings(plan, rng)


def shapes_of(rng: Random, tower: str) -> dict[str, int]:
    return {
        "width": rng.choice((32, 48)),
        "depth": rng.choice((2, 3, 5)),
        "heads": rng.choice((2, 4)),
        "grid": rng.choice((4, 8)),
        "patch": rng.choice((14, 16)),
    }


def merge_of(rng: Random, tower: str, grid: int) -> tuple[str, int]:
    if tower == "navit":
        return "in_tower", 2
    merge = rng.choice((*SQUARE_MERGES, "none", "none", "avg", "adaptive", "conv", "pairs"))
    return merge, 1 if merge == "none" else rng.choice((2, 2, grid // 2))


def connector_of(rng: Random, merge: str) -> str:
    chains = ("ln_mlp", "ln_mlp", "mlp", "mlp", "linear", "ln_linear", "mlp3", "mlp_ln", "gated", "residual")
    return rng.choice((*chains, "resampler", "resampler") if merge == "none" else chains)


def nesting_of(rng: Random, tower: str) -> str:
    options = ["nested", "nested", "deep", "both", "llm_top"]
    return rng.choice([*options, "vision_flat"] if tower == "own" else options)


def selection(rng: Random, tower: str, depth: int) -> tuple[str, int | tuple[int, ...]]:
    """How the feature layer is chosen in the code, and which it is."""
    if tower in ("own", "navit"):
        return "last", -1
    how = rng.choice(("last", "first_item", "setting", "literal", "list" if tower != "two" and depth > 2 else "last"))
    if how == "list":
        return how, (-3, -1)
    return how, -1 if how in ("last", "first_item") else rng.choice((-1, -2))


def marks_of(rng: Random, tokens: str) -> dict[str, str | None]:
    """Strings of the image tokens; start and end may be missing."""
    word = invented(rng)
    styles: tuple[dict[str, str | None], ...] = (
        {"start": f"<{word}>", "end": f"</{word}>", "context": f"<{word}_slot>", "placeholder": "<image>"},
        {"start": f"<|{word}_open|>", "end": f"<|{word}_shut|>", "context": "<image>", "placeholder": "<image>"},
        {"start": f"[{word.upper()}]", "end": f"[/{word.upper()}]", "context": f"[{word}.]", "placeholder": "<pic>"},
        {"start": None, "end": None, "context": f"<|{word}|>", "placeholder": f"<|{word}|>"},
        {"start": "<img>", "end": "</img>", "context": "<IMG_CONTEXT>", "placeholder": "<image>"},
    )
    marks = dict(rng.choice(styles))
    if tokens == "processor" and marks["placeholder"] != marks["context"]:
        marks["placeholder"] = marks["context"]
    if tokens == "minus200":
        return {"start": None, "end": None, "context": None, "placeholder": "<image>"}
    return marks


def ids_of(plan: Plan) -> dict[str, int]:
    """Every added token of the tokenizer with its id."""
    leftover = LEFTOVER if "leftover tokens" in plan.lies else ()
    own = [mark for name, mark in plan.marks.items() if mark and (name != "placeholder" or plan.index % 3 == 0)]
    chat = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    words = list(dict.fromkeys([*chat, *leftover, *own]))
    if plan.tokens == "minus200":
        words = [word for word in words if word != plan.marks["placeholder"]]
    return {word: 300 + number for number, word in enumerate(words)}


def with_settings(plan: Plan, rng: Random) -> Plan:
    """Where each number stands; the config object is at hand everywhere but in functions of the module."""
    wheres = ("json", "json", "default", "literal", "constant")
    ratio: object = 1 / plan.side if plan.ratio_as == "ratio" else plan.side
    values: dict[str, object] = {
        "layer": list(plan.layer) if isinstance(plan.layer, tuple) else plan.layer,
        "ratio": ratio,
        "mid": plan.mid or plan.text["hidden"],
        "queries": plan.queries,
        "context_id": None,
        "min_tiles": rng.choice((1, 2)),
        "max_tiles": rng.choice((4, 6, 9)),
        "thumbnail": rng.random() < 0.5,
    }
    settings = {name: Setting(value, rng.choice(wheres)) for name, value in values.items()}
    if plan.select == "literal":
        settings["layer"] = Setting(values["layer"], "literal")
    context = plan.marks["context"]
    number = ids_of(plan)[context] if context else None
    settings["context_id"] = Setting(number, "literal" if plan.tokens == "code_id" else "json")
    plan.settings.update(settings)
    return plan

"""The second batch, in another hand: registries, wrappers, dataclasses, dicts as configs, subclasses of library models.

Written after porter had been mended by the first batch, and measured once untouched; see `git log`.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

SKELETONS = ("registry", "wrapper", "dataclass", "moduledict", "subclass", "mixin")
TOWERS = ("timm", "mha", "siglip", "clip")
MERGES = ("fold_v2", "fold_v1", "stack", "tensor_unfold", "conv", "pool", "interp", "none", "none", "gather")
CONNECTORS = ("direct", "list", "glu", "perceiver", "rms", "depth", "parallel", "dict")
TOKENS = ("table", "rows", "attributes", "template", "ids")
PIXELS = ("class_constants", "numpy", "json", "dict")
TRICKS = ("old default", "dead code", "shadowed", "string numbers", "other tokens", "no index", "aliases")
COLOURS = {
    "soft": ([0.45, 0.44, 0.42], [0.25, 0.26, 0.27]),
    "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "half": ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]),
}
NOUNS = ("Ketch", "Sloop", "Yawl", "Dhow", "Brig", "Cutter", "Punt", "Skiff", "Barge", "Xebec", "Junk", "Galley")
SPELLINGS = {
    "vision": ("sight", "v", "image_encoder", "cv", "seeing"),
    "text": ("lang", "t", "text_decoder", "nlp", "saying"),
    "tower": ("backbone", "image_model", "v_enc", "looker"),
    "bridge": ("adapter", "to_words", "v2t", "proj", "resample_and_project"),
    "llm": ("lm", "causal", "writer", "text_model"),
    "width": ("dim", "channels", "w"),
    "depth": ("n_blocks", "levels", "num_layers"),
    "heads": ("n_head", "attn_heads", "h"),
    "patch": ("patch", "p", "stride"),
    "image": ("res", "resolution", "input_px"),
    "slot": ("media_token", "visual_id", "where_images_go"),
    "step": ("group", "every", "by"),
    "see": ("visual_tokens", "run_vision", "prepare_visual", "embed_pictures"),
}


@dataclass(frozen=True, slots=True)
class Second:
    index: int
    skeleton: str
    tower: str
    cls: bool
    width: int
    depth: int
    heads: int
    grid: int
    patch: int
    hidden: int
    layers: int
    vocab: int
    family: str
    merge: str
    step: int
    connector: str
    mid: int
    queries: int
    layer: int
    tokens: str
    marks: dict[str, str | None]
    pixels: str
    tiles: tuple[int, int] | None
    colour: str
    resample: str
    tied: bool
    tricks: tuple[str, ...]
    names: dict[str, str]
    noun: str

    @property
    def image(self) -> int:
        return self.grid * self.patch

    @property
    def merged(self) -> int:
        shuffled = self.merge in ("fold_v2", "fold_v1", "stack", "tensor_unfold", "gather")
        return self.width * (self.step**2 if shuffled else 1)

    @property
    def tokens_out(self) -> int:
        if self.connector == "perceiver":
            return self.queries
        return self.grid**2 // (1 if self.merge == "none" else self.step**2)

    @property
    def architecture(self) -> str:
        return self.noun + ("Model", "ForVision2Seq", "LMHeadModel", "ForCausalLM")[self.index % 4]


def draw(index: int) -> Second:
    """The same repo for the same index, on every machine."""
    rng = Random(f"second-{index}")
    skeleton = SKELETONS[index % len(SKELETONS)]
    tower = rng.choice(TOWERS[2:] if skeleton in ("subclass", "wrapper") else TOWERS)
    merge = "none" if skeleton == "subclass" else rng.choice(MERGES)
    connector = rng.choice(("direct", "list", "depth") if skeleton == "subclass" else CONNECTORS)
    if connector == "perceiver":
        merge = "none"
    if merge == "conv" and connector == "direct":
        connector = "dict"
    tiled = rng.random() < 0.5
    return Second(
        index=index, skeleton=skeleton, tower=tower, cls=tower == "clip" or (tower == "timm" and rng.random() < 0.5),
        width=rng.choice((32, 64)), depth=rng.choice((3, 4)), heads=rng.choice((2, 4)), grid=rng.choice((4, 8, 12)),
        patch=rng.choice((8, 14, 16)), hidden=rng.choice((72, 96)), layers=rng.choice((2, 4)),
        vocab=rng.choice((600, 640)), family=rng.choice(("qwen2", "llama", "qwen3")), merge=merge,
        step=1 if merge == "none" else rng.choice((2, 2, 4)), connector=connector, mid=rng.choice((88, 104)),
        queries=rng.choice((6, 25)), layer=rng.choice((-1, -2)) if tower in ("siglip", "clip") else -1,
        tokens=rng.choice(TOKENS), marks=marks_of(rng), pixels=rng.choice(PIXELS),
        tiles=(1, rng.choice((5, 8))) if tiled else None, colour=rng.choice(tuple(COLOURS)),
        resample=rng.choice(("bicubic", "bilinear", "lanczos")), tied=rng.random() < 0.5,
        tricks=tuple(sorted(rng.sample(TRICKS, rng.choice((0, 1, 2))))),
        names={role: rng.choice(words) for role, words in SPELLINGS.items()}, noun=NOUNS[index % len(NOUNS)],
    )  # fmt: skip


def marks_of(rng: Random) -> dict[str, str | None]:
    word = rng.choice(("view", "scene", "shot", "photo"))
    return dict(
        rng.choice(
            (
                {
                    "start": f"<|begin_{word}|>",
                    "end": f"<|end_{word}|>",
                    "fill": f"<|{word}_fill|>",
                    "ask": f"<{word}>",
                },
                {"start": f"<{word}>", "end": f"</{word}>", "fill": f"<{word}_patch>", "ask": "<image>"},
                {"start": None, "end": None, "fill": f"<|{word}_pad|>", "ask": f"<|{word}_pad|>"},
            )
        )
    )


def ids_of(plan: Second) -> dict[str, int]:
    """Every added token with its id."""
    others = ("<|image_pad|>", "<IMG_CONTEXT>", "<|vision_start|>") if "other tokens" in plan.tricks else ()
    words = ["<s>", "</s>", "<pad>", *others, *(mark for mark in plan.marks.values() if mark)]
    words += ["<|row|>"] if plan.tokens == "rows" else []
    return {word: 500 + number for number, word in enumerate(dict.fromkeys(words))}

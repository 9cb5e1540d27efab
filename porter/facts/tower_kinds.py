"""What kind of vision tower something is: by the names of its parameters, else by the words of a class or a config."""

from __future__ import annotations

import re
from collections.abc import Mapping

from porter.facts.layout_match import match_vision
from porter.facts.layout_names import names_of
from porter.facts.layout_networks import read_forest
from porter.facts.layout_rows import rows_of
from porter.facts.word_lists import words
from porter.hub.snapshot import TensorInfo

CLASS_TOKENS = ("class_embedding", "cls_token", "class_token", "cls_embedding", "cls_embed", "class_embeds")
WITH_CLASS_TOKEN = words("clip intern_vit dinov2")
NO_CLASS_TOKEN = words(
    "siglip siglip2 siglip_navit moonvit qwen2_vl qwen2_5_vl qwen3_vl pixtral sam convnext swin davit glm4v"
)
KIND_BY_WORD = (
    ("siglip2", "siglip2"),
    ("siglip", "siglip"),
    ("clip", "clip"),
    ("intern", "intern_vit"),
    ("radio", "radio"),
    ("moon", "moonvit"),
    ("pixtral", "pixtral"),
    ("aimv2", "aimv2"),
    ("dinov3", "dinov3"),
    ("dino", "dinov2"),
    (r"\beva", "eva"),
    (r"\bsam(?!pl)", "sam"),
    ("convnext", "convnext"),
    (r"\bqwen2 5", "qwen2_5_vl"),
    (r"\bqwen2", "qwen2_vl"),
    (r"\bqwen3", "qwen3_vl"),
)
"""Patterns over words in lower case; `sam` is in `resampler` too."""
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")


def kind_by_word(text: str) -> str | None:
    """The kind that a class name, a model_type or a few words speak of; None where they name none."""
    spelled = " ".join(_WORD.findall(text)).lower()
    joined = "".join(letter for letter in text.lower() if letter.isalnum() or letter == " ")
    return next((kind for word, kind in KIND_BY_WORD if re.search(word, f"{spelled} {joined}")), None)


def kind_by_names(shapes: Mapping[str, tuple[int, ...] | None]) -> str | None:
    """The kind of a tower by its parameters, whatever their outer prefix: the rules that checkpoints go by."""
    # In a checkpoint a tower is a module of the model, never the top of all names.
    tensors = [TensorInfo(f"tower.{name}", "", shape=shape) for name, shape in shapes.items()]
    networks = read_forest(rows_of(tensors)).networks
    roots = {network.root.path for network in networks}
    named = (names_of(network.root.path, network.main.path, network.own_rows(roots)) for network in networks)
    found = (match_vision(names) for names in named)
    return next((item.kind.name for item in found if item is not None), None)


def class_token_of(kind: str | None) -> bool | None:
    """Whether towers of a kind have a class token; None where some do."""
    return True if kind in WITH_CLASS_TOKEN else False if kind in NO_CLASS_TOKEN else None

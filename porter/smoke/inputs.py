"""Prompts and images of the ladder: one tile, several tiles, two images, an odd aspect, and the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from porter.facts.model import ModelFacts
from porter.facts.reading import RepoReading
from porter.facts.synonyms import PILS_OWN, filter_number
from porter.facts.templates import template_placeholder
from porter.facts.tile_tags import NUMBER
from porter.jsontypes import JSON, JSONObject, items

IMAGENET_MEAN: list[JSON] = [0.485, 0.456, 0.406]
IMAGENET_STD: list[JSON] = [0.229, 0.224, 0.225]
ODD = "odd aspect"
"""The prompt whose image the reference may exchange for one that tells more."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What stands for an image in a prompt, `{n}` for its number, and what between it and a question."""

    text: str = "<image>"
    after: str = "\n"


PLAIN_SIGN = Sign()
NO_SIGN = Sign("", "")
"""Of a class that puts an image into the prompt by itself."""


def sign_of(reading: RepoReading) -> Sign:
    """As the repo's own prompts have it: its chat template where there is one for images, else a line of its own."""
    facts = reading.facts
    token = facts.value("image_context_token")
    written = template_placeholder(reading.snapshot, token if isinstance(token, str) else None)
    text = str(facts.value("image_placeholder") or PLAIN_SIGN.text)
    return Sign(text) if written is None else Sign(text, written.after)


def _image(width: float, height: float, seed: int) -> JSONObject:
    return {"width": max(1, round(width)), "height": max(1, round(height)), "seed": seed}


def prompts(tile: int, sign: Sign, own: Path | None = None) -> list[JSONObject]:
    """Each prompt is {name, text, images}; sizes follow the tile so that each shape of tiling is met."""
    first, second = (sign.text.replace(NUMBER, str(number)) for number in (1, 2))
    question = f"{first}{sign.after}Describe the picture."
    made: list[tuple[str, str, list[JSON]]] = [
        ("text", "The quick brown fox", []),
        ("one tile", question, [_image(tile, tile, 1)]),
        ("several tiles", question, [_image(2 * tile, tile, 2)]),
        ("two images", f"A {first} and {second}?", [_image(tile, tile, 3), _image(tile, 2.2 * tile, 4)]),
        (ODD, question, [_image(1.25 * tile, 1.6 * tile, 5)]),
    ]
    if own is not None:
        made.append(("own image", question, [{"file": str(own.resolve())}]))
    return [{"name": name, "text": text, "images": images} for name, text, images in made]


def shown(made: Sequence[JSONObject]) -> tuple[JSONObject, ...]:
    """Prompts as they are recorded: {name, images: [[width, height]]}, null for a file of the user's."""
    return tuple(
        {"name": prompt["name"], "images": [_sides(image) for image in items(prompt["images"])]} for prompt in made
    )


def _sides(image: JSON) -> JSON:
    return [image["width"], image["height"]] if isinstance(image, dict) and "width" in image else None


def tiling(facts: ModelFacts, tile: int) -> JSONObject:
    """How an image becomes tiles, for the rewrite from facts. No mean and std where the model itself normalises."""
    tiled = facts.value("resize_scheme") == "internvl_tiles" or facts.value("max_tiles") is not None
    inside = any(isinstance(op, dict) and op.get("op") == "normalize" for op in items(facts.value("feature_path")))
    mean, std = facts.value("image_mean"), facts.value("image_std")
    silent = mean is None and facts["image_mean"].confidence.value != "absent"
    resample = filter_number(facts.value("resample"))
    return {
        "size": tile,
        "min": facts.value("min_tiles") or 1,
        "max": facts.value("max_tiles") or 1,
        "thumbnail": bool(facts.value("use_thumbnail")),
        "mean": None if inside else (IMAGENET_MEAN if silent else mean),
        "std": None if inside else (IMAGENET_STD if silent else std),
        "rescale": facts.value("rescale") is not False,
        "resample": PILS_OWN if resample is None else resample,
        "scheme": "internvl_tiles" if tiled else "single",
    }

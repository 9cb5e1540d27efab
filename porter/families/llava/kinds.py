"""The bases of LLaVA's shape: one square per image, or tiles of several resolutions packed row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SQUARE = {"CLIP": "clip", "Siglip": "siglip", "ViT": "vit", "Bit": "bit"}
"""Image processors that give one image of one size for each image, and transformers' folders of them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`processors` are stems of the image processors of transformers that make its pixels, and their folders;
    `anyres`: an image is cut by the best of some resolutions, with a learned token behind each row."""

    name: str
    architecture: str
    anyres: bool = False
    processors: Mapping[str, str] = field(default_factory=lambda: SQUARE)


LLAVA = Kind("llava", "LlavaForConditionalGeneration")
LLAVA_NEXT = Kind("llava_next", "LlavaNextForConditionalGeneration", True, {"LlavaNext": "llava_next"})

"""Every family with its repos: at least three each, and one near miss."""

from __future__ import annotations

from tests.twins.catalog import (
    downsampled,
    experts,
    gemma,
    glm4v,
    idefics3,
    llava,
    llava_onevision,
    mistral3,
    qwen2_5_vl,
    qwen2_vl,
    qwen3_vl,
)
from tests.twins.catalog.natives import NATIVES
from tests.twins.shapes import Twin

MODULES = (
    qwen2_vl,
    idefics3,
    llava,
    llava_onevision,
    qwen2_5_vl,
    gemma,
    mistral3,
    qwen3_vl,
    glm4v,
    downsampled,
    experts,
)
TWINS: dict[str, Twin] = {twin.name: twin for module in MODULES for twin in module.TWINS}

__all__ = ["NATIVES", "TWINS"]

"""All families, one per shape that a vLLM tree already has."""

from __future__ import annotations

from collections.abc import Mapping

from porter.families.base import Family
from porter.families.internvl import InternVL
from porter.families.llava import LLAVA, LLAVA_NEXT, Llava
from porter.families.twin import TWINS

FAMILIES: Mapping[str, Family] = {
    "internvl": InternVL(),
    "llava": Llava(LLAVA),
    "llava_next": Llava(LLAVA_NEXT),
    **TWINS,
}

"""The LLaVA shape: one tower, a short connector, one run of placeholders per image, any language model of the tree."""

from __future__ import annotations

from porter.families.llava.family import Llava
from porter.families.llava.kinds import LLAVA, LLAVA_NEXT

__all__ = ["LLAVA", "LLAVA_NEXT", "Llava"]

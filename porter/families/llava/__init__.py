"""The LLaVA shape: one tower, a short connector, one run of placeholders per image, any language model of the tree."""

from __future__ import annotations

from porter.families.llava.family import Llava

__all__ = ["Llava"]

"""The InternVL shape: tiles of an image, a ViT, pixel shuffle, an MLP, and any language model that the tree has."""

from __future__ import annotations

from porter.families.internvl.family import InternVL

__all__ = ["InternVL"]

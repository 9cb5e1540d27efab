"""Copies and subclasses of transformers' own models, under other names: the tree has a class for the original."""

from __future__ import annotations

from collections.abc import Mapping

from porter.families.twin.family import Twin
from porter.families.twin.original import ORIGINALS

TWINS: Mapping[str, Twin] = {name: Twin(name, architecture) for name, architecture in ORIGINALS.items()}

__all__ = ["ORIGINALS", "TWINS", "Twin"]

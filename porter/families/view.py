"""One repo before one tree: what the judges share, each read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from porter.facts.reading import bounded
from porter.families.base import ReadingLike
from porter.families.library import Library, library_beside
from porter.source.layers import parameters
from porter.source.values import Instance, Layer
from porter.vllm_tree.registry import Architecture, architectures
from porter.vllm_tree.tree import Tree

LEVELS = 4


@dataclass(frozen=True)
class View:
    """`reading` against `tree`, with the transformers beside it. The repo's code is followed within its budget."""

    reading: ReadingLike
    tree: Tree
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def library(self) -> Library:
        return library_beside(self.tree.package)

    @cached_property
    def architecture(self) -> str:
        value = self.reading.facts.value("architecture")
        return value if isinstance(value, str) else ""

    @cached_property
    def entry(self) -> Architecture | None:
        """The registry's entry for the repo's own architecture, a removed one included."""
        return architectures(self.tree).get(self.architecture)

    @cached_property
    def modules(self) -> tuple[tuple[str, Instance | Layer], ...]:
        """Every module that the repo's code builds, by attribute path; none without code."""
        code = self.reading.configs.code
        return tuple(bounded(code, lambda: list(code.modules())) or ())

    @cached_property
    def built_names(self) -> tuple[str, ...]:
        """Parameters that the repo's code would store, down to a few levels."""
        code = self.reading.configs.code
        if code.model is None:
            return ()
        return tuple(bounded(code, lambda: list(parameters(code.run, code.model, depth=LEVELS))) or ())

"""Small InternVL-shaped repos, each different, with the facts that are true of them.

`variants()` lists them; `Variant.build(folder)` writes one without weights, `tests.variants.weights` adds weights.
From the shell: `python -m tests.variants OUTDIR [NAME ...] [--weights]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.variants.catalog import DESCENDANTS, RECIPES
from tests.variants.recipe import Recipe
from tests.variants.render import write_repo
from tests.variants.truth import truth_of


@dataclass(frozen=True, slots=True)
class Variant:
    """One generated repo. `axes` says in words what is different; `truth` maps fact names to expected values."""

    name: str
    axes: tuple[str, ...]
    recipe: Recipe
    truth: Mapping[str, object]

    @property
    def seed(self) -> int:
        return self.recipe.seed

    def build(self, folder: Path) -> Path:
        """Writes the repo, without weights, into `folder`; returns it."""
        return write_repo(self.recipe, folder)


def variants() -> list[Variant]:
    """Every variant, in a fixed order."""
    return [Variant(recipe.name, recipe.axes, recipe, truth_of(recipe)) for recipe in RECIPES]


def descendants() -> list[Variant]:
    """Shapes that vLLM has ports of, in a fixed order; not among `variants()`."""
    return [Variant(recipe.name, recipe.axes, recipe, truth_of(recipe)) for recipe in DESCENDANTS]


def variant(name: str) -> Variant:
    """The variant of that name; KeyError if there is none."""
    return {one.name: one for one in (*variants(), *descendants())}[name]

"""The variants: each moves along some of the axes on which InternVL-shaped repos differ."""

from __future__ import annotations

from tests.variants.catalog import chat_models, descendants, native_towers, nested_models

RECIPES = (*chat_models.RECIPES, *nested_models.RECIPES, *native_towers.RECIPES)
DESCENDANTS = descendants.RECIPES

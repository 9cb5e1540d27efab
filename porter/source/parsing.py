"""Python text as a tree, kept: the same file is read for its imports and then for what it says."""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache

KEPT = 64


@lru_cache(maxsize=KEPT)
def parse(text: str) -> ast.Module:
    """Raises SyntaxError, ValueError, RecursionError or MemoryError. The trees that porter reads are never changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in foreign code is not this user's concern
        return ast.parse(text.removeprefix("\ufeff"))

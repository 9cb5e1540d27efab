"""The identifiers of a tree's files: a cheap look before anything is parsed."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from porter.vllm_tree.tree import Tree

_SPACES = bytes(byte if byte < 128 and (chr(byte).isalnum() or byte == ord("_")) else ord(" ") for byte in range(256))


def words(tree: Tree, file: str) -> frozenset[str]:
    """Every word of a file of the package, comments and strings included; empty when there is no such file."""
    return _words(tree.package / file)


@lru_cache(maxsize=512)
def _words(path: Path) -> frozenset[str]:
    try:
        return identifiers(path.read_bytes())
    except OSError:
        return frozenset()


def identifiers(text: str | bytes) -> frozenset[str]:
    """Every word of a text."""
    raw = text.encode("utf-8", errors="replace") if isinstance(text, str) else text
    return frozenset(word.decode("ascii", errors="replace") for word in set(raw.translate(_SPACES).split()))

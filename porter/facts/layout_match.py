"""Which kind of network some module names are, and which of them the kind does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from porter.facts.layout_kinds import LANGUAGE, OTHERS, VISION, Kind, Spec, spec_of
from porter.facts.layout_names import Names
from porter.facts.layout_roles import is_intern_vit
from porter.facts.layout_rows import Path

MAX_SUFFIX = 5
INTERN_VIT = next(kind for kind in VISION if kind.name == "intern_vit")


@dataclass(frozen=True, slots=True)
class Found:
    """A kind that fits, and the module names that it does not know, as dotted paths."""

    kind: Kind
    layer_extra: tuple[str, ...]
    beside_extra: tuple[Path, ...]


def match_vision(names: Names) -> Found | None:
    return _best(names, VISION) or (Found(INTERN_VIT, (), ()) if is_intern_vit(names) else None)


def match_language(names: Names) -> Found | None:
    return _best(Names(names.layer, (), names.biases), LANGUAGE)


def match_other(names: Names) -> Found | None:
    return _best(names, OTHERS)


def _best(names: Names, kinds: Sequence[Kind]) -> Found | None:
    """The kind that leaves the fewest names unexplained, of those the one that asks for the most."""
    suffixes = {path: _suffixes(path) for path in names.beside}
    beside = frozenset().union(*suffixes.values()) if suffixes else frozenset()
    found = [
        _found(kind, names, suffixes)
        for kind in kinds
        if _fits(spec_of(kind.layer), names.layer | names.biases) and _fits(spec_of(kind.beside), beside)
    ]
    known = [item for item in found if len(item.layer_extra) <= max(2, len(names.layer) // 4)]
    return min(known, key=_cost, default=None)


def _cost(found: Found) -> tuple[int, int]:
    wanted = len(spec_of(found.kind.layer).needed) + len(spec_of(found.kind.beside).needed)
    return len(found.layer_extra) + len(found.beside_extra), -wanted


def _fits(spec: Spec, present: frozenset[str]) -> bool:
    return all(_has(word, present) for word in spec.needed) and not spec.banned & present


def _has(word: str, present: frozenset[str]) -> bool:
    return word in present or ("|" in word and any(option in present for option in word.split("|")))


def _found(kind: Kind, names: Names, suffixes: dict[Path, frozenset[str]]) -> Found:
    layer, beside = _known(kind.layer), _known(kind.beside)
    unknown = tuple(path for path, words in suffixes.items() if not words & beside)
    return Found(kind, tuple(sorted(names.layer - layer)), unknown)


@cache
def _known(text: str) -> frozenset[str]:
    spec = spec_of(text)
    return frozenset(option for word in spec.needed | spec.optional for option in word.split("|"))


def _suffixes(path: Path) -> frozenset[str]:
    """Every end of a path as a dotted name: `embeddings.patch_embedding`, `patch_embedding`."""
    return frozenset(".".join(path[start:]) for start in range(max(0, len(path) - MAX_SUFFIX), len(path)))

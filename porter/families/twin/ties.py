"""Weights that a model class shares between two places: which it says are one."""

from __future__ import annotations

import ast

from porter.families.base import ReadingLike
from porter.families.internvl.judgement import Notes, blocked
from porter.families.twin.original import Original
from porter.families.twin.theirs import Theirs
from porter.source.alike_classes import lineage, transformers_bases, values_of
from porter.source.codebase import CodeBase, Definition

TIED, TIES = "_tied_weights_keys", "tie_word_embeddings"


def judge_ties(reading: ReadingLike, found: Original, theirs: Theirs) -> Notes:
    """Blocked where a config asks for tied embeddings, and one of the two classes has nothing to tie."""
    if theirs.model is None or not _asked(reading):
        return Notes()
    native = _ties(found.side.code, found.model)
    mine = _ties(theirs.code, theirs.model)
    if mine is None and found.model.name in transformers_bases(theirs.code, theirs.model):
        mine = native
    if bool(mine) == bool(native):
        return Notes()
    which = "ties no weights, as the config asks and" if native else "ties weights, other than"
    return blocked("weights", f"{theirs.model.name} {which} {found.model.name} does")


def _asked(reading: ReadingLike) -> bool:
    return reading.facts.value("tied_embeddings") is not False or reading.snapshot.config().get(TIES) is True


def _ties(code: CodeBase, cls: Definition) -> bool | None:
    """Whether a class names weights that are one; None where it says nothing."""
    said = next((values_of(item)[TIED] for item in lineage(code, cls) if TIED in values_of(item)), None)
    if said is None:
        return None
    if isinstance(said, ast.Constant):
        return bool(said.value)
    return bool(said.keys if isinstance(said, ast.Dict) else getattr(said, "elts", (said,)))

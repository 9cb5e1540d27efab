"""What a repo's model class inherits from: a whole model of transformers is its family's business, nobody else's."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.facts.code import class_of, model_entry
from porter.families.base import Blocker, ReadingLike
from porter.families.internvl.judgement import Notes, blocked
from porter.families.library import library_beside
from porter.families.twin.judge import overridden
from porter.families.twin.original import original
from porter.source.codebase import External
from porter.vllm_tree.tree import Tree

CONNECTORS = ("multi_modal_projector",)
"""What a subclass may put in anew: the facts read the connector that the code builds in the end."""


def judge_bases(reading: ReadingLike, tree: Tree, own: tuple[str, ...] = ()) -> Notes:
    """Blocked where the model class inherits from another model of images and text than the family's `own`, or does
    something otherwise than that one."""
    library = library_beside(tree.package)
    for name in transformers_bases(reading):
        if name not in own and library.sees_images(name):
            return blocked("model class", f"it inherits from transformers' {name}, another model than this base's")
        found = original(tree.package, name) if name in own else None
        changes = overridden(reading, found, CONNECTORS) if found is not None else ()
        if changes:
            return Notes(blockers=tuple(Blocker("model class", why) for why in changes))
    return Notes()


def transformers_bases(reading: ReadingLike) -> Iterator[str]:
    """The classes of transformers that the repo's model class names as its bases."""
    entry = model_entry(reading.snapshot)
    run = reading.configs.code.run
    cls = class_of(run, entry) if entry is not None else None
    for base in cls.node.bases if cls is not None else ():
        found = run.code.meaning(cls.file, base.id) if cls is not None and isinstance(base, ast.Name) else None
        if isinstance(found, External) and found.dotted.startswith("transformers."):
            yield found.name

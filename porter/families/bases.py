"""What a repo's model class inherits from: a whole model of transformers is its family's business, nobody else's."""

from __future__ import annotations

from porter.facts.code import model_entry
from porter.families.base import Blocker, ReadingLike
from porter.families.internvl.judgement import Notes, blocked
from porter.families.library import library_beside
from porter.families.twin.judge import overridden
from porter.families.twin.original import original
from porter.families.twin.theirs import Theirs, definition
from porter.families.twin.ties import judge_ties
from porter.source.alike_classes import transformers_bases
from porter.vllm_tree.tree import Tree

CONNECTORS = ("multi_modal_projector",)
"""What a subclass may put in anew: the facts read the connector that the code builds in the end."""


def judge_bases(reading: ReadingLike, tree: Tree, own: tuple[str, ...] = ()) -> Notes:
    """Blocked where the model class inherits from another model of images and text than the family's `own`, or does
    something otherwise than that one."""
    library = library_beside(tree.package)
    model = definition(reading, model_entry(reading.snapshot))
    for name in transformers_bases(reading.configs.code.run.code, model) if model is not None else ():
        if name not in own and library.sees_images(name):
            return blocked("model class", f"it inherits from transformers' {name}, another model than this base's")
        found = original(tree.package, name) if name in own else None
        changes = overridden(reading, found, CONNECTORS) if found is not None else ()
        if changes:
            return Notes(blockers=tuple(Blocker("model class", why) for why in changes))
        if found is not None:
            return judge_ties(reading, found, Theirs(reading.configs.code.run.code, model, None))
    return Notes()

"""The HF processor: transformers' own, asked for by the repo's files, or a copy of it under another name."""

from __future__ import annotations

from porter.facts.code import class_of
from porter.facts.images import PROCESSOR_KEYS
from porter.families.base import ReadingLike
from porter.families.internvl.judgement import Notes, blocked, differs
from porter.families.twin.anchors import Trio, TwinAnchors
from porter.families.twin.original import Original
from porter.families.twin.other_processor import Processing, another
from porter.families.twin.own_processor import unlike
from porter.hub.snapshot import AutoMapEntry
from porter.source.alike import Side
from porter.source.codebase import Definition
from porter.vllm_tree.tree import Tree

FILES = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")


def judge_processing(
    reading: ReadingLike, tree: Tree, anchors: TwinAnchors, found: Original, native: Original | None
) -> tuple[Processing | None, Notes]:
    """The tree's trio that takes the processor which the repo's own files lead to; blocked without one."""
    own = [entry for entry in reading.snapshot.auto_map if entry.key in PROCESSOR_KEYS]
    if own:
        copied, notes = _own(reading, anchors, found, own)
        return Processing(copied) if copied is not None else None, notes
    named = [reading.snapshot.json.get(file, {}).get("processor_class") for file in FILES]
    usual = native.processor if native is not None else ""
    stated = next((name for name in named if isinstance(name, str)), usual)
    taken = {trio.hf_processor or found.processor: trio for trio in reversed(anchors.trios)}
    trio = taken.get(stated)
    if trio == anchors.trios[0]:
        return Processing(trio), Notes()
    if trio is not None:
        return Processing(trio), differs("processor", anchors.trios[0].hf_processor, stated, trio.info)
    shown = f"the repo's files name {stated}" if stated else "no file of the repo names a processor"
    other, why = another(tree, anchors, found, stated) if stated and native is not None else (None, "")
    if other is None:
        more = f": {why}" if why else ""
        return None, blocked("processor", f"{shown}, {anchors.model_class} takes {' or '.join(reversed(taken))}{more}")
    return other, differs("processor", other.trio.hf_processor or found.processor, stated, other.trio.info)


def _own(
    reading: ReadingLike, anchors: TwinAnchors, found: Original, own: list[AutoMapEntry]
) -> tuple[Trio | None, Notes]:
    """A copy of the original's processor is the original's: the tree makes one of that from the same files."""
    entry, run = own[0], reading.configs.code.run
    cls = class_of(run, entry)
    native = found.side.code.meaning(found.processing, found.processor) if found.processing else None
    trio = next((item for item in anchors.trios if item.hf_processor == found.processor), None)
    whole = {(item.key, item.class_name) for item in own} == {("AutoProcessor", entry.class_name)}
    if cls is None or trio is None or not whole or not isinstance(native, Definition):
        return None, blocked("processor", f"the repo brings its own {entry.key} ({entry.file})")
    theirs = Definition(cls.file, cls.node.name, cls.node)
    stated = reading.snapshot.json.get("processor_config.json", {})
    others = list(unlike(found.side, Side.of(run.code), native, theirs, stated))
    if others:
        return None, blocked("processor", f"{entry.file}: {cls.node.name} is not {found.processor}: {others[0]}")
    return trio, differs("processor", found.processor, cls.node.name, f"{found.processor}, of which it is a copy")

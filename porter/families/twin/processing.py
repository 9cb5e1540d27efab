"""The HF processor: transformers' own, asked for by the repo's files, or a copy of it under another name."""

from __future__ import annotations

from porter.facts.images import PROCESSOR_KEYS
from porter.families.base import ReadingLike
from porter.families.internvl.judgement import Notes, blocked, differs
from porter.families.twin.anchors import Trio, TwinAnchors
from porter.families.twin.original import Original

FILES = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")


def judge_processing(reading: ReadingLike, anchors: TwinAnchors, found: Original) -> tuple[Trio | None, Notes]:
    """The tree's trio that takes the processor which the repo's own files lead to; blocked without one."""
    own = [entry for entry in reading.snapshot.auto_map if entry.key in PROCESSOR_KEYS]
    if own:
        return None, blocked("processor", f"the repo brings its own {own[0].key} ({own[0].file})")
    named = [reading.snapshot.json.get(file, {}).get("processor_class") for file in FILES]
    stated = next((name for name in named if isinstance(name, str)), None)
    taken = {trio.hf_processor or found.processor: trio for trio in reversed(anchors.trios)}
    trio = taken.get(stated or "")
    if trio is None:
        shown = f"the repo's files name {stated}" if stated else "no file of the repo names a processor"
        return None, blocked("processor", f"{shown}, {anchors.model_class} takes {' or '.join(reversed(taken))}")
    if trio == anchors.trios[0]:
        return trio, Notes()
    return trio, differs("processor", anchors.trios[0].hf_processor, stated, trio.info)

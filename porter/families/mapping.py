"""The fact `config_map` for any class of the tree: where this repo keeps each attribute that the class reads."""

from __future__ import annotations

from collections.abc import Iterable

from porter.facts.model import Confidence, Evidence, Fact
from porter.families.base import Match, ReadingLike, Scope
from porter.families.internvl.sources import at
from porter.families.library import Library
from porter.families.view import View
from porter.jsontypes import JSON
from porter.vllm_tree.classes import find_class, registered_processor
from porter.vllm_tree.config_reads import ConfigRead, config_attributes_read
from porter.vllm_tree.registry import Architecture, architectures
from porter.vllm_tree.tree import Tree

SUB_CONFIGS = {"text_config": "text_config_key", "vision_config": "vision_config_key"}
SCOPES: dict[str, Scope] = {"model": "model", "vision": "vision", "text": "text"}
MISSING = "MISSING"


def class_reads(tree: Tree, entry: Architecture) -> tuple[ConfigRead, ...]:
    """What the registered class reads off its config, and what its processing info and processor read."""
    key = f"class_reads {entry.module}:{entry.class_name}"
    if key not in tree.memo:
        tree.memo[key] = _class_reads(tree, entry)
    found: tuple[ConfigRead, ...] = tree.memo[key]
    return found


def _class_reads(tree: Tree, entry: Architecture) -> tuple[ConfigRead, ...]:
    file = entry.file(tree)
    cls = find_class(tree, file, entry.class_name) if file is not None else None
    if cls is None:
        return ()
    trio = registered_processor(cls)
    names = [(cls.file, cls.name)]
    names += [(trio.file, name) for name in (trio.info, trio.processor) if name] if trio is not None else []
    found: dict[str, ConfigRead] = {}
    for home, name in names:
        for read in config_attributes_read(tree, home, name):
            known = found.get(read.path)
            if known is None or (read.required and not known.required):
                found[read.path] = read
    return tuple(found.values())


def map_of(view: View, match: Match | None) -> Fact | None:
    """The map for the registered class that a match names; None when it names none."""
    entries = architectures(view.tree).values()
    named = (match.module, match.model_class) if match is not None else None
    entry = next((item for item in entries if (item.module, item.class_name) == named), None)
    return config_map(view.reading, class_reads(view.tree, entry), view.library) if entry is not None else None


def config_map(reading: ReadingLike, reads: Iterable[ConfigRead], library: Library) -> Fact:
    """Attribute → the path in config.json (or `FILE: where` for another file), null when the repo states it nowhere.

    The evidence has every read with its value, the default that transformers' config class has for it, or MISSING.
    """
    model_type = str(reading.facts.value("model_type"))
    paths: dict[str, JSON] = {}
    shown: list[Evidence] = []
    missing: list[str] = []
    for read in reads:
        path, value = located(reading, read)
        paths[read.path] = path
        stated = f"{path} = {str(value)[:60]}" if path is not None else f"absent, {read.default} by default"
        if path is None and read.required:
            default = library.default(model_type, read.path)
            stated = MISSING if default is None else f"{MISSING}, {default[0]} by {default[1]}:{default[2]}"
            missing += [read.path] if default is None else []
        shown.append(Evidence(read.file, f"line {read.line}", f"config.{read.path} <- {stated}"))
    note = f"{MISSING}: {', '.join(missing)}" if missing else ""
    return Fact("config_map", paths, Confidence.CERTAIN, tuple(shown), about="tree", note=note)


def located(reading: ReadingLike, read: ConfigRead) -> tuple[str | None, JSON]:
    """(path, value) of one attribute; (None, None) when the repo states it nowhere."""
    if read.path in SUB_CONFIGS:
        key = reading.facts.value(SUB_CONFIGS[read.path])
        return (key, None) if isinstance(key, str) else (None, None)
    config = reading.snapshot.config()
    stated = at(config, read.path)
    scope = SCOPES.get(read.scope)
    null = stated is None and _has(config, read.path)
    if scope is None or "." in read.attribute or isinstance(stated, dict) or null:
        return (read.path, stated) if stated is not None or null else (None, None)
    fact = reading.resolve(scope, read.attribute)
    found = fact.value if isinstance(fact.value, dict) else {}
    path = found.get("path")
    if isinstance(path, str):
        return path, found.get("value")
    if found.get("value") is None or not fact.evidence:
        return None, None
    return f"{fact.evidence[0].file}: {fact.evidence[0].where}", found.get("value")


def _has(config: JSON, path: str) -> bool:
    """Whether the path is there, its value null or not."""
    head, _, name = path.rpartition(".")
    inner = at(config, head) if head else config
    return isinstance(inner, dict) and name in inner


def missing_reads(reading: ReadingLike, reads: Iterable[ConfigRead], library: Library) -> tuple[ConfigRead, ...]:
    """Attributes that the class reads without a default, and neither the repo nor transformers' config class states."""
    model_type = str(reading.facts.value("model_type"))
    absent = (read for read in reads if read.required and located(reading, read)[0] is None)
    return tuple(read for read in absent if library.default(model_type, read.path) is None)

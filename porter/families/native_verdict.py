"""The verdict on a repo whose architecture the tree registers: supported only where the parts match too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from porter.errors import PorterError
from porter.facts.model import Confidence, Evidence
from porter.families.base import Blocker, Difference, Match, Verdict
from porter.families.held import own_class
from porter.families.internvl.anchors import read_anchors
from porter.families.internvl.family import match_base
from porter.families.mapping import class_reads, missing_reads
from porter.families.native import Placement, place
from porter.families.quantized import Quantized, quantized
from porter.families.settings import Settings, compare_settings
from porter.families.view import View
from porter.vllm_tree.classes import find_class, registered_processor
from porter.vllm_tree.config_reads import ConfigRead
from porter.vllm_tree.registry import Architecture, config_registry

LAYOUT_UNSEEN = "weights layout not seen"
HARMLESS = frozenset({"config"})
UNREAD = frozenset({"feature path", "connector", "vision tower", "config", "vision config"})
"""What the family could not follow in the repo's code: nothing against the registered class."""
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Native:
    """A repo against the class registered for it. `own` is the finer comparison, where the class has its hooks."""

    entry: Architecture
    placement: Placement
    settings: Settings
    reads: tuple[ConfigRead, ...]
    missing: tuple[str, ...]
    quantized: Quantized | None
    own: Match | None
    match: Match
    mistyped: tuple[str, ...] = ()

    def differences(self) -> tuple[str, ...]:
        """Lines about parts that the class has in another way than the repo."""
        found = [*self.placement.differences, *self.settings.differences]
        lines = (f"{item.base}; {item.repo}" for item in found)
        return (*self.mistyped, *lines, *_part_differences(self.own))


def compare(view: View, entry: Architecture) -> Native:
    file = entry.file(view.tree)
    held = own_class(view.tree, file, entry.class_name) if file is not None else None
    reads = class_reads(view.tree, entry)
    placement = place(view, entry)
    settings = compare_settings(view.reading, view.tree, held, reads, view.library) if held is not None else Settings()
    own = _own_match(view, entry)
    match = own or registered_match(view, entry, placement.explained, placement.differences)
    missing = _truly_missing(view, reads)
    packed = quantized(view.reading, view.tree)
    return Native(entry, placement, settings, reads, missing, packed, own, match, tuple(_mistyped(view)))


def _mistyped(view: View) -> Iterator[str]:
    """transformers makes the config by its model_type: that of another model is not the one that the class takes."""
    types, stated = view.library.model_types(view.architecture), str(view.reading.facts.value("model_type"))
    own = any(item.key == "AutoConfig" for item in view.reading.snapshot.auto_map)
    known = stated in view.library.configs and stated not in config_registry(view.tree).classes
    if types and known and not own and stated not in types:
        yield f"transformers has {view.architecture} for model_type {' or '.join(types)}, config.json says {stated}"


def registered_match(
    view: View,
    entry: Architecture,
    score: float,
    differences: tuple[Difference, ...] = (),
    blockers: tuple[Blocker, ...] = (),
) -> Match:
    """A registered class as a match, with its processor."""
    file = entry.file(view.tree)
    cls = find_class(view.tree, file, entry.class_name) if file is not None else None
    trio = registered_processor(cls) if cls is not None else None
    return Match(
        family=entry.name,
        module=entry.module,
        model_class=entry.class_name,
        processor_class=trio.processor if trio is not None else "",
        score=score,
        differences=differences,
        blockers=blockers,
        evidence=(Evidence(cls.file, f"line {cls.line}", cls.name),) if cls is not None else (),
    )


def _own_match(view: View, entry: Architecture) -> Match | None:
    """The finer comparison with the registered class, where that has the hooks by which porter compares parts."""
    file = entry.file(view.tree)
    if file is None:
        return None
    try:
        return match_base(view.reading, view.tree, read_anchors(view.tree, file, entry.class_name), entry.name)
    except PorterError:
        return None


def _part_differences(match: Match | None) -> list[str]:
    if match is None:
        return []
    found = [
        f"{item.what}: this vLLM has {item.base}, the repo {item.repo}"
        for item in match.differences
        if item.what not in HARMLESS
    ]
    return [*found, *(f"{item.what}: {item.why}" for item in match.blockers if item.what not in UNREAD)]


def _truly_missing(view: View, reads: tuple[ConfigRead, ...]) -> tuple[str, ...]:
    """Required attributes that neither the repo nor a config class of the tree or of transformers could give."""
    missing = missing_reads(view.reading, reads, view.library)
    if not missing:
        return ()
    model_type = str(view.reading.facts.value("model_type"))
    if model_type in config_registry(view.tree).classes:
        return ()
    path = view.library.file(model_type, "configuration")
    text = view.library.code.texts[path] if path is not None else ""
    return tuple(read.path for read in missing if read.attribute not in text)


def native_reasons(native: Native, view: View) -> Iterator[str]:
    """What a reader should know although the parts match."""
    if native.quantized is not None:
        yield native.quantized.line()
    if not native.placement.names.counts or view.reading.snapshot.tensors.source == "none":
        yield LAYOUT_UNSEEN
    elif not native.placement.readable:
        yield f"{native.entry.class_name} renames weights in its own code: names were not compared"
    elif native.own is None:
        total = native.placement.names.total
        yield f"all {total} tensor names have a place in {native.entry.class_name}; shapes were not compared"
    if native.settings.ignored:
        keys = ", ".join(native.settings.ignored[:SHOWN])
        yield f"config.json sets {keys}, which {native.entry.class_name} never reads"
    if native.missing:
        keys = ", ".join(native.missing[:SHOWN])
        yield f"{native.entry.class_name} reads {keys}, which the repo states nowhere: its config class must have them"
    yield from collisions(view)


def needs_trust(view: View) -> bool:
    """Whether serving runs the repo's code: its config class, where neither vLLM nor transformers has one for the
    model_type, or its tokenizer. A processor is not counted: most classes of a tree bring their own."""
    model_type = view.reading.facts.value("model_type")
    known = isinstance(model_type, str) and (
        model_type in config_registry(view.tree).classes or model_type in view.library.configs
    )
    keys = {item.key for item in view.reading.snapshot.auto_map}
    return ("AutoConfig" in keys and not known) or "AutoTokenizer" in keys


def collisions(view: View) -> Iterator[str]:
    """A model_type for which vLLM puts a config class of its own in place of the repo's."""
    model_type = view.reading.facts.value("model_type")
    registered = config_registry(view.tree).classes.get(model_type) if isinstance(model_type, str) else None
    theirs = next((item for item in view.reading.snapshot.auto_map if item.key == "AutoConfig"), None)
    if registered is not None and (theirs is None or theirs.class_name != registered):
        instead = f" in place of the repo's {theirs.class_name}" if theirs is not None else ""
        yield f"model_type {model_type} is vLLM's own: it reads config.json as {registered}{instead}"


def supported(native: Native, view: View) -> Verdict:
    """The parts match. What could not be compared lowers the confidence, and is named."""
    entry = native.entry
    notes = tuple(native_reasons(native, view))
    plain = native.own is not None and not notes
    sure = Confidence.CERTAIN if plain else Confidence.LIKELY
    reasons = (f"{entry.name} is in this vLLM ({entry.module}:{entry.class_name})", *notes)
    return Verdict("supported", sure, reasons, match=native.match)

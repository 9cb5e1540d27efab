"""Judging a repo against an original: is its code the same under other names, and where does it keep the values."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from porter.facts.vocabulary import read_vocabulary
from porter.families.base import Blocker, Difference, ReadingLike
from porter.families.internvl.judgement import Notes, blocked, differs
from porter.families.twin.activations import settings
from porter.families.twin.anchors import TwinAnchors
from porter.families.twin.configs import PartMap, model_type_of, part_maps, sub_configs
from porter.families.twin.connectors import OwnModule, candidates, own_modules
from porter.families.twin.lookups import judge_lookups
from porter.families.twin.merges import same_merge
from porter.families.twin.naming import Naming
from porter.families.twin.norms import copy_of_norm
from porter.families.twin.original import Original
from porter.families.twin.other_processor import Processing
from porter.families.twin.positions import HOOK, counted
from porter.families.twin.processing import judge_processing
from porter.families.twin.registered import built, part_of, registered, unmet
from porter.families.twin.theirs import Theirs, definition, entries, theirs_of
from porter.families.twin.ties import judge_ties
from porter.families.twin.unheeded import unheeded
from porter.families.twin.weights import Modules, swapped
from porter.source.alike import Alike, Side, Unlike
from porter.source.alike_classes import start
from porter.source.codebase import Definition
from porter.source.symbols import Unread
from porter.vllm_tree.classes import find_class
from porter.vllm_tree.tree import Tree

SHOWN = 3
VIDEO_IDS = ("video_token_id", "video_token_index")
TOKEN = re.compile(r"<\|[^|>]*\|>|<[^>]*>|\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Judgement:
    """All parts of a port, before names are given. `alike` is the share of the original's classes that were met
    without a difference."""

    anchors: TwinAnchors
    processing: Processing | None = None
    native: Original | None = None
    """transformers' own model, where that serves the repo."""
    parts: tuple[PartMap, ...] = ()
    placeholder: str = ""
    video: str = ""
    """What prompts say for one video."""
    unread: frozenset[str] = frozenset()
    """Buffers that no code of the repo reads."""
    alike: float = 0.0
    places: Mapping[str, str] = field(default_factory=dict)
    """Stored tensor to the name under which the tree's class takes it."""
    unsure: tuple[str, ...] = ()
    counted: bool = False
    """Positions count the tokens one by one."""
    settings: tuple[tuple[str, str], ...] = ()
    """(attribute of the port, code) of modules that are other ones here."""
    modules: tuple[OwnModule, ...] = ()


def judge(reading: ReadingLike, tree: Tree, anchors: TwinAnchors, found: Original) -> tuple[Judgement, Notes]:
    """The walk over both models, then configs, tokens and processor."""
    theirs = theirs_of(reading, tree.package)
    if theirs.model is None:
        return Judgement(anchors), blocked("code", "the repo brings no model class that could be read")
    compared = _compared(reading, tree, anchors, Roots(found, theirs))
    walk, parts = compared.walk, compared.parts
    notes = Notes((*_renamed(walk), *compared.changed), compared.blockers)
    for part in parts:
        notes = notes.plus(_part_notes(part, reading))
    placeholder, more = _placeholder(reading, anchors)
    processing, some = judge_processing(reading, tree, anchors, found, theirs.native)
    notes = notes.plus(more).plus(some).plus(_of_tree(reading, tree, anchors, Roots(found, theirs), compared))
    wrong = len({item.cls for item in walk.unlike})
    alike = 1 - wrong / max(1, len(walk.classes))
    lost = frozenset(unread(walk))
    video = respelled(anchors.video, (anchors.placeholder, placeholder), reading, parts[0])
    goes = places(reading, walk, found, anchors, lost)
    confused = swapped(walk) if not reading.snapshot.tensors.tensors else None
    notes = notes.plus(blocked("weights", confused)) if confused else notes
    judged = Judgement(
        anchors=anchors, processing=processing, native=theirs.native, parts=parts, placeholder=placeholder,
        video=video, unread=lost, alike=alike, places=goes, settings=compared.settings, modules=compared.modules,
        unsure=tuple(_unsure(processing, compared)), counted=compared.counted,
    )  # fmt: skip
    return judged, notes


def _of_tree(reading: ReadingLike, tree: Tree, anchors: TwinAnchors, roots: Roots, compared: Compared) -> Notes:
    """What the tree's class, and what stands around it, has fixed or ties otherwise than the repo."""
    found, walk, base = roots.found, compared.walk, (anchors.relpath, anchors.model_class)
    notes = Notes((), tuple(unheeded(reading, walk, found, compared.parts, tree, base)))
    notes = notes.plus(judge_ties(reading, found, roots.theirs))
    notes = notes.plus(judge_lookups(reading, tree, anchors, found, Modules(walk), compared.parts))
    if anchors.adjusted:
        notes = notes.plus(blocked("config", f"vLLM changes its own settings for the name {anchors.model_class} alone"))
    return notes


def _unsure(processing: Processing | None, compared: Compared) -> Iterator[str]:
    if processing is not None and processing.processor:
        asked = processing.trio.hf_processor or "its own"
        yield f"{processing.processor} has what is read of {asked}; whether it says the same, the proof tells"
    yield from (f"{item.cls}.{item.function} gave the same for drawn inputs by other steps" for item in compared.merges)
    if compared.counted:
        yield "its positions counted the tokens of drawn prompts one by one"


@dataclass(frozen=True, slots=True)
class Roots:
    """Where a walk starts: the original, and the repo's model and config classes."""

    found: Original
    theirs: Theirs


@dataclass(frozen=True, slots=True)
class Compared:
    """The walk that the port follows, and what answers its differences."""

    walk: Alike
    parts: tuple[PartMap, ...]
    settings: tuple[tuple[str, str], ...] = ()
    modules: tuple[OwnModule, ...] = ()
    merges: tuple[Unlike, ...] = ()
    counted: bool = False
    changed: tuple[Difference, ...] = ()
    blockers: tuple[Blocker, ...] = ()


def _compared(reading: ReadingLike, tree: Tree, anchors: TwinAnchors, roots: Roots) -> Compared:
    """Both codes side by side; where they differ in a connector alone, once more with the connector left apart."""
    walk = walked(reading, roots.found, roots.theirs)
    answered = _answers(walk, roots.found, tree, anchors)
    merges = tuple(item for item in walk.unlike if item not in answered and same_merge(walk, item))
    counts = _counts(walk, tree, anchors)
    left = [item for item in walk.unlike if item not in answered and item not in (*merges, *counts)]
    apart, why = _apart(reading, tree, anchors, roots, (walk, left)) if left else (None, "")
    if apart is not None:
        return apart
    changed = tuple(Difference("activation", "", item.why, "__init__") for item in answered)
    changed += tuple(Difference("merge", item.function, "the same by other steps", "vLLM's own") for item in merges)
    changed += tuple(Difference("positions", item.function, "tokens one by one", HOOK) for item in counts)
    blockers = [Blocker("code", _line(item, roots.found)) for item in left[:SHOWN]]
    blockers += [Blocker("connector", f"it could not be read: {why}")] if why else []
    lines = tuple(line for code in answered.values() for line in code)
    return Compared(walk, _parts(reading, walk, roots), lines, (), merges, bool(counts), changed, tuple(blockers))


def _counts(walk: Alike, tree: Tree, anchors: TwinAnchors) -> tuple[Unlike, ...]:
    model = find_class(tree, anchors.relpath, anchors.model_class)
    return tuple(item for item in walk.unlike if model is not None and counted(walk, item, tree, model))


def _parts(reading: ReadingLike, walk: Alike, roots: Roots) -> tuple[PartMap, ...]:
    held = reading.configs.code.config.value
    return tuple(part_maps(walk, roots.found, roots.theirs.config, reading.snapshot.config(), held))


def _apart(
    reading: ReadingLike, tree: Tree, anchors: TwinAnchors, roots: Roots, first: tuple[Alike, list[Unlike]]
) -> tuple[Compared | None, str]:
    """(what is left of the comparison when the connector is read by itself, why it could not be)."""
    model = find_class(tree, anchors.relpath, anchors.model_class)
    if model is None:
        return None, ""
    held = candidates(*first, roots.found, (tree, model), anchors.mapper)
    walk = walked(reading, roots.found, roots.theirs, frozenset(held)) if held else None
    if walk is None or walk.unlike:
        return None, ""
    parts = _parts(reading, walk, roots)
    document, config = reading.snapshot.config(), reading.configs.code.config.value
    same = partial(copy_of_norm, tree.package, walk.repo)
    naming = Naming(walk, roots.found, parts, document, config, same)
    try:
        modules = own_modules(walk, naming, held)
    except Unread as problem:
        return None, str(problem)
    changed = tuple(Difference("connector", item.base, item.shown, "__init__") for item in modules)
    return Compared(walk, parts, (), modules, changed=changed), ""


def respelled(text: str, sides: tuple[str, str], reading: ReadingLike, root: PartMap) -> str:
    """The tree's text of a video in this repo's tokens: those around an image as the two texts of one pair, the rest,
    where its vocabulary has no such token, the one that its config gives."""
    here = read_vocabulary(reading.snapshot)
    document = reading.snapshot.config()
    stated = [document.get(root.renames.get(name, name)) for name in VIDEO_IDS]
    own = next((here.token(item) for item in stated if isinstance(item, int)), None)
    native, mine = (TOKEN.findall(side) for side in sides)
    spelled = dict(zip(native, mine, strict=True)) if len(native) == len(mine) else {}

    def token(found: re.Match[str]) -> str:
        return spelled.get(found.group()) or (found.group() if found.group() in here.ids else own or found.group())

    return TOKEN.sub(token, text)


def places(
    reading: ReadingLike, walk: Alike, found: Original, anchors: TwinAnchors, lost: frozenset[str]
) -> dict[str, str]:
    """Where each stored tensor of the original's own classes goes: empty where the tree renames by more than text."""
    if anchors.mapper.stacked or anchors.mapper.regex:
        return {}
    modules = Modules(walk)
    stored = [tensor.name for tensor in reading.snapshot.tensors.tensors]
    known = {name: own for name in stored if (own := modules.name_of(found.model, name)) is not None}
    names = {name: anchors.mapper.apply(own) for name, own in known.items()}
    return {name: place for name, place in names.items() if place and name.rpartition(".")[2] not in lost}


def walked(reading: ReadingLike, found: Original, theirs: Theirs, apart: frozenset[str] = frozenset()) -> Alike:
    """The original's code beside the repo's, from their model and config classes on, but for classes left `apart`."""
    walk = start(found.side, Side.of(theirs.code, tuple(keys(reading.snapshot.config()))))
    walk.apart = apart
    walk.looked_up = lambda call: looked_up(walk, found, call)
    roots = [root for root in (theirs.model, theirs.config) if root is not None]
    for ours, other in ((found.model, theirs.model), (found.config, theirs.config)):
        if other is not None:
            walk.pair(ours, other)
    if theirs.config is not None:
        known, config = registered(walk.repo, roots), theirs.config
        walk.built = lambda call: built(walk.repo, config, known, call)
    walk.run()
    walk.unlike.extend(unmet(walk))
    return walk


def overridden(reading: ReadingLike, found: Original, read: tuple[str, ...]) -> tuple[str, ...]:
    """What the repo's classes do otherwise than the original's, but for the parts that are `read` elsewhere."""
    model, config = (definition(reading, entry) for entry in entries(reading))
    if model is None:
        return ()
    walk = walked(reading, found, Theirs(reading.configs.code.run.code, model, config))
    left = [item for item in walk.unlike if (item.part or walk.replaced.get(item.cls)) not in read]
    return tuple(_line(item, found) for item in left)[:SHOWN]


def unread(walk: Alike) -> Iterator[str]:
    for file in walk.repo.code.files():
        for node in ast.walk(file.tree):
            name = (
                walk.repo.unread_buffer(node) if isinstance(node, ast.Expr) and walk.unread(walk.repo, node) else None
            )
            if name is not None:
                yield name


def looked_up(walk: Alike, found: Original, call: ast.Call) -> Definition | None:
    """The original's own class for one of its parts: by the config that the call is given."""
    model_type = model_type_of(sub_configs(walk.library, found.config).get(part_of(call)))
    cls = found.models.get(model_type or "", "")
    meant = walk.library.code.meaning(found.model.file, cls)
    return meant if isinstance(meant, Definition) else None


def keys(value: object) -> Iterator[str]:
    """All keys of a JSON object, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(inner)


def _renamed(walk: Alike) -> Iterator[Difference]:
    """Submodules under other names: what the weight mapper answers."""
    for (cls, owner), names in walk.names.items():
        if owner == "self":
            for mine, other in names.there.items():
                if mine != other and cls in walk.classes:
                    yield Difference("module", f"{cls}.{mine}", other, "hf_to_vllm_mapper")


def _answers(
    walk: Alike, found: Original, tree: Tree, anchors: TwinAnchors
) -> dict[Unlike, tuple[tuple[str, str], ...]]:
    """The differences that a statement in the port's `__init__` answers."""
    model = find_class(tree, anchors.relpath, anchors.model_class)
    modules = Modules(walk)
    answers: dict[Unlike, tuple[tuple[str, str], ...]] = {}
    for item in walk.unlike if model is not None else ():
        assert model is not None
        code = settings(item, modules, found.model, tree, model, anchors.mapper)
        if code:
            answers[item] = code
    return answers


def _line(item: Unlike, found: Original) -> str:
    return f"{item.file}:{item.line} is not {found.model.name}'s: {item.text()}"


def _part_notes(part: PartMap, reading: ReadingLike) -> Notes:
    notes = Notes()
    document = reading.snapshot.config()
    inside = document if not part.name else document.get(part.key)
    if not isinstance(inside, dict):
        return blocked("config", f"config.json has no {part.key} with the values of {part.name}")
    taken = set(part.renames.values())
    lost = [mine for mine in part.renames if mine in inside and mine not in taken]
    if lost:
        return blocked("config", f"{part.key or 'config.json'} has {lost[0]} beside {part.renames[lost[0]]}")
    if part.open:
        what = f"the repo's config class was not seen to set {', '.join(part.open[:SHOWN])}"
        return blocked("config", f"{part.name or 'config.json'}: {what}")
    for mine, value in part.forced.items():
        notes = notes.plus(differs("config", f"{part.name}.{mine}".strip("."), f"always {value!r}", "own config"))
    for mine, other in part.renames.items():
        notes = notes.plus(differs("config", f"{part.name}.{mine}".strip("."), other, "own config class"))
    for mine, value in part.given.items():
        notes = notes.plus(differs("config", f"{part.name}.{mine}".strip("."), f"{value!r} if unsaid", "own config"))
    return notes


def _placeholder(reading: ReadingLike, anchors: TwinAnchors) -> tuple[str, Notes]:
    """What prompts say for one image: the tree's own text, or what the repo's template or code writes; nothing where
    the tree's class puts the image in by itself."""
    found = reading.facts.value("image_placeholder")
    text = found if isinstance(found, str) and found else anchors.placeholder
    if anchors.inserts or text == anchors.placeholder:
        return anchors.placeholder, Notes()
    return text, differs("image placeholder", anchors.placeholder, text, "get_placeholder_str")

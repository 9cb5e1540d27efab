"""The verdict: what the tree already serves, what a family can port, and what porter refuses, always with reasons."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping

from porter.errors import PorterError
from porter.facts.model import Confidence
from porter.families.base import Match, ReadingLike, Verdict, used_guesses
from porter.families.classes import assignments, dotted, read_file
from porter.families.internvl.anchors import read_anchors
from porter.families.internvl.family import match_base
from porter.families.library import library_beside
from porter.jsontypes import JSON
from porter.vllm_tree.registry import Architecture, architectures
from porter.vllm_tree.tree import Tree

Judge = Callable[[ReadingLike, Tree, "Match | None"], "Verdict | None"]

LAYOUT_UNSEEN = "weights layout not seen"
HARMLESS = frozenset({"config"})
GENERIC = frozenset({"model", "language_model", "lm_head", "vision_model", "visual", "thinker"})
VISUAL_KEYS = (
    "vision_config",
    "visual_config",
    "vision_tower",
    "mm_vision_tower",
    "visual",
    "img_processor",
    "encoder",
)


def decide(reading: ReadingLike, tree: Tree, ported: frozenset[str] = frozenset()) -> Verdict:
    """The verdict on one repo against one tree; the best family's match comes with it.

    `ported` are architectures that the tree has from porter only: they are judged as if it did not have them.
    """
    ranked = rank(reading, tree)
    best = ranked[0] if ranked else None
    runner_up = ranked[1].family if len(ranked) > 1 else None
    own = _architecture(reading) in ported
    judges: tuple[Judge, ...] = (_nameless, _text_only) if own else (_nameless, _text_only, _known, _removed)
    for judge in judges:
        verdict = judge(reading, tree, best)
        if verdict is not None:
            return verdict
    if best is not None and best.fits:
        return _inherit(reading, best, runner_up)
    return _refuse(reading, tree, best, runner_up)


def rank(reading: ReadingLike, tree: Tree) -> list[Match]:
    """Every family's match, best first; a family that this tree lacks is left out."""
    from porter.families import FAMILIES

    found: list[Match] = []
    for family in FAMILIES.values():
        try:
            found.append(family.match(reading, tree))
        except PorterError:
            continue
    return sorted(found, key=lambda match: (not match.fits, -match.score))


def _architecture(reading: ReadingLike) -> str:
    value = reading.facts.value("architecture")
    return value if isinstance(value, str) else ""


def _nameless(reading: ReadingLike, tree: Tree, best: Match | None) -> Verdict | None:
    if _architecture(reading):
        return None
    return Verdict("refuse", Confidence.CERTAIN, ("config.json names no architecture",), match=best)


def _text_only(reading: ReadingLike, tree: Tree, best: Match | None) -> Verdict | None:
    """A model without any image part is no business of porter's."""
    architecture = _architecture(reading)
    entry = architectures(tree).get(architecture)
    if entry is not None and not entry.removed and not entry.multimodal and "TEXT" in entry.section:
        reason = (
            f"{architecture} is a text-only model that this vLLM serves as it is; porter ports models that see images"
        )
        return Verdict("refuse", Confidence.CERTAIN, (reason,), match=best)
    seen = reading.facts.value("vision_tower") or reading.facts.value("feature_path")
    config = reading.snapshot.config()
    if seen or any(key in config for key in VISUAL_KEYS) or (entry is not None and entry.multimodal):
        return None
    reason = f"{architecture} has no vision part that porter can see: neither config.json nor the code names one"
    return Verdict("refuse", Confidence.LIKELY, (reason,), match=best)


def _known(reading: ReadingLike, tree: Tree, best: Match | None) -> Verdict | None:
    """The architecture is in the tree: its parts must match too."""
    entry = architectures(tree).get(_architecture(reading))
    if entry is None or entry.removed or not entry.multimodal:
        return None
    own = _own_match(reading, tree, entry)
    wrong = (
        [*_part_differences(own), *_strangers(reading, tree, entry)]
        if own is not None
        else list(_strangers(reading, tree, entry))
    )
    if wrong:
        return _named_only(entry, best, wrong)
    return _supported(reading, entry, own)


def _own_match(reading: ReadingLike, tree: Tree, entry: Architecture) -> Match | None:
    """The repo against the registered class itself, where that has the hooks by which porter can compare parts."""
    file = entry.file(tree)
    if file is None:
        return None
    try:
        return match_base(reading, tree, read_anchors(tree, file, entry.class_name), entry.name)
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
    unread = {"feature path", "connector", "vision tower", "config", "vision config"}
    return [*found, *(f"{item.what}: {item.why}" for item in match.blockers if item.what not in unread)]


def _strangers(reading: ReadingLike, tree: Tree, entry: Architecture) -> Iterable[str]:
    """Checkpoint prefixes that no module of the registered class could take."""
    names = [tensor.name for tensor in reading.snapshot.tensors.tensors]
    known = _module_names(tree, entry)
    if not names or not known:
        return []
    tops = {name.partition(".")[0] for name in names}
    strange = sorted(top for top in tops if top not in known and top not in GENERIC)
    counts = {top: sum(name.startswith(f"{top}.") for name in names) for top in strange}
    return [f"{counts[top] or 1} tensors under {top} have no place in {entry.class_name}" for top in strange]


def _module_names(tree: Tree, entry: Architecture) -> set[str]:
    """What the model's file, and the model files it imports from, set on self; and the first parts of mapped names."""
    file = entry.file(tree)
    if file is None:
        return set()
    source = read_file(tree, file)
    modules = {module for module, _ in source.imports.values() if module.startswith("vllm.model_executor.models.")}
    nodes: list[ast.AST] = [source.node]
    for module in sorted(modules):
        path = tree.dotted_path(module)
        if path is not None:
            nodes.append(tree.module(path))
    names = {dotted(target) for node in nodes for target, _ in assignments(node)}
    found = {name.removeprefix("self.") for name in names if name.startswith("self.")}
    values = {item.value for item in ast.walk(source.node) if isinstance(item, ast.Constant)}
    texts = {value for value in values if isinstance(value, str)}
    return found | {text.partition(".")[0] for text in texts if "." in text and " " not in text}


def _supported(reading: ReadingLike, entry: Architecture, own: Match | None) -> Verdict:
    reasons = [f"{entry.name} is in this vLLM ({entry.module}:{entry.class_name})"]
    sure = Confidence.CERTAIN
    if own is None:
        sure = Confidence.LIKELY
        reasons.append(
            "its parts were compared by tensor names only"
            if reading.snapshot.tensors.tensors
            else "its parts were not compared"
        )
    if reading.snapshot.tensors.source == "none":
        sure = Confidence.LIKELY
        reasons.append(LAYOUT_UNSEEN)
    return Verdict("supported", sure, tuple(reasons), match=own)


def _named_only(entry: Architecture, best: Match | None, wrong: list[str]) -> Verdict:
    """The name is in the tree, the parts are others: a port when a family fits, else a refusal."""
    reasons = (f"{entry.name} is in this vLLM, but its parts differ", *wrong)
    if best is not None and best.fits:
        return Verdict("inherit", Confidence.LIKELY, reasons, match=best)
    blockers = tuple(f"{item.what}: {item.why}" for item in best.blockers) if best is not None else ()
    return Verdict("refuse", Confidence.LIKELY, (*reasons, *blockers), match=best)


def _removed(reading: ReadingLike, tree: Tree, best: Match | None) -> Verdict | None:
    entry = architectures(tree).get(_architecture(reading))
    if entry is None or not entry.removed or (best is not None and best.fits):
        return None
    reason = f"{entry.name} was removed from vLLM; the last version with it is {entry.removed}"
    return Verdict("refuse", Confidence.CERTAIN, (reason, *_blockers(best)), match=best)


def _inherit(reading: ReadingLike, best: Match, runner_up: str | None) -> Verdict:
    guesses = used_guesses(best, reading.facts)
    reasons = [f"{best.family} fits: {len(best.differences)} differences, each with its override"]
    sure = Confidence.CERTAIN
    if any(reading.facts[name].confidence is Confidence.LIKELY for name in best.uses):
        sure = Confidence.LIKELY
    if reading.snapshot.tensors.source == "none":
        sure = Confidence.LIKELY
        reasons.append(LAYOUT_UNSEEN)
    if guesses:
        sure = Confidence.GUESS
        reasons.append("not settled: " + ", ".join(fact.name for fact in guesses))
    return Verdict("inherit", sure, tuple(reasons), runner_up=runner_up, match=best)


def _refuse(reading: ReadingLike, tree: Tree, best: Match | None, runner_up: str | None) -> Verdict:
    missing = _missing_code(reading.facts.value("auto_map"))
    reasons = [*missing, *_blockers(best)]
    if best is not None:
        reasons.append(f"the nearest class to read is {best.model_class} in {best.module}.py")
    reasons += _backend_candidate(reading, tree)
    return Verdict("refuse", Confidence.LIKELY, tuple(reasons), runner_up=runner_up, match=best)


def _blockers(match: Match | None) -> tuple[str, ...]:
    return (
        tuple(f"{item.what}: {item.why}" for item in match.blockers)
        if match is not None
        else ("this vLLM has no base that fits",)
    )


def _missing_code(auto_map: JSON) -> list[str]:
    """Code files that `auto_map` names and the repo lacks."""
    entries: Mapping[str, JSON] = auto_map if isinstance(auto_map, dict) else {}
    files = [
        str(item.get("file")) for item in entries.values() if isinstance(item, dict) and item.get("found") is False
    ]
    return [f"missing code: {file} is named by auto_map and is not in the repo" for file in dict.fromkeys(files)]


def _backend_candidate(reading: ReadingLike, tree: Tree) -> list[str]:
    """transformers knows the class itself: the tree's Transformers backend may serve it without any port."""
    architecture = _architecture(reading)
    if architecture not in library_beside(tree.package).architectures() or reading.snapshot.python:
        return []
    hint = "vLLM's Transformers backend may serve it (model_impl=transformers); not checked"
    return [f"transformers has {architecture} itself: {hint}"]

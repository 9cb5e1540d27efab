"""The verdict: what the tree already serves, what a family can port, and what porter refuses, always with reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from porter.errors import PorterError, UsageError
from porter.facts.model import Confidence
from porter.families.backend import Backend, backend_conditions
from porter.families.base import Blocker, Level, Match, ReadingLike, Verdict, used_guesses
from porter.families.compose import Composition, composition
from porter.families.mapping import map_of
from porter.families.native_verdict import (
    LAYOUT_UNSEEN,
    Native,
    collisions,
    compare,
    needs_trust,
    registered_match,
    supported,
)
from porter.families.quantized import quantized
from porter.families.ranking import nearest
from porter.families.shape import missing_line, rule_outs
from porter.families.view import View
from porter.vllm_tree.tree import Tree

FORCED: tuple[Level, ...] = ("inherit", "compose")
SHOWN = 3
FIRST: dict[Level, int] = {"refuse": 3, "compose": 5}
"""How many reasons come before the nearest class and the answer about the backend, which everybody asks for."""
VISUAL_KEYS = (
    "vision_config",
    "visual_config",
    "vision_tower",
    "mm_vision_tower",
    "visual",
    "img_processor",
    "encoder",
    "vision_encoder",
    "vision_encoder_config",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for: a level of port, a family by its name. Raises UsageError for names that are unknown."""

    level: Level | None = None
    family: str | None = None

    @classmethod
    def of(cls, level: str | None, family: str | None) -> Wish:
        from porter.families import FAMILIES

        if family is not None and family not in FAMILIES:
            raise UsageError(f"--family {family}: there is no such family; there are: {', '.join(FAMILIES)}")
        chosen = next((name for name in FORCED if name == level), None)
        if level is not None and chosen is None:
            raise UsageError(f"--level {level}: a port is one of {', '.join(FORCED)}")
        return cls(chosen, family)


@dataclass(frozen=True)
class Case:
    """All that the judges look at, each made when one first asks for it."""

    view: View
    ported: frozenset[str] = frozenset()
    family: str | None = None

    @cached_property
    def native(self) -> Native | None:
        """The comparison with the class that the tree itself registers for the repo's own architecture, if it does."""
        entry = self.view.entry
        if entry is None or entry.removed or not entry.multimodal or entry.name in self.ported:
            return None
        return compare(self.view, entry)

    @cached_property
    def ranked(self) -> tuple[Match, ...]:
        found = rank(self.view.reading, self.view.tree)
        return tuple(match for match in found if self.family in (None, match.family))

    @cached_property
    def blockers(self) -> tuple[Blocker, ...]:
        """What rules a port out whatever its family."""
        taken = () if self.native is not None else _taken_type(self.view, self.ported)
        return (*rule_outs(self.view), *_unloadable(self.view), *taken)

    @cached_property
    def backend(self) -> Backend:
        return backend_conditions(self.view)

    @cached_property
    def composed(self) -> Composition:
        return composition(self.view)

    @property
    def best(self) -> Match | None:
        return self.ranked[0] if self.ranked else None

    @property
    def fits(self) -> bool:
        return self.best is not None and self.best.fits and not self.blockers


Judge = Callable[[Case], "Verdict | None"]


def decide(reading: ReadingLike, tree: Tree, ported: frozenset[str] = frozenset(), wish: Wish | None = None) -> Verdict:
    """The verdict on one repo against one tree; the match of the class that it names comes with it.

    `ported` are architectures that the tree has from porter only: they are judged as if it did not have them. `wish`
    may turn a verdict that writes nothing into a port, never a refusal.
    """
    case = Case(View(reading, tree), ported, wish.family if wish is not None else None)
    verdict = next(found for judge in JUDGES if (found := judge(case)) is not None)
    if wish is not None and wish.level is not None:
        verdict = _forced(case, verdict, wish.level)
    return replace(_complete(case, verdict), trust=needs_trust(case.view))


def rank(reading: ReadingLike, tree: Tree) -> list[Match]:
    """Every family's match, best first; a family that this tree lacks is left out."""
    from porter.families import FAMILIES

    found: list[Match] = []
    for family in FAMILIES.values():
        try:
            found.append(family.match(reading, tree))
        except PorterError:
            continue
    return sorted(found, key=lambda match: _order(match, reading))


def _order(match: Match, reading: ReadingLike) -> tuple[bool, bool, bool, float, int]:
    """What fits first, without guesses, by score; of equals the base that needs fewer overrides."""
    open_ones = bool(used_guesses(match, reading.facts)), bool(match.unsure)
    return (not match.fits, *open_ones, -round(match.score, 3), len(match.differences))


def _unloadable(view: View) -> Iterator[Blocker]:
    found = quantized(view.reading, view.tree)
    blocker = found.blocker() if found is not None else None
    if blocker is not None:
        yield blocker


def _taken_type(view: View, ported: frozenset[str]) -> Iterator[Blocker]:
    """A config class of the port would clash with the one that vLLM has for the same model_type."""
    if view.architecture not in ported:
        yield from (Blocker("model_type", line) for line in collisions(view))


def _nameless(case: Case) -> Verdict | None:
    if case.view.architecture:
        return None
    return Verdict("refuse", Confidence.CERTAIN, ("config.json names no architecture",))


def _text_only(case: Case) -> Verdict | None:
    """A model without any image part is no business of porter's."""
    view, entry = case.view, case.view.entry
    visual = visual_key(view.reading)
    text = entry is not None and not entry.removed and not entry.multimodal and "TEXT" in entry.section
    if text and visual is None:
        why = "is a text-only model that this vLLM serves as it is; porter ports models that see images"
        return Verdict("refuse", Confidence.CERTAIN, (f"{view.architecture} {why}",))
    seen = view.reading.facts.value("vision_tower") or view.reading.facts.value("feature_path")
    known = (entry is not None and entry.multimodal) or view.library.sees_images(view.architecture)
    if seen or visual is not None or known:
        return None
    gone = (
        f"; {view.architecture} was removed from vLLM, the last version with it is {entry.removed}"
        if entry and entry.removed
        else ""
    )
    reason = f"{view.architecture} has no vision part that porter can see: neither config.json nor the code names one"
    return Verdict("refuse", Confidence.LIKELY, (f"{reason}{gone}",))


def visual_key(reading: ReadingLike) -> str | None:
    """The key of config.json that marks a model with eyes; a model_type may be shared with a text-only one."""
    config = reading.snapshot.config()
    return next((key for key in VISUAL_KEYS if config.get(key)), None)


def _known(case: Case) -> Verdict | None:
    """The architecture is in the tree: its parts must match too."""
    native = case.native
    if native is None:
        return None
    wrong = native.differences()
    unloadable = [item.why for item in case.blockers if item.what == "quantization"]
    head = f"{native.entry.name} is in this vLLM"
    if not wrong and not unloadable:
        return supported(native, case.view)
    if not wrong:
        reasons = (f"{head} and its parts match, but this checkpoint cannot be loaded", *unloadable)
        return Verdict("refuse", Confidence.CERTAIN, reasons, match=native.match)
    reasons = (f"{head}, but its parts differ", *wrong)
    if case.fits:
        return Verdict("inherit", Confidence.LIKELY, reasons, match=case.best)
    if case.composed.possible and not case.blockers:
        return _compose(case, reasons)
    more = tuple(f"{item.what}: {item.why}" for item in (*case.blockers, *_open_parts(case)))
    return Verdict("refuse", Confidence.LIKELY, (*reasons, *dict.fromkeys(more)), match=native.match)


def _by_backend(case: Case) -> Verdict | None:
    backend = case.backend
    if not backend.serves or case.blockers:
        return None
    sure = Confidence.CERTAIN if not backend.open() else Confidence.LIKELY
    held = len(backend.conditions) - len(backend.open())
    reasons = [f"all {held} conditions of this vLLM's Transformers backend hold for {case.view.architecture}"]
    if backend.listed:
        reasons.append(f"this vLLM lists it in {backend.listed}")
    if case.view.reading.snapshot.tensors.source == "none":
        sure = Confidence.LIKELY
        reasons.append(LAYOUT_UNSEEN)
    return Verdict("transformers-backend", sure, tuple(reasons))


def _inherited(case: Case) -> Verdict | None:
    best = case.best
    return _inherit(case, best) if case.fits and best is not None else None


def _inherit(case: Case, best: Match) -> Verdict:
    facts = case.view.reading.facts
    guesses = used_guesses(best, facts)
    reasons = [f"{best.family} fits: {len(best.differences)} differences, each with its override"]
    sure = Confidence.CERTAIN
    if best.unsure or any(facts[name].confidence is Confidence.LIKELY for name in best.uses):
        sure = Confidence.LIKELY
    reasons += [*best.unsure, *filter(None, [best.advice])]
    if case.view.reading.snapshot.tensors.source == "none":
        sure = Confidence.LIKELY
        reasons.append(LAYOUT_UNSEEN)
    if guesses:
        sure = Confidence.GUESS
        reasons.append("not settled: " + ", ".join(fact.name for fact in guesses))
    return Verdict("inherit", sure, tuple(reasons), match=best)


def _composed(case: Case) -> Verdict | None:
    if not case.composed.possible or case.blockers or _removed_line(case):
        return None
    head = "no family fits whole, but tower, connector, language model and scatter are the shape"
    return _compose(case, (head,))


def _compose(case: Case, reasons: tuple[str, ...]) -> Verdict:
    lines = [part.line() for part in case.composed.parts]
    if case.best is not None and case.best.blockers:
        first = case.best.blockers[0]
        lines.append(f"{case.best.family} does not fit: {first.what}: {first.why}")
    if case.view.reading.snapshot.tensors.source == "none":
        lines.append(LAYOUT_UNSEEN)
    return Verdict("compose", Confidence.LIKELY, (*reasons, *lines))


def _refused(case: Case) -> Verdict:
    """Everything that stands in the way, what is stated before what was not found."""
    removed = _removed_line(case)
    blockers = [f"{item.what}: {item.why}" for item in case.blockers]
    missing = missing_line(case.view.reading)
    absent = [f"missing code: {missing}"] if missing else []
    reasons = [*removed, *blockers, *absent, *(f"{item.what}: {item.why}" for item in _open_parts(case))]
    sure = Confidence.CERTAIN if removed else Confidence.LIKELY
    return Verdict("refuse", sure, tuple(dict.fromkeys(reasons)))


def _removed_line(case: Case) -> list[str]:
    entry = case.view.entry
    if entry is None or not entry.removed:
        return []
    line = f"{entry.name} was removed from vLLM; the last version with it is {entry.removed}"
    key = visual_key(case.view.reading)
    model_type = case.view.reading.facts.value("model_type")
    shared = f"; {key} in config.json tells it from a text-only model of model_type {model_type}" if key else ""
    return [f"{line}{shared}"]


def _open_parts(case: Case) -> tuple[Blocker, ...]:
    """What keeps a family or a composition from fitting, each part once."""
    listed = [*case.composed.blockers, *(case.best.blockers if case.best is not None else ())]
    seen: dict[str, Blocker] = {}
    for item in listed:
        seen.setdefault(item.what, item)
    return tuple(seen.values())


JUDGES: tuple[Judge, ...] = (_nameless, _text_only, _known, _by_backend, _inherited, _composed, _refused)


def _forced(case: Case, verdict: Verdict, level: Level) -> Verdict:
    """A port where the verdict writes nothing; a level that the repo does not allow is a refusal with its reasons."""
    if verdict.level in ("refuse", level):
        return verdict
    if level == "inherit" and case.fits and case.best is not None:
        return replace(_inherit(case, case.best), overruled=verdict.level)
    if level == "compose" and case.composed.possible and not case.blockers:
        return replace(_compose(case, (f"asked for; the verdict was {verdict.level}",)), overruled=verdict.level)
    why = [f"{item.what}: {item.why}" for item in (*case.blockers, *_open_parts(case))]
    head = f"the verdict is {verdict.level}; {level} was asked for and does not fit"
    return Verdict("refuse", Confidence.LIKELY, (head, *why), overruled=verdict.level, match=verdict.match)


def _complete(case: Case, verdict: Verdict) -> Verdict:
    """The verdict with the nearest classes, a match to read, the map of what it reads, and the backend's conditions."""
    if verdict.level == "supported" or not case.view.architecture:
        return replace(verdict, config_map=map_of(case.view, verdict.match))
    near = nearest(case.view)
    reasons = list(verdict.reasons)
    match = verdict.match
    if match is None and near:
        blockers = (*case.blockers, *_open_parts(case))
        match = registered_match(case.view, near[0].entry, near[0].score, (), blockers)
    last: list[str] = []
    if verdict.level in ("refuse", "compose") and near:
        shared = ", ".join(near[0].shared[:4])
        last.append(f"the nearest class to read is {near[0].entry.class_name} in {near[0].file} (both have {shared})")
    if verdict.level in FORCED or verdict.level == "refuse":
        last.append(why_not_backend(case.backend))
    reasons[FIRST.get(verdict.level, len(reasons)) : 0] = last
    others = [item.family for item in case.ranked[1:]] + [item.entry.module for item in near]
    named = {match.family, match.module} if match is not None else set()
    runner_up = next((name for name in others if name not in named), None)
    return replace(
        verdict,
        reasons=tuple(reasons),
        match=match,
        runner_up=runner_up,
        backend=case.backend.conditions,
        nearest=near,
        config_map=map_of(case.view, match),
    )


def why_not_backend(backend: Backend) -> str:
    """The answer to the first question of a review, with evidence."""
    open_ones = [item.line() for item in backend.open()[:SHOWN]]
    if not open_ones:
        return "the conditions of the Transformers backend hold; what is said above stands in its way too"
    return f"why not the Transformers backend: {'; '.join(open_ones)}"

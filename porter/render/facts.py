"""Facts on a terminal: one table of what is known, then what is not, what disagrees and what is open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from porter.commands.reading import ModelResult, open_questions
from porter.console import Console
from porter.facts.model import Confidence, Fact, ModelFacts
from porter.jsontypes import JSON
from porter.overrides import DERIVED
from porter.render.words import set_option, short, short_source, source, words

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Tokens": (
        "image_placeholder",
        "image_start_token",
        "image_context_token",
        "image_context_token_id",
        "image_end_token",
        "image_separators",
        "tokens_per_tile",
        "tokens_formula",
    ),
    "Image": (
        "image_size",
        "patch_size",
        "merge_size",
        "native_resolution",
        "image_grid_pinpoints",
        "min_pixels",
        "max_pixels",
        "resize_scheme",
        "min_tiles",
        "max_tiles",
        "use_thumbnail",
        "rescale",
        "resample",
        "image_mean",
        "image_std",
    ),
    "Parts": (
        "feature_layer",
        "downsample_ratio",
        "pixel_shuffle",
        "buffers",
        "tied_embeddings",
        "quantization",
        "attention_backends",
        "decoding",
    ),
    "Repo": (
        "architecture",
        "model_type",
        "text_config_key",
        "vision_config_key",
        "modalities",
        "auto_map",
        "config_map",
        "python_dependencies",
        "dependencies_in_tree",
        "transformers_range",
        "transformers_in_tree",
        "license",
    ),
}
IN_TREE = ("vision_tower", "connector", "language_model", "feature_path", "weight_prefixes", "weights_layout")
ELSEWHERE = (*IN_TREE, "security", "config_conflicts")
ONLY_IF_STATED = ("image_grid_pinpoints", "decoding")
"""Facts of few repos: that another one lacks them says nothing."""
NOT_FOUND = (Confidence.UNKNOWN, Confidence.ABSENT)
SHOWN = 12
NARROW = 72
"""Columns below which a table of four would be all line breaks."""


def show_facts(console: Console, facts: ModelFacts) -> None:
    console.line()
    if console.width < NARROW:
        for name, value, sure, read in (row for row in fact_rows(facts) if len(row) == 4):
            console.item(f"{name}: {value}  ({'; '.join(part for part in (sure, read) if part)})")
    else:
        rows = fact_rows(facts, verbose=console.verbose)
        console.table(rows, ("fact", "value", "confidence", "source"), header=False)
    for line in unknown_lines(facts):
        console.item(line, indent=0)


def grouped(facts: ModelFacts) -> Iterator[tuple[str, list[Fact]]]:
    """The facts of each group, those that no group names in the last one."""
    named = {name for names in GROUPS.values() for name in names}
    others = [name for name in facts if name not in named and name not in ELSEWHERE]
    for title, names in (*GROUPS.items(), ("Other", others)):
        yield title, [facts[name] for name in names if name in facts]


def fact_rows(facts: ModelFacts, *, verbose: bool = False) -> Iterator[Sequence[str]]:
    """The known facts; each group has its title in front."""
    for title, found in grouped(facts):
        known = [fact for fact in found if fact.confidence not in NOT_FOUND]
        if known:
            yield (title,)
        for fact in known:
            value = words(fact, 400) if verbose else words(fact)
            read = source(fact) if verbose else short_source(fact)
            yield f"  {fact.name}", value, fact.confidence.value, read


def unknown_lines(facts: ModelFacts) -> Iterator[str]:
    """One line per group for what is not known, and one for what is known not to be there."""
    absent: list[str] = []
    for title, found in grouped(facts):
        names = [fact.name for fact in found if fact.confidence is Confidence.UNKNOWN]
        names = [name for name in names if name not in ONLY_IF_STATED]
        absent += [fact.name for fact in found if fact.confidence is Confidence.ABSENT]
        if names:
            yield f"unknown ({title}): {', '.join(names)}"
    if absent:
        yield f"none in this repo: {', '.join(absent)}"


def conflicts(facts: ModelFacts) -> Iterator[str]:
    """What stands against a fact or explains it: the value that holds, where it was read, and why."""
    yield from level_conflicts(facts.value("config_conflicts"))
    for fact in facts.values():
        settled = fact.confidence in (Confidence.CERTAIN, Confidence.LIKELY) and fact.value is not None
        if fact.note and settled and fact.name not in (*ELSEWHERE, "auto_map", "config_map"):
            read = f" ({source(fact)})" if fact.evidence else ""
            yield f"{fact.name} = {words(fact)}{read}: {fact.note}"


def level_conflicts(value: JSON) -> Iterator[str]:
    """Attributes that two levels of the config state in two ways: the winner first, then the others, and the reason."""
    for item in value if isinstance(value, list) else []:
        stated = item.get("values") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(stated, list):
            continue
        rows = [row for row in stated if isinstance(row, dict)]
        rows.sort(key=lambda row: row.get("path") != item.get("winner"))
        told = " over ".join(f"{short(row.get('path'))} = {short(row.get('value'))}" for row in rows)
        undecided = "" if item.get("winner") else "undecided: "
        yield f"{undecided}{told}: {short(item.get('reason'), 300)}"


def reasons_unknown(facts: ModelFacts) -> Iterator[str]:
    """Why a fact is not known, or is known not to be there."""
    for fact in facts.values():
        if fact.note and fact.confidence in NOT_FOUND and fact.name not in ELSEWHERE:
            yield f"{fact.name}: {fact.note}"


def listed_texts(fact: Fact) -> Iterator[str]:
    """The entries of a fact that is a list of notes."""
    for item in fact.value if isinstance(fact.value, list) else ():
        yield item if isinstance(item, str) else short(item, 300)


def missing_lines(result: ModelResult, *, verbose: bool = False) -> list[str]:
    """What the base of a port reads and this repo states nowhere."""
    match, found = result.verdict.match if result.verdict else None, result.facts.value("config_map")
    missing = [name for name, path in found.items() if path in (None, "MISSING")] if isinstance(found, dict) else []
    if match is None or not missing:
        return []
    shown = missing if verbose else missing[:SHOWN]
    more = f" and {len(missing) - len(shown)} more" if len(missing) > len(shown) else ""
    return [f"read by {match.model_class}, not stated by the repo: {', '.join(shown)}{more}"]


def questions(result: ModelResult) -> Iterator[tuple[str, str]]:
    """The option that settles each fact that a port would need settled, and what is known of it now.

    What follows from another answer is not asked.
    """
    for fact in independent((*open_questions(result.verdict, result.facts), *lifting(result))):
        known = "unknown" if fact.value is None else "a guess"
        yield set_option(fact), f"{known}: {fact.note}" if fact.note else known


def lifting(result: ModelResult) -> list[Fact]:
    """The open facts of a refused repo, where settling them would leave none of its blockers."""
    match = result.verdict.match if result.verdict is not None else None
    if match is None or result.verdict is None or result.verdict.level != "refuse" or not match.blockers:
        return []
    asked = [fact for name in match.uses if not (fact := result.facts[name]).usable]
    names = {fact.name for fact in asked}
    return asked if all(blocker.what.replace(" ", "_") in names for blocker in match.blockers) else []


def independent(asked: Iterable[Fact]) -> Iterator[Fact]:
    sources = {name: needed for name, needed, _ in DERIVED}
    seen: set[str] = set()
    for fact in asked:
        if fact.name not in seen and not seen & set(sources.get(fact.name, ())):
            yield fact
        seen.add(fact.name)

"""Facts on a terminal: one table of what is known, then what is not, what disagrees and what is open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from porter.commands.reading import ModelResult, open_questions
from porter.console import Console
from porter.facts.model import Confidence, Fact, ModelFacts
from porter.overrides import DERIVED
from porter.render.words import set_option, short, source, words

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
        "transformers_range",
        "license",
    ),
}
IN_TREE = ("vision_tower", "connector", "language_model", "feature_path", "weight_prefixes", "weights_layout")
ELSEWHERE = (*IN_TREE, "security", "config_conflicts")
NOT_FOUND = (Confidence.UNKNOWN, Confidence.ABSENT)
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
            yield f"  {fact.name}", value, fact.confidence.value, source(fact)


def unknown_lines(facts: ModelFacts) -> Iterator[str]:
    """One line per group for what is not known, and one for what is known not to be there."""
    absent: list[str] = []
    for title, found in grouped(facts):
        names = [fact.name for fact in found if fact.confidence is Confidence.UNKNOWN]
        absent += [fact.name for fact in found if fact.confidence is Confidence.ABSENT]
        if names:
            yield f"unknown ({title}): {', '.join(names)}"
    if absent:
        yield f"none in this repo: {', '.join(absent)}"


def conflicts(facts: ModelFacts) -> Iterator[str]:
    """What stands against a fact or explains it, with the value that holds and where it was read."""
    for fact in facts.values():
        settled = fact.confidence not in (Confidence.GUESS, Confidence.UNKNOWN)
        if fact.note and settled and fact.name not in (*IN_TREE, "auto_map", "config_map"):
            read = f" ({source(fact)})" if fact.evidence else ""
            yield (
                f"{fact.name} = {words(fact)}{read}: {fact.note}"
                if fact.value is not None
                else f"{fact.name}: {fact.note}"
            )
    yield from listed_texts(facts["config_conflicts"])


def listed_texts(fact: Fact) -> Iterator[str]:
    """The entries of a fact that is a list of notes."""
    for item in fact.value if isinstance(fact.value, list) else ():
        yield item if isinstance(item, str) else short(item, 300)


def missing_lines(result: ModelResult) -> Iterator[str]:
    """What the family's base reads and this repo states nowhere."""
    match, found = result.verdict.match if result.verdict else None, result.facts.value("config_map")
    missing = [name for name, path in found.items() if path in (None, "MISSING")] if isinstance(found, dict) else []
    if match is not None and missing:
        yield f"read by {match.model_class}, not stated by the repo: {', '.join(missing)}"


def questions(result: ModelResult) -> Iterator[tuple[str, str]]:
    """The option that settles each fact that a port would need settled, and what is known of it now.

    What follows from another answer is not asked; nor is anything where answers would not lift the refusal.
    """
    asked = open_questions(result.verdict, result.facts)
    if not lifts(result, {fact.name for fact in asked}):
        return
    for fact in independent(asked):
        known = "unknown" if fact.value is None else "a guess"
        yield set_option(fact), f"{known}: {fact.note}" if fact.note else known


def lifts(result: ModelResult, names: set[str]) -> bool:
    """Whether there is no refusal, or settling `names` would leave none of its blockers."""
    verdict = result.verdict
    if verdict is None or verdict.level != "refuse":
        return True
    blockers = verdict.match.blockers if verdict.match is not None else ()
    return bool(blockers) and all(blocker.what.replace(" ", "_") in names for blocker in blockers)


def independent(asked: Iterable[Fact]) -> Iterator[Fact]:
    sources = {name: needed for name, needed, _ in DERIVED}
    seen: set[str] = set()
    for fact in asked:
        if fact.name not in seen and not seen & set(sources.get(fact.name, ())):
            yield fact
        seen.add(fact.name)

"""`porter inspect` on a terminal: the verdict and why, the parts, the facts, what disagrees, what is open."""

from __future__ import annotations

from collections.abc import Iterator

from porter.commands.reading import ModelResult
from porter.console import Console
from porter.render.facts import conflicts, listed_texts, missing_lines, questions, show_facts
from porter.render.parts import parts
from porter.render.words import quoted, short

FOLD = 6
"""Lines of a list that are shown without --verbose."""
LINE = 300
SERVED = ("supported", "transformers-backend")
PORTED = ("inherit", "compose")


def show_inspect(console: Console, result: ModelResult) -> None:
    show_head(console, result)
    if result.reading is None:
        return
    console.tree(parts(result.facts, verbose=console.verbose))
    show_facts(console, result.facts)
    for line in missing_lines(result):
        console.item(line, indent=0)
    level = result.verdict.level if result.verdict else None
    if level in PORTED or console.verbose:
        show_list(console, "Differences from the family's base", list(differences(result)))
    show_list(console, "Conflicts and notes", list(conflicts(result.facts)))
    show_list(console, "Security", list(listed_texts(result.facts["security"])))
    show_list(console, "Could not be followed", list(result.reading.problems), FOLD)
    show_questions(console, result)


def show_head(console: Console, result: ModelResult) -> None:
    """The repo, the verdict with its reasons, and what to type next."""
    if result.reading is None:
        return
    repo = result.reading.snapshot.repo
    console.line(f"{short(repo.id, LINE)}  {'local folder' if repo.local else f'commit {repo.commit}'}", "bold")
    if result.verdict is not None:
        show_verdict(console, result)
    console.line()


def show_verdict(console: Console, result: ModelResult) -> None:
    verdict = result.verdict
    if verdict is None:
        return
    overruled = f", overruling {verdict.overruled}" if verdict.overruled else ""
    console.line(f"verdict: {verdict.level} ({verdict.confidence.value}{overruled})", "bold")
    show_items(console, verdict.reasons, FOLD)
    match = verdict.match
    if match is not None and not (verdict.level == "refuse" and any(match.model_class in r for r in verdict.reasons)):
        word = "nearest family" if verdict.level == "refuse" else "family"
        other = f"; next best: {verdict.runner_up}" if verdict.runner_up else ""
        console.item(f"{word}: {match.family} ({match.module}.{match.model_class}), score {match.score:.2f}{other}", 0)
    command = next_command(result)
    if command:
        console.line(f"next: {command}")


def next_command(result: ModelResult) -> str:
    """What to type, as a shell takes it."""
    if result.reading is None or result.verdict is None:
        return ""
    repo = result.reading.snapshot.repo
    name = quoted(repo.folder or repo.id)
    revision = f" --revision {repo.commit}" if repo.commit and not repo.local else ""
    if result.verdict.level == "supported":
        return f"vllm serve {name}{revision}"
    if result.verdict.level == "transformers-backend":
        return f"vllm serve {name}{revision} --model-impl transformers"
    return f"porter new-model {name}" if result.verdict.level in PORTED else ""


def show_questions(console: Console, result: ModelResult) -> None:
    """What a port would need settled, each with the option that settles it."""
    asked = [(f"  {option}", known) for option, known in questions(result)]
    if asked:
        console.heading("Open questions")
        console.table(asked, ("option", "known"), header=False)


def show_list(console: Console, heading: str, lines: list[str], fold: int | None = None) -> None:
    if lines:
        console.heading(heading)
        show_items(console, lines, fold)


def show_items(console: Console, lines: list[str] | tuple[str, ...], fold: int | None = None) -> None:
    """The lines, without --verbose only the first `fold` of them."""
    shown = len(lines) if console.verbose or fold is None or len(lines) <= fold + 1 else fold
    for line in lines[:shown]:
        console.item(line if console.verbose or len(line) <= LINE else f"{line[: LINE - 1]}…")
    if shown < len(lines):
        console.item(f"and {len(lines) - shown} more (--verbose)")


def differences(result: ModelResult) -> Iterator[str]:
    """What the base has in another way and what answers it; a blocker that the verdict names is not repeated."""
    match = result.verdict.match if result.verdict else None
    if match is None or result.verdict is None:
        return
    for item in match.differences:
        yield f"{item.what}: {item.base} → {item.repo}  ({item.answer})"
    for blocker in match.blockers:
        text = f"{blocker.what}: {blocker.why}"
        if text not in result.verdict.reasons:
            yield f"blocked: {text}"

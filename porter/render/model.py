"""`porter inspect` on a terminal: the verdict and why, the parts, the facts, what disagrees, what is open."""

from __future__ import annotations

from collections.abc import Iterator

from porter.commands.reading import ModelResult
from porter.console import Console
from porter.families.base import Verdict
from porter.render.facts import conflicts, listed_texts, missing_lines, questions, reasons_unknown, show_facts
from porter.render.parts import parts
from porter.render.words import quoted, short

FOLD = 6
"""Lines of a list that are shown without --verbose."""
CONDITIONS = 3
LINE = 300
BACKEND = "why not the Transformers backend"
PORTED = ("inherit", "compose")


def show_inspect(console: Console, result: ModelResult) -> None:
    show_head(console, result)
    if result.reading is None:
        return
    console.tree(parts(result.facts, verbose=console.verbose))
    show_facts(console, result.facts)
    if is_ported(result) or console.verbose:
        show_items(console, missing_lines(result, verbose=console.verbose), indent=0)
        show_list(console, "Differences from the family's base", list(differences(result)))
    show_list(console, "Conflicts and notes", list(conflicts(result.facts)), FOLD)
    if console.verbose:
        show_list(console, "Not known because", list(reasons_unknown(result.facts)))
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
    for problem in result.reading.snapshot.tensors.problems:
        console.line(f"broken checkpoint: {short(problem, LINE)}")
    console.line()


def show_verdict(console: Console, result: ModelResult) -> None:
    verdict = result.verdict
    if verdict is None:
        return
    overruled = f", overruling {verdict.overruled}" if verdict.overruled else ""
    console.line(f"verdict: {verdict.level} ({verdict.confidence.value}{overruled})", "bold")
    told = [reason for reason in verdict.reasons if not (verdict.backend and reason.startswith(BACKEND))]
    show_items(console, told, FOLD)
    show_backend(console, verdict)
    match = verdict.match
    if match is not None and not (verdict.level == "refuse" and any(match.model_class in r for r in verdict.reasons)):
        word = "nearest family" if verdict.level == "refuse" else "family"
        other = f"; next best: {verdict.runner_up}" if verdict.runner_up else ""
        console.item(f"{word}: {match.family} ({match.module}.{match.model_class}), score {match.score:.2f}{other}", 0)
    command = next_command(result)
    if command:
        console.line(f"next: {command}")


def show_backend(console: Console, verdict: Verdict) -> None:
    """Why the tree's Transformers backend does not serve the repo: the conditions that do not hold, then the unread."""
    open_ones = [item for item in verdict.backend if item.state != "holds"]
    if verdict.level == "transformers-backend" or (not open_ones and not console.verbose):
        return
    held = len(verdict.backend) - len(open_ones)
    console.line(f"Transformers backend: {held} of {len(verdict.backend)} conditions hold")
    shown = verdict.backend if console.verbose else sorted(open_ones, key=lambda item: item.state)[:CONDITIONS]
    for item in shown:
        console.item(f"{item.state}: {item.line()}")
    if len(open_ones) > len(shown):
        console.item(f"and {len(open_ones) - len(shown)} more (--verbose)")


def is_ported(result: ModelResult) -> bool:
    return result.verdict is not None and result.verdict.level in PORTED


def next_command(result: ModelResult) -> str:
    """What to type, as a shell takes it."""
    if result.reading is None or result.verdict is None:
        return ""
    repo = result.reading.snapshot.repo
    name = quoted(repo.folder or repo.id)
    options = f" --revision {repo.commit}" if repo.commit and not repo.local else ""
    options += " --trust-remote-code" if result.verdict.trust else ""
    if result.verdict.level == "supported":
        return f"vllm serve {name}{options}"
    if result.verdict.level == "transformers-backend":
        return f"vllm serve {name}{options} --model-impl transformers"
    if result.verdict.level == "compose":
        return f"porter inspect {name} --json  # the parts; this porter writes inherit ports only"
    return f"porter new-model {name}" if result.verdict.level == "inherit" else ""


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


def show_items(console: Console, lines: list[str], fold: int | None = None, indent: int = 2) -> None:
    """The lines, without --verbose only the first `fold` of them."""
    shown = len(lines) if console.verbose or fold is None or len(lines) <= fold + 1 else fold
    for line in lines[:shown]:
        console.item(line if console.verbose or len(line) <= LINE else f"{line[: LINE - 1]}…", indent)
    if shown < len(lines):
        console.item(f"and {len(lines) - shown} more (--verbose)", indent)


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

"""What a repo is and what porter would do with it. Writes nothing but the file of `--save-facts`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from porter.commands.reading import ModelResult, read_repo, read_tree
from porter.commands.session import Settings, Silent, Talk
from porter.errors import TreeError
from porter.overrides import save_facts


@dataclass(frozen=True, slots=True)
class InspectRequest:
    """`save_facts` is a TOML file to write."""

    repo: str
    settings: Settings
    save_facts: Path | None = None


def inspect(request: InspectRequest, talk: Talk | None = None) -> ModelResult:
    """Facts and verdict. Without a vLLM to compare with, the facts still come back, with the error beside them."""
    talk = talk or Silent()
    reading = read_repo(request.repo, request.settings, talk)
    if request.save_facts is not None:
        save_facts(reading.facts, request.save_facts, reading.snapshot.repo.id)
        talk.note(f"wrote {request.save_facts}")
    try:
        from porter.families.needs import tree_facts
        from porter.families.verdict import decide

        tree = read_tree(None, request.settings, talk)
        about_tree = tree_facts(reading.facts, tree)
        return ModelResult(reading=reading, verdict=decide(reading, tree), about_tree=about_tree)
    except TreeError as error:
        return ModelResult(reading=reading, error=error)

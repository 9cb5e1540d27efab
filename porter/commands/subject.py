"""What `check-weights` and `smoke-test` are run on: a port or vLLM's own class, and the repo that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from porter.commands.reading import read_tree
from porter.commands.session import Settings, Talk
from porter.errors import TreeError, UsageError

if TYPE_CHECKING:
    from porter.commands.proving import Bench, Placed
    from porter.hub.snapshot import Snapshot
    from porter.ports import Port
    from porter.vllm_tree import Tree


@dataclass(frozen=True, slots=True)
class PortChoice:
    """`port` as typed, None = the port around the current folder; `repo` overrides the recorded one."""

    port: str | None = None
    repo: str | None = None
    native: bool = False


def chosen_port(choice: PortChoice) -> Port | None:
    """The port, None for vLLM's own class. Raises UsageError or TargetError."""
    from porter.ports import find_port, load_port

    if choice.native:
        if choice.port is not None or choice.repo is None:
            raise UsageError("--native checks vLLM's own class: it takes --repo REPO and no PORT")
        return None
    return load_port(choice.port) if choice.port else find_port(Path())


def repo_of(choice: PortChoice, port: Port | None) -> tuple[str, str | None]:
    """The repo and, for a recorded Hub repo, the recorded commit."""
    if choice.repo is not None or port is None:
        return str(choice.repo), None
    recorded = port.repo
    if recorded.get("local"):
        raise UsageError(f"{port.spec} was made from the local folder {recorded.get('id')}", hint="add --repo FOLDER")
    commit = recorded.get("commit")
    return str(recorded.get("id")), commit if isinstance(commit, str) else None


def tree_of(port: Port | None, settings: Settings, talk: Talk) -> Tree:
    """The tree that a port lives in or runs against."""
    return read_tree(port.root if port is not None and port.layout == "tree" else None, settings, talk)


def check_native(tree: Tree, snapshot: Snapshot) -> None:
    """Raises TreeError, with what to do, when vLLM has no class of its own for the repo."""
    from porter.vllm_tree.registry import architectures

    stated = snapshot.config().get("architectures")
    named = [name for name in stated if isinstance(name, str)] if isinstance(stated, list) else []
    known = architectures(tree)
    if not any(name in known and not known[name].removed for name in named):
        asked = ", ".join(named) or "a repo without architectures"
        raise TreeError(
            f"this vLLM ({tree.version}) has no class of its own for {asked}",
            hint=f"porter inspect {snapshot.repo.folder or snapshot.repo.id}",
        )


def place_of(port: Port | None, tree: Tree, bench: Bench) -> Placed:
    from porter.commands.proving import Placed, placed

    return Placed() if port is None else placed(port.layout, port.root, port.module, tree, bench)

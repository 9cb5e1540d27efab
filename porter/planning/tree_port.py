"""The plan of a port inside a vLLM source tree: model file, sites, and a config class where vLLM needs one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from porter.errors import Refused, TreeError, UsageError
from porter.facts.needs_imports import imports_in
from porter.facts.needs_packages import distribution, is_known
from porter.facts.needs_walk import walk_code
from porter.facts.reading import RepoReading
from porter.families import FAMILIES
from porter.planning.plan import FileChange, OpenItem
from porter.planning.sites import ConfigEntry, SiteEntry, tree_edits
from porter.planning.sites.requirements import compile_commands, requirement_edits
from porter.planning.spec import Spec
from porter.source.codebase import CodeBase
from porter.vllm_tree.tree import Tree

MODELS = "vllm/model_executor/models"
CONFIGS = "vllm/transformers_utils/configs"
ALWAYS_HERE = frozenset({"vllm", "tests", "pytest"})


def tree_files(
    reading: RepoReading, spec: Spec, tree: Tree, own_config: bool | None, repo_id: str | None
) -> tuple[FileChange, ...]:
    """Every new and edited file, paths relative to the source root. Raises Refused when `--remote-config` fails."""
    if tree.root is None:
        raise TreeError(f"{tree.package} is an installed vLLM; a port is written into a source tree only")
    own = needs_own_config(reading, spec, tree, own_config)
    module = spec.names.module
    family = FAMILIES[spec.family]
    model = family.model_file(spec, relative=True, own_config=own)
    changes = [FileChange(f"{MODELS}/{module}.py", None, model)]
    if own:
        changes.append(FileChange(f"{CONFIGS}/{module}.py", None, family.config_file(spec)))
    changes.extend(package_edits(tree.root, changes, spec.names.stem))
    changes.extend(tree_edits(tree, site_entry(reading, spec, own=own, repo_id=repo_id)))
    return tuple(sorted(changes, key=lambda change: change.path))


def package_edits(root: Path, changes: Sequence[FileChange], title: str) -> tuple[FileChange, ...]:
    """The requirement lines for what the generated files import and the tree does not have."""
    texts = {change.path: change.new for change in changes if change.old is None and change.path.endswith(".py")}
    imports = imports_in(walk_code(CodeBase(texts)))
    outside = (item for item in imports if not is_known(item) and item.top not in ALWAYS_HERE)
    return requirement_edits(root, sorted({distribution(item.top) for item in outside}), title)


def to_compile(tree: Tree, changes: Sequence[FileChange]) -> tuple[OpenItem, ...]:
    """The compiled requirement files that an edit leaves behind: the tree's own command makes them again."""
    root = tree.root or Path()
    edited = [change.path for change in changes if change.path.endswith(".in") and change.action == "edit"]
    return tuple(
        OpenItem(path, "the files compiled from it do not have its new line", command)
        for path in edited
        for command in compile_commands(root, path)
    )


def needs_own_config(reading: RepoReading, spec: Spec, tree: Tree, wanted: bool | None) -> bool:
    """Whether the port brings a config class; vLLM's reviewers want none where the repo's own can be adapted."""
    reason = FAMILIES[spec.family].remote_obstacle(reading, spec, tree)
    if wanted is False and reason:
        raise Refused(f"the repo's own config class cannot serve: {reason}", hint="leave --remote-config out")
    return bool(reason) if wanted is None else wanted


def site_entry(reading: RepoReading, spec: Spec, *, own: bool, repo_id: str | None) -> SiteEntry:
    repo = reading.snapshot.repo
    if repo.local and repo_id is None:
        raise UsageError("a local folder has no name on the Hub that a vLLM tree could list", hint="--repo-id ORG/NAME")
    named = ConfigEntry(spec.model_type, spec.names.cls("Config"), spec.names.module) if own else None
    return SiteEntry(
        architecture=spec.names.architecture,
        module=spec.names.module,
        class_name=spec.names.architecture,
        repo_id=repo_id or repo.id,
        title=spec.names.stem,
        inputs="T + I<sup>+</sup> + V<sup>+</sup>" if spec.video else "T + I<sup>+</sup>",
        trust_remote_code=not own and bool(reading.snapshot.auto_map),
        config=named,
    )

"""The plan of a port inside a vLLM source tree: model file, sites, and a config class where vLLM needs one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from porter.errors import Refused, TreeError, UsageError
from porter.facts.needs_imports import imports_in
from porter.facts.needs_packages import distribution, is_known
from porter.facts.needs_walk import walk_code
from porter.facts.reading import RepoReading
from porter.planning import config_file, model_file
from porter.planning.plan import FileChange, OpenItem
from porter.planning.render import render_python
from porter.planning.sites import ConfigEntry, SiteEntry, tree_edits
from porter.planning.sites.requirements import compile_commands, requirement_edits
from porter.planning.spec import PortSpec, SubConfig
from porter.source.codebase import CodeBase
from porter.vllm_tree.registry import config_registry
from porter.vllm_tree.tree import Tree

MODELS = "vllm/model_executor/models"
CONFIGS = "vllm/transformers_utils/configs"
ALWAYS_HERE = frozenset({"vllm", "tests", "pytest"})


def tree_files(
    reading: RepoReading, spec: PortSpec, tree: Tree, own_config: bool | None, repo_id: str | None
) -> tuple[FileChange, ...]:
    """Every new and edited file, paths relative to the source root. Raises Refused when `--remote-config` fails."""
    if tree.root is None:
        raise TreeError(f"{tree.package} is an installed vLLM; a port is written into a source tree only")
    own = needs_own_config(reading, spec, tree, own_config)
    module = spec.names.module
    model = render_python("model.py.j2", **model_file.context(spec, relative=True, own_config=own))
    changes = [FileChange(f"{MODELS}/{module}.py", None, model)]
    if own:
        text = render_python("configuration.py.j2", **config_file.context(spec))
        changes.append(FileChange(f"{CONFIGS}/{module}.py", None, text))
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


def needs_own_config(reading: RepoReading, spec: PortSpec, tree: Tree, wanted: bool | None) -> bool:
    """Whether the port brings a config class; vLLM's reviewers want none where the repo's own can be adapted."""
    reason = remote_obstacle(reading, spec, tree)
    if wanted is False and reason:
        raise Refused(f"the repo's own config class cannot serve: {reason}", hint="leave --remote-config out")
    return bool(reason) if wanted is None else wanted


def remote_obstacle(reading: RepoReading, spec: PortSpec, tree: Tree) -> str | None:
    """Why the repo's own config class cannot be adapted by assignments in the model file; None when it can."""
    config = spec.config
    auto_map = reading.facts.value("auto_map")
    entry = auto_map.get("AutoConfig") if isinstance(auto_map, dict) else None
    if not (isinstance(entry, dict) and entry.get("found")):
        return "the repo has no config class"
    mapped = {"text_config", *config_registry(tree).attrs}
    if config.text.key not in mapped:
        return f"vLLM does not find a text config under {config.text.key or 'the top level'}"
    if _adapted(config.vision) or _adapted(config.text) or "." in (config.vision.key or "."):
        return "its vision or text config has other attribute names than vLLM reads"
    if config.computed or not config.feature_layer_from_end:
        return "some of its values have to be computed"
    return None


def _adapted(part: SubConfig) -> bool:
    return bool(part.renames or part.defaults or part.forced or part.computed)


def site_entry(reading: RepoReading, spec: PortSpec, *, own: bool, repo_id: str | None) -> SiteEntry:
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
        trust_remote_code=not own,
        config=named,
    )

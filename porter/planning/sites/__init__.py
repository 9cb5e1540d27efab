"""The edits of a vLLM source tree that make a new model known, one small transform per site."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from porter.changes.state import decode
from porter.errors import TargetError, TreeError
from porter.planning.plan import FileChange
from porter.planning.sites.docs import with_row
from porter.planning.sites.entries import Insertion, insert
from porter.planning.sites.entry import ConfigEntry, SiteEntry
from porter.planning.sites.formatting import call_entry, item_entry, keyword_entry, quote, tuple_entry, value_entry
from porter.vllm_tree.contract import read_contract
from porter.vllm_tree.docs import DOCS
from porter.vllm_tree.tree import Tree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["ConfigEntry", "SiteEntry", "tree_edits"]

Edit = Callable[[str], str]

MODELS = "vllm/model_executor/models/registry.py"
EXAMPLES = "tests/models/registry.py"
CONFIGS = "vllm/transformers_utils/config.py"
CONFIG_CLASSES = "vllm/transformers_utils/configs/__init__.py"
_SECTION = "# [Decoder-only]"
_DEFAULT_WIDTH = 88


def tree_edits(tree: Tree, entry: SiteEntry) -> tuple[FileChange, ...]:
    """The edits of every site, paths relative to the source root; a site that has the entry is an unchanged file.

    Raises TreeError for an installed package or a site that is missing, TargetError when a site has the name with
    another value.
    """
    if tree.root is None:
        raise TreeError(f"{tree.package} is an installed vLLM; edits are made in a source tree only")
    return tuple(_change(tree.root, path, edit) for path, edit in _edits(tree, tree.root, entry))


def _edits(tree: Tree, root: Path, entry: SiteEntry) -> Iterator[tuple[str, Edit]]:
    width = line_length(root)
    yield MODELS, _inserting(MODELS, _model(entry, width))
    yield EXAMPLES, _inserting(EXAMPLES, _example(tree, entry, width))
    yield DOCS, partial(with_row, entry=entry)
    inserts = [_config_attr(key, name, width) for key, name in entry.config_attrs.items()]
    if entry.config is not None:
        inserts.append(_config_type(tree, entry.config))
        yield CONFIG_CLASSES, _inserting(CONFIG_CLASSES, *_config_class(tree, entry.config, width))
    if inserts:
        yield CONFIGS, _inserting(CONFIGS, *inserts)


def _change(root: Path, path: str, edit: Edit) -> FileChange:
    try:
        text = decode((root / path).read_bytes())
    except OSError as error:
        raise TreeError(f"this vLLM tree has no {path}", where=str(root / path)) from error
    return FileChange(path, text, edit(text))


def _inserting(path: str, *insertions: Insertion) -> Edit:
    def edit(text: str) -> str:
        for insertion in insertions:
            text, present = insert(text, insertion, file=path)
            if present is not None and not present.same:
                message = f"{path} already has {insertion.key} in {insertion.variable} with another value"
                raise TargetError(f"{message}: {present.source}", where=path)
        return text

    return edit


def _model(entry: SiteEntry, width: int) -> Insertion:
    source = tuple_entry(entry.architecture, (entry.module, entry.class_name), width)
    return Insertion("_MULTIMODAL_MODELS", entry.architecture, source, _SECTION)


def _example(tree: Tree, entry: SiteEntry, width: int) -> Insertion:
    known = read_contract(tree).require("example_fields")
    wanted = {**({"trust_remote_code": True} if entry.trust_remote_code else {}), **entry.example}
    fields = [f"{name}={quote(value)}" for name, value in wanted.items() if isinstance(known, list) and name in known]
    source = call_entry(entry.architecture, "_HfExamplesInfo", [quote(entry.repo_id), *fields], width)
    return Insertion("_MULTIMODAL_EXAMPLE_MODELS", entry.architecture, source, _SECTION)


def _config_type(tree: Tree, config: ConfigEntry) -> Insertion:
    if read_contract(tree).require("config_registry") != "keywords":
        raise TreeError(f"{CONFIGS} lists config classes in a form that porter does not write", where=CONFIGS)
    return Insertion("_CONFIG_REGISTRY", config.model_type, keyword_entry(config.model_type, config.class_name))


def _config_class(tree: Tree, config: ConfigEntry, width: int) -> tuple[Insertion, Insertion]:
    if read_contract(tree).require("configs_init") != "class_to_module":
        raise TreeError(
            f"{CONFIG_CLASSES} lists config classes in a form that porter does not write", where=CONFIG_CLASSES
        )
    module = f"vllm.transformers_utils.configs.{config.module}"
    return (
        Insertion("_CLASS_TO_MODULE", config.class_name, value_entry(config.class_name, module, width)),
        Insertion("__all__", config.class_name, item_entry(config.class_name)),
    )


def _config_attr(key: str, name: str, width: int) -> Insertion:
    return Insertion("_CONFIG_ATTRS_MAPPING", key, value_entry(key, name, width))


def line_length(root: Path) -> int:
    """The tree's own ruff setting, or ruff's default."""
    try:
        settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return _DEFAULT_WIDTH
    value = settings.get("tool", {}).get("ruff", {}).get("line-length", _DEFAULT_WIDTH)
    return value if isinstance(value, int) else _DEFAULT_WIDTH

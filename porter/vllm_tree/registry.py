"""What a tree registers, as values: architectures, config classes, config attribute maps. Nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from porter.vllm_tree.tree import Tree

REGISTRY = "model_executor/models/registry.py"
CONFIG = "transformers_utils/config.py"
PREVIOUSLY = "_PREVIOUSLY_SUPPORTED_MODELS"


@dataclass(frozen=True, slots=True)
class Architecture:
    """One entry. `module` is as written (`internvl`, `vllm.models.step5`); `removed` is the last version with it."""

    name: str
    module: str
    class_name: str
    section: str
    line: int
    removed: str | None = None

    @property
    def multimodal(self) -> bool:
        return self.section == "_MULTIMODAL_MODELS"

    def file(self, tree: Tree) -> str | None:
        """The module's file relative to the package."""
        if not self.module:
            return None
        dotted = self.module if "." in self.module else f"vllm.model_executor.models.{self.module}"
        return tree.dotted_path(dotted)


@dataclass(frozen=True, slots=True)
class ConfigRegistry:
    """`classes`: model_type → class name; `attrs`: config key → canonical key; `kwargs`: model_type → arguments."""

    classes: Mapping[str, str]
    attrs: Mapping[str, str]
    kwargs: Mapping[str, Mapping[str, object]]


def architectures(tree: Tree) -> Mapping[str, Architecture]:
    """Every architecture of every section; a live entry wins over a removed one, one for images over one that pools."""
    if "architectures" not in tree.memo:
        tree.memo["architectures"] = _architectures(tree)
    found: Mapping[str, Architecture] = tree.memo["architectures"]
    return found


def _architectures(tree: Tree) -> dict[str, Architecture]:
    found: dict[str, Architecture] = {}
    for section, value in module_values(tree, REGISTRY):
        if section.endswith("_MODELS") and isinstance(value, ast.Dict):
            for entry in _entries(section, value):
                known = found.get(entry.name)
                if known is None or known.removed or (entry.multimodal and not known.multimodal):
                    found[entry.name] = entry
    return found


def config_registry(tree: Tree) -> ConfigRegistry:
    if "config_registry" not in tree.memo:
        tree.memo["config_registry"] = _config_registry(tree)
    found: ConfigRegistry = tree.memo["config_registry"]
    return found


def _config_registry(tree: Tree) -> ConfigRegistry:
    values = dict(module_values(tree, CONFIG))
    kwargs = _strings_to(values.get("_AUTO_CONFIG_KWARGS_OVERRIDES"))
    attrs = _strings_to(values.get("_CONFIG_ATTRS_MAPPING"))
    classes = _strings_to(values.get("_CONFIG_REGISTRY"))
    return ConfigRegistry(
        {key: value for key, value in classes.items() if isinstance(value, str)},
        {key: value for key, value in attrs.items() if isinstance(value, str)},
        {key: value for key, value in kwargs.items() if isinstance(value, dict)},
    )


def module_values(tree: Tree, relpath: str) -> Iterator[tuple[str, ast.expr]]:
    """Module-level assignments of a file, annotated ones included."""
    for statement in tree.module(relpath).body:
        if isinstance(statement, ast.Assign):
            yield from ((target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            yield statement.target.id, statement.value


def keys_of(tree: Tree, relpath: str, name: str) -> frozenset[str]:
    """The keys of a table at module level; none where the tree has no such file or table."""
    tables = [value for said, value in module_values(tree, relpath) if said == name] if tree.has(relpath) else []
    keys = (_literal(key) for table in tables if isinstance(table, ast.Dict) for key in table.keys)
    return frozenset(key for key in keys if isinstance(key, str))


def _entries(section: str, table: ast.Dict) -> Iterator[Architecture]:
    for key, value in zip(table.keys, table.values, strict=True):
        name, literal = _literal(key), _literal(value)
        if not isinstance(name, str) or key is None:
            continue
        if isinstance(literal, tuple) and len(literal) == 2 and all(isinstance(part, str) for part in literal):
            yield Architecture(name, literal[0], literal[1], section, key.lineno)
        elif section == PREVIOUSLY and isinstance(literal, str):
            yield Architecture(name, "", "", section, key.lineno, removed=literal)


def _strings_to(node: ast.expr | None) -> dict[str, object]:
    """The string keys of a dict literal or of a call with keywords (`**{...}` included) and their literal values."""
    pairs: list[tuple[object, ast.expr]] = []
    if isinstance(node, ast.Dict):
        pairs = [(_literal(key), value) for key, value in zip(node.keys, node.values, strict=True)]
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            nested = keyword.value
            if keyword.arg is not None:
                pairs.append((keyword.arg, nested))
            elif isinstance(nested, ast.Dict):
                pairs.extend((_literal(key), value) for key, value in zip(nested.keys, nested.values, strict=True))
    return {key: _literal(value, names=True) for key, value in pairs if isinstance(key, str)}


def _literal(node: ast.expr | None, *, names: bool = False) -> object:
    """A literal's value; with `names`, a plain name reads as itself (older trees list the classes, not their names)."""
    if names and isinstance(node, ast.Name):
        return node.id
    try:
        return ast.literal_eval(node) if node is not None else None
    except (ValueError, TypeError, SyntaxError):
        return None

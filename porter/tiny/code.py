"""The repo's code as files that lie in one folder: code of other repos that `auto_map` names is vendored beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from porter.jsontypes import JSON, JSONObject

FOREIGN = "--"


@dataclass(frozen=True, slots=True)
class LocalCode:
    """`files` by path; `modules` maps `ORG/NAME--module` to the local module that holds it."""

    files: dict[str, str] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)


def local_code(python: Mapping[str, str]) -> LocalCode:
    """Code by the paths of a Snapshot. A vendored file keeps its name unless the repo has another file of that name."""
    files = {path: text for path, text in python.items() if FOREIGN not in path}
    foreign: dict[str, dict[str, str]] = {}
    for path, text in python.items():
        if FOREIGN in path:
            repo, _, name = path.partition(FOREIGN)
            foreign.setdefault(repo, {})[name] = text
    modules: dict[str, str] = {}
    for repo, texts in sorted(foreign.items()):
        clash = any(files.get(name, text) != text for name, text in texts.items())
        renames = {_module(name): _prefixed(repo, _module(name)) if clash else _module(name) for name in texts}
        for name, text in texts.items():
            new = renames[_module(name)]
            files[new.replace(".", "/") + ".py"] = _relinked(text, renames) if clash else text
            modules[f"{repo}{FOREIGN}{_module(name)}"] = new
    return LocalCode(files, modules)


def _module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _prefixed(repo: str, module: str) -> str:
    return re.sub(r"\W", "_", repo).lower() + "__" + module.rpartition(".")[2]


def _relinked(text: str, renames: Mapping[str, str]) -> str:
    """`text` with its one-dot imports pointing to the renamed modules."""
    import libcst as cst

    class Relink(cst.CSTTransformer):
        def leave_ImportFrom(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> cst.ImportFrom:
            name = updated_node.module
            if len(updated_node.relative) != 1 or not isinstance(name, cst.Name) or name.value not in renames:
                return updated_node
            return updated_node.with_changes(module=cst.Name(renames[name.value]))

    return cst.parse_module(text).visit(Relink()).code


def relocated(value: JSON, modules: Mapping[str, str]) -> JSON:
    """`value` with every `auto_map` in it naming local modules only."""
    if isinstance(value, list):
        return [relocated(item, modules) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _local_map(item, modules) if key == "auto_map" else relocated(item, modules) for key, item in value.items()
    }


def _local_map(auto_map: JSON, modules: Mapping[str, str]) -> JSON:
    if isinstance(auto_map, dict):
        return {key: _local_map(item, modules) for key, item in auto_map.items()}
    if isinstance(auto_map, list):
        return [_local_map(item, modules) for item in auto_map]
    if not isinstance(auto_map, str):
        return auto_map
    repo, mark, reference = auto_map.rpartition(FOREIGN)
    module, _, name = reference.rpartition(".")
    local = modules.get(f"{repo}{FOREIGN}{module}") if mark else None
    return f"{local or module}.{name}" if mark else auto_map


def without_code(doc: JSONObject) -> JSONObject:
    """`doc` without any `auto_map`, for a folder that must not need the repo's code."""
    return {key: _strip(value) for key, value in doc.items() if key != "auto_map"}


def _strip(value: JSON) -> JSON:
    if isinstance(value, list):
        return [_strip(item) for item in value]
    return without_code(value) if isinstance(value, dict) else value

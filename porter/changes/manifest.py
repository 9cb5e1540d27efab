"""porter.json: what a port was made from and what it wrote. No absolute paths or times: same inputs, same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import porter
from porter.changes.state import STATE, encode
from porter.errors import TargetError
from porter.hub.snapshot import RepoRef
from porter.jsontypes import JSON, JSONObject
from porter.planning.names import is_name
from porter.planning.plan import Plan

SCHEMA = 1
NAME = "porter.json"


def build_manifest(
    *,
    repo: RepoRef,
    tree: Mapping[str, JSON],
    spec: JSON,
    facts: JSON,
    overrides: JSON,
    verdict: JSON,
    checks: JSON = None,
) -> JSONObject:
    """Everything but the files, which `complete` adds. `tree` has version, commit and layout."""
    return {
        "schema": SCHEMA,
        "porter": porter.__version__,
        "repo": {"id": repo.id, "commit": repo.commit, "local": repo.local},
        "tree": {key: tree.get(key) for key in ("version", "commit", "layout")},
        "spec": spec,
        "facts": facts,
        "overrides": overrides,
        "verdict": verdict,
        "checks": [] if checks is None else checks,
    }


def complete(plan: Plan, before: Mapping[str, bytes | None], modes: Mapping[str, str]) -> JSONObject:
    """The plan's manifest with its files; `before` and `modes` are what stood there before porter's first run."""
    files: list[JSON] = []
    for change in sorted(plan.changes, key=lambda item: item.path):
        old, new = before.get(change.path), encode(change.new)
        files.append(
            {
                "path": change.path,
                "action": "create" if old is None else "unchanged" if old == new else "edit",
                "sha256_before": None if old is None else sha256(old),
                "sha256_after": sha256(new),
                "mode": modes[change.path],
            }
        )
    base: JSONObject = {"schema": SCHEMA, "porter": porter.__version__, **plan.manifest}
    return {**base, "layout": plan.layout, "module": plan.module, "files": files}


def to_text(manifest: JSONObject) -> str:
    return json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_manifest(path: Path) -> JSONObject:
    """Raises TargetError when the file is no manifest of porter's."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {error.strerror}", where=str(path)) from error
    except ValueError as error:
        raise TargetError(f"{path} is not valid JSON: {error}", where=str(path)) from error
    if not _is_manifest(value):
        raise TargetError(f"{path} was not written by this porter (schema {SCHEMA} expected)", where=str(path))
    return cast(JSONObject, value)


def _is_manifest(value: object) -> bool:
    """Everything that paths are made of is checked: a port may come from anywhere, and undo deletes what it names."""
    if not isinstance(value, dict) or value.get("schema") != SCHEMA or not is_name(value.get("module")):
        return False
    files = value.get("files")
    listed = isinstance(files, list) and all(isinstance(f, dict) and isinstance(f.get("path"), str) for f in files)
    return listed and isinstance(value.get("repo", {}), dict)


def manifest_path(layout: str, module: str) -> str:
    """Where porter.json stands, relative to the target: beside a plugin's files, out of sight in a tree."""
    return NAME if layout == "plugin" else f"{STATE}/{module}/{NAME}"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

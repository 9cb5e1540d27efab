"""A port on disk: a plugin folder, or one module inside a vLLM tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from porter.changes.manifest import NAME, manifest_path, read_manifest
from porter.changes.state import STATE
from porter.errors import TargetError
from porter.jsontypes import JSONObject
from porter.planning.names import is_name

Layout = Literal["plugin", "tree"]


@dataclass(frozen=True, slots=True)
class Port:
    """`root` is the plugin folder or the tree's source root."""

    root: Path
    layout: Layout
    module: str
    manifest: JSONObject

    @property
    def spec(self) -> str:
        """The port as the command line names it."""
        return str(self.root) if self.layout == "plugin" else f"{self.root}::{self.module}"

    @property
    def repo(self) -> JSONObject:
        return cast(JSONObject, self.manifest.get("repo", {}))

    def files(self) -> tuple[str, ...]:
        """The paths that porter wrote, relative to `root`."""
        files = cast("list[JSONObject]", self.manifest["files"])
        return tuple(str(file["path"]) for file in files)


def load_port(spec: str) -> Port:
    """PORT as typed: a plugin folder, or `TREE::MODULE`. Raises TargetError when there is no port."""
    folder, separator, module = spec.partition("::")
    root = Path(folder).expanduser()
    if separator:
        return _open(root, "tree", module)
    if (root / NAME).is_file():
        return _open_plugin(root)
    ports = _tree_ports(root)
    if len(ports) == 1:
        return ports[0]
    if ports:
        names = ", ".join(port.module for port in ports)
        raise TargetError(f"{spec} holds several ports ({names})", hint=f"name one: {spec}::{ports[0].module}")
    raise TargetError(f"{spec} is no port: it has no {NAME}", hint="porter new-model REPO --plugin DIR")


def find_port(start: Path) -> Port:
    """The port whose porter.json is in or above `start`. Raises TargetError when there is none."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / NAME).is_file():
            return _open_plugin(folder)
        if _tree_ports(folder):
            return load_port(str(folder))
    raise TargetError(f"no port in or above {start}", hint="give PORT: a plugin folder, or TREE::MODULE")


def ported_architectures(root: Path) -> frozenset[str]:
    """The architectures that a tree has from porter, by the manifests that porter left there."""
    facts = [cast(JSONObject, port.manifest.get("facts") or {}).get("architecture") for port in _tree_ports(root)]
    return frozenset(str(fact["value"]) for fact in facts if isinstance(fact, dict) and fact.get("value"))


def _open_plugin(root: Path) -> Port:
    manifest = read_manifest(root / NAME)
    return Port(root.resolve(), "plugin", str(manifest["module"]), manifest)


def _open(root: Path, layout: Layout, module: str) -> Port:
    path = root / manifest_path(layout, module)
    if not is_name(module) or not path.is_file():
        raise TargetError(f"{root}::{module} is no port: porter wrote no module of that name there", where=str(path))
    return Port(root.resolve(), layout, module, read_manifest(path))


def _tree_ports(root: Path) -> list[Port]:
    found = sorted((root / STATE).glob(f"*/{NAME}"))
    return [_open(root, "tree", path.parent.name) for path in found]

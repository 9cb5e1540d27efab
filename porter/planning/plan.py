"""A plan: what would be written, as values. Nothing here touches a disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from porter.jsontypes import JSONObject


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file: `path` relative to the target root, POSIX separators; `old` None = the file must not exist yet."""

    path: str
    old: str | None
    new: str

    @property
    def action(self) -> Literal["create", "edit", "unchanged"]:
        if self.old is None:
            return "create"
        return "unchanged" if self.old == self.new else "edit"


@dataclass(frozen=True, slots=True)
class OpenItem:
    """Something a port still needs from a person."""

    what: str
    why: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """`root` is the target folder; `layout` says what kind of port it is; `manifest` becomes porter.json."""

    root: str
    layout: Literal["plugin", "tree"]
    module: str
    changes: tuple[FileChange, ...]
    todo: tuple[OpenItem, ...] = ()
    manifest: JSONObject = field(default_factory=dict)

    def texts(self) -> Mapping[str, str]:
        return {change.path: change.new for change in self.changes}

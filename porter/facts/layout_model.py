"""The weights layout as values: groups of tensors with their roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from porter.facts.layout_match import Found
from porter.facts.layout_networks import Network, Node
from porter.facts.layout_rows import HOLE, Path, Row
from porter.jsontypes import JSON, JSONObject

Role = Literal["tower", "connector", "language_model", "head", "extra", "side"]
ROLES: tuple[Role, ...] = get_args(Role)
SHOWN_PATTERNS = 400
SHOWN_EXTRA = 24


@dataclass(frozen=True, slots=True)
class Hints:
    """What config.json says that helps where names leave a choice."""

    text_layers: int | None = None
    text_width: int | None = None
    foreign: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """One group: `extra` are names that its kind does not know; `found` what it was matched with."""

    prefix: Path
    role: Role
    kind: str | None
    rows: tuple[Row, ...]
    network: Network | None = None
    found: Found | None = None
    extra: tuple[str, ...] = ()

    @property
    def tensors(self) -> int:
        return sum(row.count for row in self.rows)

    @property
    def name(self) -> str:
        return ".".join(self.prefix)

    def to_json(self) -> JSONObject:
        shown: list[JSON] = [_pattern(row, self.prefix) for row in self.rows[:SHOWN_PATTERNS]]
        value: JSONObject = {"prefix": self.name, "role": self.role, "kind": self.kind, "tensors": self.tensors}
        if self.extra:
            value["extra"] = list(self.extra[:SHOWN_EXTRA])
        if len(self.rows) > SHOWN_PATTERNS:
            value["patterns_left_out"] = len(self.rows) - SHOWN_PATTERNS
        return {**value, "patterns": shown}


@dataclass(frozen=True, slots=True)
class Layout:
    """All groups of a checkpoint; `source` as in the fact `weights_layout`."""

    source: str
    tensors: int
    parts: tuple[Part, ...]
    disagreements: tuple[str, ...] = ()
    top: Node | None = None
    file: str = ""
    """Where the names were read: the index, or the first file of weights."""
    problems: tuple[str, ...] = ()
    """Why headers could not be read, where a file of the checkpoint is broken."""

    def heads(self) -> tuple[str, ...]:
        """The first components of all names."""
        return tuple(self.top.children) if self.top is not None else ()

    def holds(self, prefix: str) -> bool:
        """Whether the checkpoint has tensors below a module path."""
        return self.module(prefix) is not None

    def module(self, prefix: str) -> Node | None:
        node = self.top
        for piece in prefix.split(".") if prefix else ():
            children = node.children if node is not None else {}
            node = children.get(piece) or (children.get(HOLE) if piece.isdecimal() else None)
            if node is None:
                return None
        return node

    def of(self, role: Role) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.role == role)

    def to_json(self) -> JSONObject:
        groups: list[JSON] = [part.to_json() for part in self.parts]
        told: list[JSON] = list(self.disagreements)
        return {"source": self.source, "tensors": self.tensors, "groups": groups, "disagreements": told}


def _pattern(row: Row, prefix: Path) -> JSONObject:
    shape: JSON = list(row.shape) if row.shape is not None else None
    return {"pattern": row.pattern(prefix) or ".".join(row.path), "count": row.count, "shape": shape,
            "dtype": row.dtype}  # fmt: skip


def patch_width(network: Network) -> int | None:
    """The width of a tower, from the shape of its patch embedding."""
    shapes = [row.shape for row in network.patches if row.shape is not None and len(row.shape) in (2, 4, 5)]
    return shapes[0][0] if len(shapes) == 1 else None


def token_shape(network: Network | None) -> tuple[int | None, int | None]:
    """(rows, width) of the token embeddings."""
    shapes = [row.shape for row in network.tokens if row.shape is not None] if network is not None else []
    widths = {shape[1] for shape in shapes}
    if len(widths) != 1:
        return None, None
    return sum(shape[0] for shape in shapes), shapes[0][1]

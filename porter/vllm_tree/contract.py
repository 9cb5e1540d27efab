"""What a tree asks of a model, as named capabilities, each read from the tree's own source with the place it stands.

A capability that the tree does not show is absent; nothing is derived from a version number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from porter.errors import TreeError
from porter.jsontypes import JSON, JSONObject
from porter.vllm_tree.tree import Tree


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing a tree has. `file` is relative to the package; tests/, docs/ and requirements/ to the source root."""

    name: str
    value: JSON
    file: str
    line: int
    text: str = ""

    def to_json(self) -> JSONObject:
        return {"value": self.value, "file": self.file, "line": self.line, "text": self.text}


Reader = Callable[[Tree], "Capability | None"]


@dataclass(slots=True)
class Contract(Mapping[str, "Capability | None"]):
    """Capabilities by name, read on first use. Every known name is a key; an absent capability is None."""

    tree: Tree
    readers: Mapping[str, Reader]
    _read: dict[str, Capability | None] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Capability | None:
        if name not in self._read:
            self._read[name] = self.readers[name](self.tree)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.readers)

    def __len__(self) -> int:
        return len(self.readers)

    def has(self, name: str) -> bool:
        return self[name] is not None

    def value(self, name: str) -> JSON:
        """The capability's value, None when the tree does not have it."""
        capability = self[name]
        return capability.value if capability else None

    def require(self, name: str) -> JSON:
        """Raises TreeError, naming the capability, when the tree does not have it."""
        capability = self[name]
        if capability is None:
            raise TreeError(
                f"this vLLM ({self.tree.version}) lacks what the port needs: {name} was not found in its source",
                where=str(self.tree.package),
            )
        return capability.value

    def text(self, name: str) -> str:
        """A required capability whose value is a string."""
        value = self.require(name)
        if not isinstance(value, str):
            raise TreeError(
                f"this vLLM ({self.tree.version}) has {name} in a form that porter does not know: {value!r}"
            )
        return value

    def to_json(self) -> JSONObject:
        return {name: capability.to_json() if (capability := self[name]) else None for name in self}


def read_contract(tree: Tree) -> Contract:
    """The contract of a tree; files are read when a capability is first asked for."""
    from porter.vllm_tree.capabilities import READERS

    return Contract(tree, READERS)

"""Values of the abstract interpreter. Every value carries where it came from, so that a fact can show its evidence."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from porter.source.codebase import External

MAX_SOURCES = 8
MAX_ITEMS = 200_000
MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Src:
    """One origin of a value: a place in a JSON file or in code."""

    file: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that could not be read; `reason` names what stopped it."""

    reason: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Val:
    """A value with its origins. Containers hold Vals."""

    value: Any
    src: tuple[Src, ...] = ()

    @property
    def known(self) -> bool:
        return not isinstance(self.value, Unknown)


def unknown(reason: str, place: str = "") -> Val:
    return Val(Unknown(reason, place))


def merge_sources(values: Iterable[Val]) -> tuple[Src, ...]:
    """The distinct origins of several values, first come first, at most MAX_SOURCES."""
    seen: dict[Src, None] = {}
    for value in values:
        for source in value.src:
            seen.setdefault(source)
    return tuple(seen)[:MAX_SOURCES]


def plain(value: Any) -> Any:
    """Strip origins: Vals and containers of Vals become Python values; anything symbolic stays as it is.

    A container that holds itself, or the same one over and over, ends in Unknown."""
    return _plain(value, [MAX_ITEMS], 0)


def _plain(value: Any, left: list[int], depth: int) -> Any:
    while isinstance(value, Val):
        value = value.value
    if not isinstance(value, (list, tuple, dict)):
        return value
    left[0] -= len(value)
    if left[0] < 0 or depth > MAX_DEPTH:
        return Unknown("too large")
    if isinstance(value, dict):
        return {key: _plain(item, left, depth + 1) for key, item in value.items()}
    return [_plain(item, left, depth + 1) for item in value]


def is_plain(value: Any) -> bool:
    """Whether a value without origins is known throughout."""
    if isinstance(value, list):
        return len(value) < 100_000 and all(is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(is_plain(item) for item in value.values())
    return value is None or isinstance(value, (bool, int, float, str, range))


def from_json(value: Any, file: str, path: str = "") -> Val:
    """A parsed JSON value with its JSON path as origin; objects become dicts of Vals."""
    inner: Any = value
    if isinstance(value, dict):
        inner = {key: from_json(item, file, f"{path}.{key}" if path else key) for key, item in value.items()}
    elif isinstance(value, list):
        inner = [from_json(item, file, f"{path}[{index}]") for index, item in enumerate(value[:4096])]
    text = repr(value)
    return Val(inner, (Src(file, path, text if len(text) <= 80 else text[:79] + "…"),))


@dataclass(frozen=True, slots=True)
class ClassRef:
    """A class of the code base."""

    file: str
    node: ast.ClassDef

    @property
    def name(self) -> str:
        return self.node.name


@dataclass(slots=True)
class Function:
    """A function of the code base, bound to `owner` (an Instance) when it is a method."""

    file: str
    node: ast.FunctionDef | ast.Lambda
    owner: Instance | None = None
    defining: ClassRef | None = None
    closure: dict[str, Val] = field(default_factory=dict)


@dataclass(slots=True)
class Buffer:
    """A registered buffer: its initial value (usually a ConstTensor) and whether the checkpoint stores it."""

    name: str
    value: Val
    persistent: bool
    place: Src


@dataclass(slots=True, eq=False)
class Instance:
    """An object of a class of the code base. `__init__` runs on first use (`started`)."""

    cls: ClassRef
    args: list[Val]
    kwargs: dict[str, Val]
    attrs: dict[str, Val] = field(default_factory=dict)
    buffers: dict[str, Buffer] = field(default_factory=dict)
    started: bool = False
    path: str = ""


@dataclass(slots=True, eq=False)
class Layer:
    """A call of a class that the code base does not define: `torch.nn.Linear(4, 8)`, `SiglipVisionModel(config)`."""

    cls: External
    args: list[Val]
    kwargs: dict[str, Val]
    place: Src
    items: list[Val] = field(default_factory=list)
    path: str = ""
    attrs: dict[str, Val] = field(default_factory=dict)
    buffers: dict[str, Buffer] = field(default_factory=dict)

    def argument(self, index: int, name: str, default: Any = None) -> Any:
        """The plain value of an argument by name or position."""
        if name in self.kwargs:
            return plain(self.kwargs[name])
        return plain(self.args[index]) if index < len(self.args) else default


@dataclass(frozen=True, slots=True)
class ConstTensor:
    """A tensor built in code: its shape where known, its numbers where they are literals."""

    shape: tuple[int, ...] | None = None
    data: tuple[float, ...] | None = None
    name: str = ""
    parameter: bool = False


@dataclass(frozen=True, slots=True)
class Repeat:
    """A string repeated an unknown number of times: what an image's context tokens look like in code."""

    token: Val


@dataclass(frozen=True, slots=True)
class Pieces:
    """A string put together from known strings (as Vals) and repeats; `looped` when the whole stands there many
    times."""

    parts: tuple[Val | Repeat, ...]
    looped: bool = False

    def inside(self) -> tuple[Val | Repeat, ...]:
        """The parts as they stand between others: what follows each line of repeats separates lines."""
        if self.looped and self.parts and isinstance(self.parts[0], Repeat):
            return tuple(part for part in self.parts if isinstance(part, Repeat))
        return self.parts


@dataclass(frozen=True, slots=True)
class Method:
    """A method looked up on a symbolic or plain value, waiting to be called."""

    owner: Val
    name: str


@dataclass(slots=True, eq=False)
class LibraryConfig:
    """A config object of a class that the code base does not define (`Qwen2Config(**values)`): only what it is
    given."""

    cls: External
    values: dict[str, Val]


def is_unknown(value: Val) -> bool:
    return isinstance(value.value, Unknown)


def child_path(owner: object, name: str) -> str:
    """The attribute path of a child of a module."""
    path = owner.path if isinstance(owner, (Instance, Layer)) else ""
    return f"{path}.{name}" if path else name

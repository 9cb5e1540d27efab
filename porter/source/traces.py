"""What a module computes, as a graph: each operator once, and between operators only where elements come from.

Views, reshapes and permutes leave no trace of how they are spelt: a tensor is the output of one operator, seen through
pieces of its axes. Two ways to write one thing give one graph. A code that cannot be read whole gives none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from porter.source.tensors import Axis, Features, Piece, ShapeError, permute, reshape
from porter.source.values import Layer

Shape = tuple[int, ...]


class Unread(Exception):
    """Code that has no place in a graph; the text says what."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operator. `layer` is the module that holds its weights, `name` what else tells it apart."""

    op: str
    inputs: tuple[Traced, ...] = ()
    numbers: tuple[object, ...] = ()
    layer: Layer | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Traced:
    """A tensor: the output of `node`, its axes named "0", "1", ...; `picked` are the pieces of which one index is
    taken."""

    node: Node
    axes: tuple[Axis, ...]
    picked: tuple[tuple[Piece, int], ...] = ()

    @property
    def shape(self) -> Shape:
        return tuple(prod(piece.size for piece in axis) for axis in self.axes)


@dataclass(slots=True)
class Graph:
    """The operators met so far: the same operator on the same tensors is the same node."""

    nodes: dict[object, Node] = field(default_factory=dict)

    def add(
        self,
        op: str,
        shape: Sequence[int],
        inputs: Sequence[Traced] = (),
        numbers: Sequence[object] = (),
        layer: Layer | None = None,
        name: str = "",
    ) -> Traced:
        key = (op, tuple(inputs), tuple(numbers), id(layer) if layer is not None else None, name)
        node = self.nodes.setdefault(key, Node(op, tuple(inputs), tuple(numbers), layer, name))
        return Traced(node, axes_of(shape))


def axes_of(shape: Sequence[int]) -> tuple[Axis, ...]:
    return tuple((Piece(str(index), 1, size),) if size != 1 else () for index, size in enumerate(shape))


def _moved(tensor: Traced, features: Features) -> Traced:
    return Traced(tensor.node, tuple(tuple(p for p in axis if p.size != 1) for axis in features.axes), tensor.picked)


def reshaped(tensor: Traced, sizes: Sequence[int]) -> Traced:
    """Raises Unread when the sizes do not fit."""
    try:
        return _moved(tensor, reshape(Features(tensor.axes), sizes))
    except ShapeError as error:
        raise Unread(str(error)) from error


def permuted(tensor: Traced, order: Sequence[int]) -> Traced:
    """Raises Unread when the order is none of all axes."""
    try:
        return _moved(tensor, permute(Features(tensor.axes), order))
    except (ShapeError, ZeroDivisionError) as error:
        raise Unread(str(error)) from error


def flattened(tensor: Traced, start: int = 0, end: int = -1) -> Traced:
    shape = tensor.shape
    first, last = start % len(shape), end % len(shape)
    return reshaped(tensor, [*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :]])


def taken(tensor: Traced, axis: int, index: int) -> Traced:
    """One index of an axis, which is gone then."""
    at = axis % len(tensor.axes)
    pieces, picked = list(tensor.axes[at]), list(tensor.picked)
    place = index % prod(piece.size for piece in pieces) if pieces else 0
    for piece in reversed(pieces):
        picked.append((piece, place % piece.size))
        place //= piece.size
    return Traced(tensor.node, (*tensor.axes[:at], *tensor.axes[at + 1 :]), tuple(sorted(picked)))


def parts(tensor: Traced, axis: int, count: int) -> list[Traced]:
    """An axis cut into equal parts, as `chunk` and `split` do."""
    at, shape = axis % len(tensor.axes), tensor.shape
    if count <= 0 or shape[at] % count:
        raise Unread(f"{shape[at]} in {count} parts")
    cut = reshaped(tensor, [*shape[:at], count, shape[at] // count, *shape[at + 1 :]])
    return [taken(cut, at, index) for index in range(count)]


def broadcast(left: Shape, right: Shape) -> Shape:
    """Raises Unread when neither fits the other."""
    longest = max(len(left), len(right))
    pairs = zip((1,) * (longest - len(left)) + left, (1,) * (longest - len(right)) + right, strict=True)
    sizes = []
    for one, other in pairs:
        if one != other and 1 not in (one, other):
            raise Unread(f"{left} beside {right}")
        sizes.append(max(one, other))
    return tuple(sizes)

"""Symbolic tensors: where each element came from, as products of strided pieces of the original axes.

A piece is (axis, stride, size): it contributes index * stride to the index on an original axis. An axis of a tensor is
a list of pieces, major first. Views, reshapes and permutes rearrange pieces exactly, at any real size, without data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import NamedTuple


class Piece(NamedTuple):
    axis: str
    stride: int
    size: int


Axis = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pixel values on their way into the tower; `ops` are the arithmetic steps done to them inside the model."""

    shape: tuple[int, int, int, int]
    ops: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Features:
    """Image features [batch, tokens, channels] after the tower. `steps` records the layers passed, in order."""

    axes: tuple[Axis, ...]
    layer: int | tuple[int, ...] | None = None
    """Which hidden state; a tuple where several stand side by side in the channels."""
    output: str = "last_hidden_state"
    dropped: int = 0
    dropped_end: int = 0
    offset: int = 0
    layer_sources: tuple[object, ...] = ()
    steps: tuple[dict[str, object], ...] = field(default_factory=tuple)
    towers: tuple[int, ...] = ()
    """Identities of the towers whose features stand side by side in the channels, when they are several."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis_size(axis) for axis in self.axes)

    def with_axes(self, axes: Sequence[Axis]) -> Features:
        return replace(self, axes=tuple(axes))


@dataclass(frozen=True, slots=True)
class TowerOutput:
    """What a tower returns: a tensor, or an object with `last_hidden_state` and `hidden_states`; code decides which."""

    last: Features
    layers: int | None
    ops: tuple[tuple[str, str], ...] = ()
    pooled: Features | None = None
    """What the model's code put into `pooler_output`."""
    features: Features | None = None
    """The tokens of patches alone, where the tower gives them apart."""


@dataclass(frozen=True, slots=True)
class HiddenStates:
    """The tuple of hidden states of a tower: embeddings first, then one per layer."""

    output: TowerOutput


class ShapeError(Exception):
    """A view that does not fit the pieces; the caller turns it into an unknown value."""


def axis_size(axis: Axis) -> int:
    return prod(piece.size for piece in axis)


def fresh(name: str, size: int) -> Axis:
    return (Piece(name, 1, size),)


def reshape(tensor: Features, shape: Sequence[int]) -> Features:
    """Regroup the pieces into `shape` (one -1 allowed).

    Raises: ShapeError when the sizes do not divide.
    """
    pieces = [piece for axis in tensor.axes for piece in axis if piece.size != 1]
    total = prod(piece.size for piece in pieces)
    sizes = _resolve_minus_one(list(shape), total)
    axes: list[Axis] = []
    for size in sizes:
        axis, pieces = _take(pieces, size)
        axes.append(axis)
    if pieces:
        raise ShapeError(f"cannot view {tensor.shape} as {tuple(shape)}")
    return tensor.with_axes(axes)


def _resolve_minus_one(shape: list[int], total: int) -> list[int]:
    known = prod(size for size in shape if size != -1)
    if shape.count(-1) > 1 or known <= 0 or total % known or (-1 not in shape and known != total):
        raise ShapeError(f"cannot view {total} elements as {tuple(shape)}")
    return [total // known if size == -1 else size for size in shape]


def _take(pieces: list[Piece], size: int) -> tuple[Axis, list[Piece]]:
    axis: list[Piece] = []
    need = size
    rest = list(pieces)
    while need > 1:
        if not rest:
            raise ShapeError("too few elements")
        piece = rest.pop(0)
        if need % piece.size == 0:
            axis.append(piece)
            need //= piece.size
        elif piece.size % need == 0:
            minor = piece.size // need
            axis.append(Piece(piece.axis, piece.stride * minor, need))
            rest.insert(0, Piece(piece.axis, piece.stride, minor))
            need = 1
        else:
            raise ShapeError(f"cannot split {piece.size} into {need}")
    return _join(axis), rest


def _join(axis: Sequence[Piece]) -> Axis:
    """Join neighbours that are one run of an original axis again, so that equal arrangements compare equal."""
    joined: list[Piece] = []
    for piece in axis:
        if joined and joined[-1].axis == piece.axis and joined[-1].stride == piece.stride * piece.size:
            last = joined.pop()
            joined.append(Piece(piece.axis, piece.stride, last.size * piece.size))
        else:
            joined.append(piece)
    return tuple(joined)


def permute(tensor: Features, order: Sequence[int]) -> Features:
    """Reorder the axes; negative numbers count from the end.

    Raises: ShapeError when `order` is no permutation.
    """
    rank = len(tensor.axes)
    wanted = [index % rank for index in order]
    if sorted(wanted) != list(range(rank)):
        raise ShapeError(f"permute{tuple(order)} of {rank} axes")
    return tensor.with_axes([tensor.axes[index] for index in wanted])


def transpose(tensor: Features, first: int, second: int) -> Features:
    order = list(range(len(tensor.axes)))
    order[first % len(order)], order[second % len(order)] = order[second % len(order)], order[first % len(order)]
    return permute(tensor, order)


def flatten(tensor: Features, start: int = 0, end: int = -1) -> Features:
    rank = len(tensor.axes)
    first, last = start % rank, end % rank
    joined = _join([piece for axis in tensor.axes[first : last + 1] for piece in axis])
    return tensor.with_axes([*tensor.axes[:first], joined, *tensor.axes[last + 1 :]])


def drop_tokens(tensor: Features, axis: int, start: int, stop: int | None) -> Features:
    """Slice tokens off the front or the end of an untouched token axis.

    Raises: ShapeError when the axis has been rearranged already.
    """
    pieces = tensor.axes[axis]
    if len(pieces) != 1 or pieces[0].stride != 1 or pieces[0].axis != "token":
        raise ShapeError("slice of a rearranged axis")
    size = pieces[0].size
    begin = start if start >= 0 else size + start
    end = size if stop is None else (stop if stop >= 0 else size + stop)
    kept = max(min(end, size) - begin, 0)
    axes = [*tensor.axes[:axis], fresh("token", kept), *tensor.axes[axis + 1 :]]
    front = tensor.dropped + begin
    return replace(tensor, axes=tuple(axes), dropped=front, dropped_end=tensor.dropped_end + size - begin - kept)


def every(tensor: Features, axis: int, start: int, step: int) -> Features:
    """Every `step`-th entry of an axis from `start` on, as space-to-depth by slicing does.

    Raises: ShapeError when the axis is not one run of tokens, or the step does not divide it.
    """
    pieces = tensor.axes[axis]
    if len(pieces) != 1 or pieces[0].axis != "token" or step <= 0 or pieces[0].size % step or not 0 <= start < step:
        raise ShapeError("stepped slice")
    piece = pieces[0]
    kept = (Piece("token", piece.stride * step, piece.size // step),)
    axes = (*tensor.axes[:axis], kept, *tensor.axes[axis + 1 :])
    return replace(tensor, axes=axes, offset=tensor.offset + start * piece.stride)


def concatenate(tensors: Sequence[Features], axis: int) -> Features:
    """Put slices of one tensor side by side along an axis: their offsets become pieces of it.

    Raises: ShapeError when they are not slices of the same tensor on a regular grid.
    """
    first = tensors[0]
    if any(
        item.axes != first.axes or item.layer != first.layer or len(item.steps) != len(first.steps) for item in tensors
    ):
        raise ShapeError("different tensors")
    pieces = [Piece("token", stride, size) for stride, size in _factor([item.offset for item in tensors])]
    at = axis % len(first.axes)
    axes = (*first.axes[:at], (*pieces, *first.axes[at]), *first.axes[at + 1 :])
    return replace(first, axes=axes, offset=first.offset)


def side_by_side(tensors: Sequence[Features], axis: int) -> Features:
    """Channels of several hidden states or towers next to each other: each token keeps its place.

    Raises: ShapeError when the tensors do not have the same tokens, or something else than channels is joined.
    """
    first = tensors[0]
    at = axis % len(first.axes)
    rest = [(*item.axes[:at], *item.axes[at + 1 :]) for item in tensors]
    if any(other != rest[0] for other in rest) or any(len(item.steps) != len(first.steps) for item in tensors):
        raise ShapeError("different tokens")
    if any(piece.axis != "channel" for item in tensors for piece in item.axes[at]):
        raise ShapeError("not channels")
    width = fresh("channel", sum(axis_size(item.axes[at]) for item in tensors))
    towers = tuple(dict.fromkeys(tower for item in tensors for tower in item.towers))
    layers = first.layer
    if len(towers) < 2:
        flat = [item.layer if isinstance(item.layer, tuple) else (item.layer,) for item in tensors]
        layers = tuple(layer for group in flat for layer in group if layer is not None)
    joined = first.with_axes([*first.axes[:at], width, *first.axes[at + 1 :]])
    return replace(joined, layer=layers, towers=towers, steps=_all_steps(tensors))


def combined(left: Features, right: Features, step: dict[str, object]) -> Features:
    """Two ways of the same features joined by arithmetic: the steps of both, then the joining one."""
    wider = left if len(left.axes) >= len(right.axes) else right
    return replace(wider, steps=(*_all_steps((left, right)), {**step, "axes": wider.axes}))


def _all_steps(tensors: Sequence[Features]) -> tuple[dict[str, object], ...]:
    """The steps of all, each once, in the order in which they are met."""
    found: list[dict[str, object]] = []
    for item in tensors:
        found.extend(step for step in item.steps if all(step is not other for other in found))
    return tuple(found)


def _factor(offsets: list[int]) -> list[tuple[int, int]]:
    """[0, 1, 8, 9] → [(8, 2), (1, 2)]: strides and sizes, major first."""
    if len(offsets) == 1:
        return []
    step = offsets[1] - offsets[0]
    run = 1
    while run < len(offsets) and offsets[run] == offsets[0] + run * step:
        run += 1
    blocks = [offsets[index : index + run] for index in range(0, len(offsets), run)]
    if any([value - block[0] for value in block] != [index * step for index in range(run)] for block in blocks):
        raise ShapeError("irregular slices")
    return [*_factor(offsets[::run]), (step, run)]


def shuffle_kind(axes: tuple[Axis, ...], grid: int) -> tuple[str, float] | None:
    """Which pixel shuffle gave these axes: ("v1"|"v2"|"other", ratio); ("none", 1.0) for none, None when unreadable.

    With rows r and columns c of the patch grid and a factor k: v2 has tokens (r/k, c/k), v1 the transpose; both have
    channels (row in block, column in block, channel).
    """
    if len(axes) < 2:
        return None
    tokens, channels = [piece for axis in axes[:-1] for piece in axis if piece.axis != "batch"], list(axes[-1])
    count = prod(piece.size for piece in tokens)
    if count == grid * grid + 1 and _untouched(tokens, channels, count):
        return ("none", 1.0)  # the class token is still among them
    if count <= 0 or (grid * grid) % count:
        return None
    factor = round((grid * grid // count) ** 0.5)
    if factor * factor * count != grid * grid:
        return None
    if factor == 1:
        return ("none", 1.0) if _untouched(tokens, channels, grid * grid) else ("other", 1.0)
    if grid % factor:
        return None
    return _block_kind(tokens, channels, grid, factor), 1.0 / factor


def _untouched(tokens: Sequence[Piece], channels: Sequence[Piece], count: int) -> bool:
    """Whether all tokens lie in their own order, beside channels alone."""
    return (_join(tokens) == (Piece("token", 1, count),) or count == 1) and all(p.axis == "channel" for p in channels)


def token_order(axes: tuple[Axis, ...]) -> Axis:
    """How the tokens lie, over all axes but the channels'."""
    return _join([piece for axis in axes[:-1] for piece in axis if piece.axis != "batch" and piece.size != 1])


def _block_kind(tokens: list[Piece], channels: list[Piece], grid: int, factor: int) -> str:
    rows = Piece("token", grid * factor, grid // factor)
    columns = Piece("token", factor, grid // factor)
    inner = [Piece("token", grid, factor), Piece("token", 1, factor)]
    trailing = [piece for piece in channels if piece.axis == "channel"]
    mixed = all(piece.axis == "channel" for piece in channels)  # behind a Linear only the token order is left to see
    ordered = mixed or (_ones(channels) == _ones([*inner, *trailing]) and len(trailing) == 1)
    if ordered and list(_join(_ones(tokens))) == list(_join(_ones([rows, columns]))):
        return "v2"
    if ordered and list(_join(_ones(tokens))) == list(_join(_ones([columns, rows]))):
        return "v1"
    return "other"


def _ones(pieces: Sequence[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.size != 1]

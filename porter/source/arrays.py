"""Small arrays of plain Python numbers, with the few operations by which code puts features among embeddings."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Union

Number = Union[int, float, bool]
Index = tuple[int, ...]


class Unfollowed(Exception):
    """Something that these arrays have no operation for."""


@dataclass(slots=True)
class Array:
    """`data` in row-major order."""

    shape: Index
    data: list[Number]

    @classmethod
    def counted(cls, *shape: int, start: Number = 0) -> Array:
        """All items different, in order."""
        return cls(shape, [start + at for at in range(prod(shape))])

    def at(self, index: Sequence[int]) -> Number:
        return self.data[self.offset(index)]

    def offset(self, index: Sequence[int]) -> int:
        """Where an item stands; dimensions of one item are stretched."""
        place = 0
        for size, at in zip(self.shape, index, strict=True):
            if not -size <= at < size and size != 1:
                raise Unfollowed(f"index {at} of {size}")
            place = place * size + (at % size)
        return place

    def axis(self, dim: int) -> int:
        if not -len(self.shape) <= dim < len(self.shape):
            raise Unfollowed(f"dimension {dim} of {len(self.shape)}")
        return dim % len(self.shape)

    def filled(self, value: Number) -> Array:
        return Array(self.shape, [value] * len(self.data))

    def reshape(self, *shape: int) -> Array:
        known = prod(item for item in shape if item != -1)
        wanted = tuple(len(self.data) // max(1, known) if item == -1 else item for item in shape)
        if prod(wanted) != len(self.data):
            raise Unfollowed(f"{self.shape} as {wanted}")
        return Array(wanted, list(self.data))

    def unsqueeze(self, dim: int) -> Array:
        place = dim % (len(self.shape) + 1)
        return Array((*self.shape[:place], 1, *self.shape[place:]), list(self.data))

    def expand(self, *shape: int) -> Array:
        wanted = tuple(
            mine if size == -1 else size for mine, size in zip(self.shape[-len(shape) :], shape, strict=True)
        )
        return Array(wanted, [self.at(index) for index in every(wanted)])

    def reduced(self, dim: int | None, how: Callable[[list[Number]], Number]) -> Array:
        if dim is None:
            return Array((), [how(self.data)])
        axis = self.axis(dim)
        shape = (*self.shape[:axis], *self.shape[axis + 1 :])
        lines = (
            [self.at((*index[:axis], at, *index[axis:])) for at in range(self.shape[axis])] for index in every(shape)
        )
        return Array(shape, [how(line) for line in lines])

    def cumsum(self, dim: int) -> Array:
        axis = self.axis(dim)
        found: list[Number] = []
        for index in every(self.shape):
            line = [self.at((*index[:axis], at, *index[axis + 1 :])) for at in range(index[axis] + 1)]
            found.append(sum(line))
        return Array(self.shape, found)

    def padded(self, before: int, after: int, value: Number) -> Array:
        """Along the last dimension, of arrays that have one."""
        if len(self.shape) != 1:
            raise Unfollowed("padding of more than one dimension")
        data = [*([value] * before), *self.data, *([value] * after)]
        return Array((len(data),), data)

    def masked_scatter(self, mask: Array, source: Array) -> Array:
        wide = mask.expand(*self.shape)
        given = iter(source.data)
        data = [next(given, None) if here else mine for mine, here in zip(self.data, wide.data, strict=True)]
        if None in data:
            raise Unfollowed("more places than features")
        return Array(self.shape, [item for item in data if item is not None])

    def places(self, key: Sequence[object]) -> tuple[Index, list[Index]]:
        """The shape of what a subscript takes, and where each item of it stands."""
        wanted: list[object] = list(key)
        if any(item is Ellipsis for item in wanted):
            at = next(place for place, item in enumerate(wanted) if item is Ellipsis)
            missing = len(self.shape) - sum(_takes(item) for item in wanted if item is not Ellipsis)
            wanted[at : at + 1] = [slice(None)] * missing
        wanted += [slice(None)] * (len(self.shape) - sum(map(_takes, wanted)))
        if any(isinstance(item, Array) for item in wanted):
            return self._gathered(wanted)
        return self._sliced(wanted)

    def _sliced(self, wanted: list[object]) -> tuple[Index, list[Index]]:
        shape: list[int] = []
        lines: list[Sequence[int]] = []
        for item in wanted:
            if item is None:
                shape.append(1)
                continue
            size = self.shape[len(lines)]
            line = range(size)[item] if isinstance(item, slice) else [_whole(item)]
            lines.append(line)
            if isinstance(item, slice):
                shape.append(len(line))
        return tuple(shape), list(product(*lines))

    def _gathered(self, wanted: list[object]) -> tuple[Index, list[Index]]:
        """Arrays of positions, or one mask, in front; whole dimensions behind."""
        arrays = [item for item in wanted if isinstance(item, Array)]
        behind = wanted[len(arrays) :]
        if wanted[: len(arrays)] != arrays or any(item != slice(None) for item in behind):
            raise Unfollowed("positions between slices")
        if len(arrays) == 1 and all(isinstance(item, bool) for item in arrays[0].data):
            heads = [index for index in every(arrays[0].shape) if arrays[0].at(index)]
            shape: Index = (len(heads),)
        else:
            shape = stretched(*(item.shape for item in arrays))
            heads = [tuple(_whole(item.expand(*shape).at(index)) for item in arrays) for index in every(shape)]
        rest = self.shape[len(self.shape) - len(behind) :]
        return (*shape, *rest), [(*head, *tail) for head in heads for tail in every(rest)]

    def taken(self, key: Sequence[object]) -> Array:
        shape, places = self.places(key)
        return Array(shape, [self.at(place) for place in places])

    def put(self, key: Sequence[object], value: Array | Number) -> None:
        shape, places = self.places(key)
        given = value.expand(*shape).data if isinstance(value, Array) else [value] * len(places)
        for place, item in zip(places, given, strict=True):
            self.data[self.offset(place)] = item


def _takes(item: object) -> int:
    """How many dimensions one part of a subscript stands for."""
    if isinstance(item, Array):
        return len(item.shape) if item.data and all(isinstance(value, bool) for value in item.data) else 1
    return 0 if item is None else 1


def _whole(item: object) -> int:
    if isinstance(item, bool) or not isinstance(item, int):
        raise Unfollowed(f"{item!r} as a position")
    return item


def every(shape: Index) -> Iterator[Index]:
    return product(*map(range, shape))


def stretched(*shapes: Index) -> Index:
    """The shape that several are stretched to."""
    rank = max(map(len, shapes))
    long = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    sizes = [{size for size in column if size != 1} for column in zip(*long, strict=True)]
    if any(len(found) > 1 for found in sizes):
        raise Unfollowed(f"shapes {shapes}")
    return tuple(found.pop() if found else 1 for found in sizes)


def elementwise(how: Callable[..., Number], *sides: Array | Number) -> Array:
    """An operation item by item, smaller sides stretched."""
    arrays = [side if isinstance(side, Array) else Array((), [side]) for side in sides]
    shape = stretched(*(item.shape for item in arrays))
    wide = [Array((1,) * (len(shape) - len(item.shape)) + item.shape, item.data) for item in arrays]
    return Array(shape, [how(*(item.at(index) for item in wide)) for index in every(shape)])


def choose(condition: Number, yes: Number, no: Number) -> Number:
    return yes if condition else no


def inverted(item: Number) -> Number:
    return not item if isinstance(item, bool) else operator.invert(_whole(item))

"""Symbolic rearrangements against index arrays in plain Python: every element must come from the same place."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from porter.source.rearrange import rearranged
from porter.source.tensors import (
    Axis,
    Features,
    ShapeError,
    concatenate,
    drop_tokens,
    every,
    flatten,
    fresh,
    permute,
    reshape,
    shuffle_kind,
    transpose,
)

Origin = tuple[int, ...]


class Array:
    """A dense array whose elements say where they came from: the reference."""

    def __init__(self, shape: tuple[int, ...], cells: list[Origin]) -> None:
        assert len(cells) == prod(shape)
        self.shape = shape
        self.cells = cells

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Array:
        return cls(shape, list(product(*(range(size) for size in shape))))

    def at(self, index: tuple[int, ...]) -> Origin:
        flat = 0
        for position, size in zip(index, self.shape, strict=True):
            flat = flat * size + position
        return self.cells[flat]

    def reshape(self, shape: tuple[int, ...]) -> Array:
        return Array(shape, self.cells)

    def permute(self, order: tuple[int, ...]) -> Array:
        shape = tuple(self.shape[axis] for axis in order)
        cells = []
        for index in product(*(range(size) for size in shape)):
            source = [0] * len(order)
            for axis, position in zip(order, index, strict=True):
                source[axis] = position
            cells.append(self.at(tuple(source)))
        return Array(shape, cells)

    def take(self, axis: int, picked: range) -> Array:
        shape = (*self.shape[:axis], len(picked), *self.shape[axis + 1 :])
        indices = product(*(range(size) for size in shape))
        return Array(shape, [self.at((*i[:axis], picked[i[axis]], *i[axis + 1 :])) for i in indices])

    def join(self, others: list[Array], axis: int) -> Array:
        parts = [self, *others]
        shape = (*self.shape[:axis], self.shape[axis] * len(parts), *self.shape[axis + 1 :])
        size = self.shape[axis]
        indices = product(*(range(length) for length in shape))
        return Array(shape, [parts[i[axis] // size].at((*i[:axis], i[axis] % size, *i[axis + 1 :])) for i in indices])


NAMES = ("batch", "token", "channel")


def features(shape: tuple[int, int, int]) -> Features:
    return Features(tuple(fresh(name, size) for name, size in zip(NAMES, shape, strict=True)))


def cells(tensor: Features) -> list[Origin]:
    """Every element's origin, in the order of the tensor; `offset` shifts the tokens."""
    positions = [list(_axis(axis)) for axis in tensor.axes]
    found = []
    for parts in product(*positions):
        origin = {"batch": 0, "token": tensor.offset, "channel": 0}
        for part in parts:
            for name, value in part.items():
                origin[name] += value
        found.append(tuple(origin[name] for name in NAMES))
    return found


def _axis(axis: Axis) -> list[dict[str, int]]:
    entries = []
    for index in product(*(range(piece.size) for piece in axis)):
        entry: dict[str, int] = {}
        for piece, position in zip(axis, index, strict=True):
            entry[piece.axis] = entry.get(piece.axis, 0) + piece.stride * position
        entries.append(entry)
    return entries


def same(tensor: Features, array: Array) -> None:
    assert tensor.shape == array.shape
    assert cells(tensor) == array.cells


def factors(number: int) -> list[int]:
    return [size for size in range(1, number + 1) if number % size == 0]


@st.composite
def shapes_of(draw: st.DrawFn, total: int) -> tuple[int, ...]:
    sizes: list[int] = []
    rest = total
    for _ in range(draw(st.integers(0, 4))):
        size = draw(st.sampled_from(factors(rest)))
        sizes.append(size)
        rest //= size
    return (*sizes, rest)


starts = st.tuples(st.sampled_from([1, 2]), st.sampled_from([4, 6, 8, 16, 36]), st.sampled_from([1, 2, 4, 6]))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_chains_of_views_and_permutes(data: st.DataObject) -> None:
    """Either the same elements in the same places, or a ShapeError; never a wrong arrangement."""
    shape = data.draw(starts)
    tensor, array = features(shape), Array.of(shape)
    for _ in range(data.draw(st.integers(1, 5))):
        kind = data.draw(st.sampled_from(["reshape", "permute", "transpose", "flatten"]))
        rank = len(array.shape)
        try:
            if kind == "reshape":
                wanted = data.draw(shapes_of(prod(array.shape)))
                tensor, array = reshape(tensor, wanted), array.reshape(wanted)
            elif kind == "permute":
                order = tuple(data.draw(st.permutations(range(rank))))
                tensor, array = permute(tensor, order), array.permute(order)
            elif kind == "transpose":
                first, second = data.draw(st.integers(-rank, rank - 1)), data.draw(st.integers(-rank, rank - 1))
                order_list = list(range(rank))
                order_list[first % rank], order_list[second % rank] = second % rank, first % rank
                tensor, array = transpose(tensor, first, second), array.permute(tuple(order_list))
            else:
                start = data.draw(st.integers(0, rank - 1))
                end = data.draw(st.integers(start, rank - 1))
                joined = (*array.shape[:start], prod(array.shape[start : end + 1]), *array.shape[end + 1 :])
                tensor, array = flatten(tensor, start, end), array.reshape(joined)
        except ShapeError:
            return
        same(tensor, array)


@settings(max_examples=60, deadline=None)
@given(tokens=st.sampled_from([4, 9, 16, 64]), start=st.integers(-4, 4), stop=st.none() | st.integers(-4, 9))
def test_dropped_tokens(tokens: int, start: int, stop: int | None) -> None:
    tensor = drop_tokens(features((1, tokens, 2)), 1, start, stop)
    kept = range(tokens)[start:stop]
    assert tensor.shape == (1, len(kept), 2)
    if kept:
        assert (tensor.dropped, tensor.dropped_end) == (kept[0], tokens - 1 - kept[-1])


@settings(max_examples=60, deadline=None)
@given(grid=st.sampled_from([4, 6, 8]), step=st.sampled_from([2, 3, 4]), rows_first=st.booleans(), last=st.booleans())
def test_strided_slices_put_side_by_side(grid: int, step: int, rows_first: bool, last: bool) -> None:
    shape = (1, grid * grid, 2)
    tensor, array = reshape(features(shape), (1, grid, grid, 2)), Array.of(shape).reshape((1, grid, grid, 2))
    if grid % step:
        with pytest.raises(ShapeError):
            every(tensor, 1, 0, step)
        return
    pairs = [(a, b) if rows_first else (b, a) for a in range(step) for b in range(step)]
    slices = [every(every(tensor, 1, row, step), 2, column, step) for row, column in pairs]
    dense = [array.take(1, range(row, grid, step)).take(2, range(column, grid, step)) for row, column in pairs]
    for one, other in zip(slices, dense, strict=True):
        same(one, other)
    axis = 3 if last else 1
    same(concatenate(slices, axis), dense[0].join(dense[1:], axis))


def test_slices_in_no_order_are_refused() -> None:
    tensor = reshape(features((1, 16, 2)), (1, 4, 4, 2))
    parts = [every(tensor, 1, start, 4) for start in (0, 1, 3, 2)]
    with pytest.raises(ShapeError):
        concatenate(parts, 3)


def test_slices_of_different_layers_are_refused() -> None:
    tensor = features((1, 16, 2))
    other = Features(tensor.axes, layer=-2)
    with pytest.raises(ShapeError):
        concatenate([tensor, other], 2)


@settings(max_examples=40, deadline=None)
@given(grid=st.sampled_from([2, 4, 6]), factor=st.sampled_from([2, 3]), order=st.permutations("bhikjc"))
def test_rearrange_patterns(grid: int, factor: int, order: list[str]) -> None:
    tensor, array = features((1, grid * grid, 2)), Array.of((1, grid * grid, 2))
    right = " ".join(order)
    if grid % factor:
        with pytest.raises(ShapeError):
            rearranged(tensor, f"b (h i k j) c -> {right}", {"i": factor, "j": factor, "h": grid // factor, "k": 5})
        return
    pattern = f"b (h i k j) c -> {right}"
    found = rearranged(tensor, pattern, {"i": factor, "j": factor, "h": grid // factor})
    sizes = (1, grid // factor, factor, grid // factor, factor, 2)
    same(found, array.reshape(sizes).permute(tuple("bhikjc".index(name) for name in order)))


@pytest.mark.parametrize("pattern", ["b (h w c", "b n c", "b n c -> b n", "b n c -> b n d", "b n) c -> b n c", ""])
def test_broken_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ShapeError):
        rearranged(features((1, 16, 2)), pattern, {})


@pytest.mark.parametrize("shape", [(1, 15, 2), (-1, -1, 2), (0, 16, 2), (-2, 16, 2), (1, 16, 2, 0), (1, 5, -1)])
def test_views_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        reshape(features((1, 16, 2)), shape)


def internvl_shuffle(tensor: Features, grid: int, factor: int, version: str) -> Features:
    """The pixel shuffle of chat models: view, swap, view, and for v2 swap again."""
    channels = tensor.shape[-1]
    x = reshape(tensor, (1, grid, grid // factor, channels * factor))
    x = reshape(permute(x, (0, 2, 1, 3)), (1, grid // factor, grid // factor, channels * factor * factor))
    return permute(x, (0, 2, 1, 3)) if version == "v2" else x


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(("grid", "factor"), [(4, 2), (6, 3), (16, 2), (32, 4), (27 * 2, 2)])
def test_kind_of_the_two_shuffles(version: str, grid: int, factor: int) -> None:
    shuffled = internvl_shuffle(features((1, grid * grid, 8)), grid, factor, version)
    kind = shuffle_kind(shuffled.axes, grid)
    assert kind is not None
    assert kind[0] == version
    assert kind[1] == pytest.approx(1 / factor)
    flat = reshape(shuffled, (1, -1, shuffled.shape[-1]))
    assert shuffle_kind(flat.axes, grid) == kind


def test_kind_of_no_shuffle() -> None:
    assert shuffle_kind(features((1, 16, 8)).axes, 4) == ("none", 1.0)
    assert shuffle_kind(reshape(features((1, 16, 8)), (1, 4, 4, 8)).axes, 4) == ("none", 1.0)


def test_kind_of_a_transposed_grid_is_no_known_one() -> None:
    turned = transpose(reshape(features((1, 16, 8)), (1, 4, 4, 8)), 1, 2)
    assert shuffle_kind(turned.axes, 4) == ("other", 1.0)


def test_pixel_unshuffle_orders_channels_first() -> None:
    """torch's pixel_unshuffle keeps the channel major: the same tokens as v2, other channels."""
    x = permute(reshape(features((1, 16, 8)), (1, 4, 4, 8)), (0, 3, 1, 2))
    x = permute(reshape(x, (1, 8, 2, 2, 2, 2)), (0, 1, 3, 5, 2, 4))
    x = permute(reshape(x, (1, 32, 2, 2)), (0, 2, 3, 1))
    assert shuffle_kind(x.axes, 4) == ("other", 0.5)


def test_six_axes_are_v2() -> None:
    x = permute(reshape(features((1, 64, 8)), (1, 4, 2, 4, 2, 8)), (0, 1, 3, 2, 4, 5))
    assert shuffle_kind(reshape(x, (1, 16, 32)).axes, 8) == ("v2", 0.5)


def test_blocks_with_columns_first_are_another_shuffle() -> None:
    x = permute(reshape(features((1, 64, 8)), (1, 4, 2, 4, 2, 8)), (0, 1, 3, 4, 2, 5))
    assert shuffle_kind(reshape(x, (1, 16, 32)).axes, 8) == ("other", 0.5)


@pytest.mark.parametrize(("tokens", "grid"), [(12, 4), (8, 4), (5, 4), (32, 4)])
def test_counts_that_are_no_square_have_no_kind(tokens: int, grid: int) -> None:
    assert shuffle_kind(features((1, tokens, 8)).axes, grid) is None


def test_non_square_merges_have_no_kind() -> None:
    x = reshape(features((1, 16, 8)), (1, 4, 2, 16))
    assert shuffle_kind(x.axes, 4) is None

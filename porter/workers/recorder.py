"""Who wrote which elements: watches every tensor operation while a model loads weights that hold no data.

Checkpoint tensors are meta tensors, told apart by their storage. Whatever a loader derives from them (views, chunks,
concatenations, casts) inherits their names, and a write into a parameter's storage is recorded as element ranges.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Interval = tuple[int, int]
_MAX_INTERVALS = 1 << 17


@dataclass
class Fill:
    """One write: the checkpoint tensors it came from, and the flat element ranges of the parameter."""

    sources: frozenset[str]
    intervals: tuple[Interval, ...]


@dataclass
class Recorder:
    """`fills` by parameter name. `targets` maps a storage to (name, shape)."""

    targets: dict[int, tuple[str, tuple[int, ...]]]
    origins: dict[int, frozenset[str]] = field(default_factory=dict)
    fills: dict[str, list[Fill]] = field(default_factory=dict)
    scalar: frozenset[str] = frozenset()
    _writes: dict[Any, tuple[int, ...]] = field(default_factory=dict)

    def mode(self) -> Any:
        """A context manager under which every tensor operation is seen."""
        from torch.utils._python_dispatch import TorchDispatchMode

        recorder = self

        class Mode(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                return recorder.dispatch(func, args, kwargs or {})

        return Mode()

    def name_source(self, tensor: Any, name: str) -> None:
        self.origins[storage_of(tensor)] = frozenset({name})

    def dispatch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        inputs = list(tensors_in(itertools.chain(args, kwargs.values())))
        sources = frozenset().union(*(self.origins.get(storage_of(tensor), frozenset()) for tensor in inputs))
        if "_local_scalar_dense" in str(func) and inputs and inputs[0].is_meta:
            self.scalar = sources
            return inputs[0].dtype.is_floating_point * 1.0 or 1
        result = func(*args, **kwargs)
        written = [args[position] for position in self._written(func) if position < len(args)]
        for tensor in tensors_in(written):
            self._write(tensor, sources or self.scalar)
        if written:
            self.scalar = frozenset()
        known = {storage_of(tensor) for tensor in inputs}
        for tensor in tensors_in((result,)):
            if (storage := storage_of(tensor)) not in known:
                self.origins[storage] = sources
        return result

    def _written(self, func: Any) -> tuple[int, ...]:
        if func not in self._writes:
            arguments = func._schema.arguments
            self._writes[func] = tuple(
                position
                for position, argument in enumerate(arguments)
                if argument.alias_info is not None and argument.alias_info.is_write
            )
        return self._writes[func]

    def _write(self, tensor: Any, sources: frozenset[str]) -> None:
        storage = storage_of(tensor)
        target = self.targets.get(storage)
        if target is None:
            self.origins[storage] = self.origins.get(storage, frozenset()) | sources
        elif sources:
            name, shape = target
            self.fills.setdefault(name, []).append(Fill(sources, tuple(intervals_of(tensor, shape))))


def storage_of(tensor: Any) -> int:
    return int(tensor.untyped_storage()._cdata)


def tensors_in(values: Iterable[Any]) -> Iterator[Any]:
    import torch

    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)


def intervals_of(view: Any, shape: tuple[int, ...]) -> Iterator[Interval]:
    """Flat element ranges of a view into a parameter, fewest first; whole parameter when the view is too ragged."""
    dims = sorted(((stride, size) for size, stride in zip(view.shape, view.stride(), strict=True) if size > 1))
    start, run = view.storage_offset(), 1
    while dims and dims[0][0] == run:
        run *= dims.pop(0)[1]
    count = 1
    for _, size in dims:
        count *= size
    if count > _MAX_INTERVALS:
        yield 0, _product(shape)
        return
    for steps in itertools.product(*(range(size) for _, size in dims)):
        low = start + sum(step * stride for step, (stride, _) in zip(steps, dims, strict=True))
        yield low, low + run


def _product(shape: Iterable[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def coverage(fills: list[Fill], limit: int) -> tuple[int, list[tuple[str, str]]]:
    """Elements below `limit` that have a source, and the pairs of sources that claim the same element."""
    spans = sorted((low, high, sorted(fill.sources)) for fill in fills for low, high in fill.intervals)
    covered, reach, owner = 0, 0, None
    clashes: dict[tuple[str, str], None] = {}
    for low, high, sources in spans:
        if low < reach and owner is not None and sources != owner:
            clashes.setdefault((owner[0], sources[0]))
        covered += max(0, min(high, limit) - max(low, reach))
        if high > reach:
            reach, owner = high, sources
    return covered, list(clashes)

"""Operators that a graph knows: methods and functions of tensors, and layers of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from porter.source.outside import ACTIVATIONS
from porter.source.rearrange import rearranged
from porter.source.tensors import Features, ShapeError
from porter.source.traces import Graph, Traced, Unread, flattened, parts, permuted, reshaped, taken
from porter.source.values import Layer

INERT = ("Identity", "Dropout", "DropPath")
NORMS = ("LayerNorm", "RMSNorm")
ACTS = frozenset(op for op, _ in ACTIVATIONS.values() if op != "Identity")
Method = Callable[..., Any]


def call_leaf(graph: Graph, layer: Layer, args: list[Any], kwargs: dict[str, Any]) -> Traced:
    """A layer of torch on one tensor. Raises Unread for one that has no place here."""
    name, (x, *rest) = layer.cls.name, [*args, *kwargs.values()] or [None]
    if not isinstance(x, Traced) or rest:
        raise Unread(f"{name} of {len(args)} values")
    if name in INERT:
        return x
    if name == "Linear":
        inner, outer = layer.argument(0, "in_features"), layer.argument(1, "out_features")
        if inner != x.shape[-1] or not isinstance(outer, int):
            raise Unread(f"a Linear of {inner} on {x.shape}")
        return graph.add("linear", (*x.shape[:-1], outer), [x], layer=layer)
    if name.endswith(NORMS):
        return graph.add("norm", x.shape, [x], [name], layer)
    if name == "Conv2d":
        return _convolved(graph, layer, x)
    plain = name.removesuffix("Activation")
    if plain in ACTS:
        approximate = layer.argument(0, "approximate", "none") if plain == "GELU" else "none"
        return graph.add("act", x.shape, [x], [plain, approximate])
    raise Unread(f"a layer that is not known: {name}")


def _convolved(graph: Graph, layer: Layer, x: Traced) -> Traced:
    """A convolution over patches that do not overlap."""
    size, step = layer.argument(2, "kernel_size"), layer.argument(3, "stride", 1)
    sides = size if isinstance(size, list) else [size, size]
    others = [layer.argument(4, "padding", 0), layer.argument(5, "dilation", 1), layer.argument(6, "groups", 1)]
    plain = step in (size, sides) and others == [0, 1, 1] and len(x.shape) == 4
    outer, whole = layer.argument(1, "out_channels"), all(isinstance(side, int) and side > 0 for side in sides)
    if not plain or not whole or not isinstance(outer, int):
        raise Unread("a convolution that is none over patches")
    grid = [length // side for length, side in zip(x.shape[2:], sides, strict=True)]
    return graph.add("conv", (x.shape[0], outer, *grid), [x], layer=layer)


def _interpolate(
    graph: Graph, x: Traced, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: Any = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> Traced:  # fmt: skip
    sides = [size, size] if isinstance(size, int) else size
    if scale_factor is not None or antialias or not isinstance(sides, list) or len(sides) != len(x.shape) - 2:
        raise Unread("a picture resized by a factor")
    return graph.add("interpolate", (*x.shape[:2], *sides), [x], [mode, bool(align_corners)])


def _sizes(values: Sequence[Any]) -> list[int]:
    sizes = values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
    if not all(isinstance(size, int) and not isinstance(size, bool) for size in sizes):
        raise Unread(f"sizes {sizes}")
    return list(sizes)


def _same(graph: Graph, x: Traced, *args: Any, **kwargs: Any) -> Traced:
    return x


def _reshape(graph: Graph, x: Traced, *sizes: Any) -> Traced:
    return reshaped(x, _sizes(sizes))


def _permute(graph: Graph, x: Traced, *order: Any) -> Traced:
    return permuted(x, _sizes(order))


def _transpose(graph: Graph, x: Traced, first: int, second: int) -> Traced:
    order = list(range(len(x.shape)))
    order[first], order[second] = order[second], order[first]
    return permuted(x, order)


def _flatten(graph: Graph, x: Traced, start_dim: int = 0, end_dim: int = -1) -> Traced:
    return flattened(x, start_dim, end_dim)


def _unflatten(graph: Graph, x: Traced, dim: int, sizes: list[int]) -> Traced:
    at = dim % len(x.shape)
    return reshaped(x, [*x.shape[:at], *sizes, *x.shape[at + 1 :]])


def _unsqueeze(graph: Graph, x: Traced, dim: int) -> Traced:
    at = dim % (len(x.shape) + 1)
    return Traced(x.node, (*x.axes[:at], (), *x.axes[at:]), x.picked)


def _squeeze(graph: Graph, x: Traced, dim: int) -> Traced:
    at = dim % len(x.shape)
    return x if x.axes[at] else Traced(x.node, (*x.axes[:at], *x.axes[at + 1 :]), x.picked)


def _expand(graph: Graph, x: Traced, *sizes: Any) -> Traced:
    wanted = _sizes(sizes)
    shape = (1,) * (len(wanted) - len(x.shape)) + x.shape
    made = tuple(old if new == -1 else new for old, new in zip(shape, wanted, strict=True))
    if any(old not in (1, new) for old, new in zip(shape, made, strict=True)):
        raise Unread(f"{x.shape} expanded to {wanted}")
    return x if made == x.shape else graph.add("expand", made, [x])


def _repeat(graph: Graph, x: Traced, *counts: Any) -> Traced:
    times = _sizes(counts)
    shape = (1,) * (len(times) - len(x.shape)) + x.shape
    if any(size != 1 and count != 1 for size, count in zip(shape, times, strict=True)):
        raise Unread("rows that stand there again and again")
    return _expand(graph, x, *(size * count for size, count in zip(shape, times, strict=True)))


def _size(graph: Graph, x: Traced, dim: int | None = None) -> Any:
    return list(x.shape) if dim is None else x.shape[dim]


def _unbind(graph: Graph, x: Traced, dim: int = 0) -> list[Traced]:
    return [taken(x, dim, index) for index in range(x.shape[dim])]


def _chunk(graph: Graph, x: Traced, chunks: int, dim: int = 0) -> list[Traced]:
    return parts(x, dim, chunks)


def _split(graph: Graph, x: Traced, split_size: Any, dim: int = 0) -> list[Traced]:
    sizes = split_size if isinstance(split_size, list) else [split_size] * (x.shape[dim] // split_size)
    if len(set(sizes)) != 1 or sum(sizes) != x.shape[dim]:
        raise Unread(f"{x.shape[dim]} split into {sizes}")
    return parts(x, dim, len(sizes))


def _index(graph: Graph, x: Traced, indices: list[Any]) -> Traced:
    """Whole axes, new ones, and single entries; a part of an axis is an operator of its own."""
    at = 0
    for index in indices:
        if index is None:
            x, at = _unsqueeze(graph, x, at), at + 1
        elif isinstance(index, slice):
            x, at = _sliced(graph, x, at, index), at + 1
        elif isinstance(index, int) and not isinstance(index, bool):
            x = taken(x, at, index)
        else:
            raise Unread("an index that is no number")
    return x


def _sliced(graph: Graph, x: Traced, at: int, cut: slice) -> Traced:
    kept = range(x.shape[at])[cut]
    if len(kept) == x.shape[at] and kept.step == 1:
        return x
    shape = (*x.shape[:at], len(kept), *x.shape[at + 1 :])
    return graph.add("slice", shape, [x], [at, kept.start, kept.stop, kept.step])


def _softmax(graph: Graph, x: Traced, dim: int = -1, dtype: Any = None) -> Traced:
    return graph.add("softmax", x.shape, [x], [dim % len(x.shape)])


def _attention(
    graph: Graph, query: Traced, key: Traced, value: Traced, attn_mask: Any = None, dropout_p: Any = 0.0,
    is_causal: bool = False, scale: float | None = None,
) -> Traced:  # fmt: skip
    if attn_mask is not None or is_causal or dropout_p not in (0, None):
        raise Unread("attention with a mask")
    shape = (*query.shape[:-1], value.shape[-1])
    return graph.add("attention", shape, [query, key, value], [scale or query.shape[-1] ** -0.5])


def _cat(graph: Graph, tensors: list[Traced], dim: int = 0) -> Traced:
    first = tensors[0]
    at = dim % len(first.shape)
    if any(
        (*item.shape[:at], *item.shape[at + 1 :]) != (*first.shape[:at], *first.shape[at + 1 :]) for item in tensors
    ):
        raise Unread("tensors of unlike shapes side by side")
    shape = (*first.shape[:at], sum(item.shape[at] for item in tensors), *first.shape[at + 1 :])
    return graph.add("cat", shape, tensors, [at])


def _act(op: str) -> Method:
    def act(graph: Graph, x: Traced, approximate: str = "none", inplace: bool = False) -> Traced:
        return graph.add("act", x.shape, [x], [op, approximate])

    return act


def _rearrange(graph: Graph, x: Traced, pattern: str, **sizes: int) -> Traced:
    try:
        done = rearranged(Features(x.axes), pattern, sizes)
    except ShapeError as error:
        raise Unread(str(error)) from error
    return Traced(x.node, tuple(tuple(p for p in axis if p.size != 1) for axis in done.axes), x.picked)


METHODS: Mapping[str, Method] = {
    **dict.fromkeys(("contiguous", "clone", "to", "float", "type_as", "detach"), _same),
    **dict.fromkeys(("reshape", "view"), _reshape),
    **dict.fromkeys(("transpose", "swapaxes"), _transpose),
    **dict.fromkeys(("chunk",), _chunk),
    "permute": _permute, "flatten": _flatten, "unflatten": _unflatten, "unsqueeze": _unsqueeze, "squeeze": _squeeze,
    "expand": _expand, "repeat": _repeat, "size": _size, "unbind": _unbind, "split": _split, "softmax": _softmax,
    "index": _index,
}  # fmt: skip
FUNCTIONS: Mapping[str, Method] = {
    **{name: METHODS[name] for name in ("reshape", "transpose", "permute", "flatten", "chunk", "unbind", "split")},
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "scaled_dot_product_attention": _attention, "softmax": _softmax, "dropout": _same, "rearrange": _rearrange,
    "interpolate": _interpolate, "gelu": _act("GELU"), "silu": _act("SiLU"), "relu": _act("ReLU"), "tanh": _act("Tanh"),
}  # fmt: skip

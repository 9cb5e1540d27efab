"""Operations after which tokens are no longer the tower's own: pooling, convolution, resizing, learnt queries.

Blocks cut without arithmetic (`unfold`, `pixel_unshuffle`) stay exact rearrangements.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from porter.source.tensors import Features, Pixels, ShapeError, fresh, permute, reshape
from porter.source.values import ConstTensor, Src, Val, plain

if TYPE_CHECKING:
    from porter.source.interpreter import Frame, Interpreter

POOLED = "pooled"
POOLS = ("AvgPool2d", "MaxPool2d", "AvgPool1d", "MaxPool1d")
ADAPTIVE = ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AdaptiveAvgPool1d", "AdaptiveMaxPool1d")
CONVOLUTIONS = ("Conv1d", "Conv2d")
MAX_SIDE = 1 << 16


def given(args: list[Val], kwargs: dict[str, Val], index: int, *names: str) -> Any:
    """The plain value of an argument by position or any of its names; None when it is not given."""
    for name in names:
        if name in kwargs:
            return plain(kwargs[name])
    return plain(args[index]) if index < len(args) else None


def pair(value: Any, count: int) -> list[int] | None:
    """`3` or `(3, 3)` as `count` numbers."""
    numbers = value if isinstance(value, list) else [value] * count
    fits = len(numbers) == count and all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
    return numbers if fits else None


def resized(features: Features, sizes: list[int], op: str, **details: object) -> Features:
    """The trailing axes of [batch, channel, *grid] get `sizes`; what the tokens are is mixed from then on."""
    if any(not 0 < size < MAX_SIDE for size in sizes):
        raise ShapeError(f"{op} to {sizes}")
    kept = features.axes[: len(features.axes) - len(sizes)]
    done = marked(features, op, **details)
    if tuple(sizes) == features.shape[len(kept) :]:
        return done
    return done.with_axes([*kept, *(fresh(POOLED, size) for size in sizes)])


def marked(features: Features, op: str, **details: object) -> Features:
    """One step of that name, with the arrangement that it sees."""
    return replace(features, steps=(*features.steps, {"op": op, **details, "axes": features.axes}))


def pooled(features: Features, kernel: Any, stride: Any, padding: Any, op: str, **details: object) -> Features:
    """A window of `kernel` every `stride` over the trailing axes.

    Raises: ShapeError when its numbers are not known.
    """
    count = len(features.axes) - 2
    windows, steps = pair(kernel, count), pair(kernel if stride is None else stride, count)
    edges = pair(0 if padding is None else padding, count)
    if count < 1 or windows is None or steps is None or edges is None or min(steps) < 1:
        raise ShapeError(op)
    old = features.shape[2:]
    sizes = [(n + 2 * e - k) // s + 1 for n, k, s, e in zip(old, windows, steps, edges, strict=True)]
    return resized(features, sizes, op, kernel=windows, stride=steps, **details)


def adaptive(features: Features, size: Any, op: str, **details: object) -> Features:
    count = len(features.axes) - 2
    sizes = pair(size, count)
    if count < 1 or sizes is None:
        raise ShapeError(op)
    return resized(features, sizes, op, size=sizes, **details)


def interpolated(features: Features, size: Any, scale: Any) -> Features:
    count = len(features.axes) - 2
    if size is None and isinstance(scale, (int, float)) and count > 0:
        size = [int(side * scale) for side in features.shape[2:]]
    return adaptive(features, size, "interpolate")


def unfolded(features: Features, kernel: Any, stride: Any) -> Features:
    """`F.unfold` of [N, C, H, W] with windows that do not overlap: [N, C * k * k, tokens]."""
    windows = pair(kernel, 2)
    if len(features.axes) != 4 or windows is None or pair(stride, 2) != windows:
        raise ShapeError("unfold")
    n, c, h, w = features.shape
    k, q = windows
    split = reshape(features, (n, c, h // k, k, w // q, q))
    return reshape(permute(split, (0, 1, 3, 5, 2, 4)), (n, c * k * q, (h // k) * (w // q)))


def windows_of(features: Features, axis: Any, size: Any, step: Any) -> Features:
    """`tensor.unfold(axis, size, step)` without overlap: the windows' inside becomes the last axis."""
    if not isinstance(axis, int) or not isinstance(size, int) or size != step or size <= 0:
        raise ShapeError("unfold")
    at, shape = axis % len(features.axes), features.shape
    split = reshape(features, (*shape[:at], shape[at] // size, size, *shape[at + 1 :]))
    order = [index for index in range(len(split.axes)) if index != at + 1]
    return permute(split, [*order, at + 1])


def averaged(features: Features, axis: Any, keep: bool) -> Features:
    """`tensor.mean(axis)`: that axis goes."""
    if not isinstance(axis, int):
        raise ShapeError("mean")
    at = axis % len(features.axes)
    kept = ((),) if keep else ()
    return marked(features, "mean", dim=at).with_axes([*features.axes[:at], *kept, *features.axes[at + 1 :]])


def queried(query: ConstTensor | Features, source: Features, width: Any, op: str, **details: object) -> Features:
    """Attention of learnt queries (or of features) over features: as many tokens as there are queries."""
    done = marked(source, op, **details)
    if isinstance(query, Features):
        return done.with_axes(query.axes)
    shape = query.shape or ()
    if len(shape) < 2 or not isinstance(shape[-2], int):
        raise ShapeError("queries of unknown number")
    channels = width if isinstance(width, int) else shape[-1]
    return done.with_axes([fresh("batch", 1), fresh(POOLED, shape[-2]), fresh("channel", channels)])


def safely(args: list[Val], run: Any) -> Val | None:
    """The value that `run` makes of the features in front; pixels pass, anything else is not known."""
    subject = args[0].value if args else None
    if isinstance(subject, Pixels):
        return args[0]
    if not isinstance(subject, Features):
        return None
    try:
        made = run(subject)
    except (ShapeError, IndexError, TypeError, ZeroDivisionError, OverflowError):
        return None
    return Val(made, args[0].src)


def _pool(op: str) -> Any:
    def handler(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
        kernel, stride = given(args, kwargs, 1, "kernel_size"), given(args, kwargs, 2, "stride")
        padding = given(args, kwargs, 3, "padding")
        return safely(args, lambda features: pooled(features, kernel, stride, padding, op, line=place.where))

    return handler


def _adaptive(op: str) -> Any:
    def handler(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
        size = given(args, kwargs, 1, "output_size")
        return safely(args, lambda features: adaptive(features, size, op, line=place.where))

    return handler


def _interpolate(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    size, scale = given(args, kwargs, 1, "size"), given(args, kwargs, 2, "scale_factor")
    return safely(args, lambda features: interpolated(features, size, scale))


def _unfold(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    kernel, stride = given(args, kwargs, 1, "kernel_size"), given(args, kwargs, 4, "stride")
    return safely(args, lambda features: unfolded(features, kernel, stride))


def _windows(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    axis, size = given(args, kwargs, 1, "dimension"), given(args, kwargs, 2, "size")
    step = given(args, kwargs, 3, "step")
    return safely(args, lambda features: windows_of(features, axis, size, step))


def _mean(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    axis, keep = given(args, kwargs, 1, "dim", "axis"), given(args, kwargs, 2, "keepdim") is True
    return safely(args, lambda features: averaged(features, axis, keep))


def _chunk(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    """`chunk(n, dim)` of the channels: `n` halves of the same features."""
    subject, count = args[0].value if args else None, given(args, kwargs, 1, "chunks")
    axis = given(args, kwargs, 2, "dim")
    if not isinstance(subject, Features) or not isinstance(count, int) or not 0 < count <= 8:
        return None
    width = subject.shape[-1]
    if axis not in (-1, len(subject.axes) - 1) or width % count:
        return None
    part = marked(subject, "chunk", line=place.where).with_axes([*subject.axes[:-1], fresh("channel", width // count)])
    return Val([Val(part, args[0].src) for _ in range(count)], args[0].src)


def _attend(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    """`scaled_dot_product_attention(q, k, v)`."""
    values = [*args[:3], *(kwargs[name] for name in ("query", "key", "value") if name in kwargs)]
    source = next((v.value for v in values[1:] if isinstance(v.value, Features)), None)
    query = values[0].value if values else None
    if source is None or not isinstance(query, (Features, ConstTensor)):
        return None
    try:
        return Val(queried(query, source, None, "attention", line=place.where), values[0].src)
    except ShapeError:
        return None


POOLING_FUNCTIONS: dict[str, Any] = {
    "torch.nn.functional.avg_pool2d": _pool("AvgPool2d"),
    "torch.nn.functional.max_pool2d": _pool("MaxPool2d"),
    "torch.nn.functional.avg_pool1d": _pool("AvgPool1d"),
    "torch.nn.functional.max_pool1d": _pool("MaxPool1d"),
    "torch.nn.functional.adaptive_avg_pool2d": _adaptive("AdaptiveAvgPool2d"),
    "torch.nn.functional.adaptive_avg_pool1d": _adaptive("AdaptiveAvgPool1d"),
    "torch.nn.functional.adaptive_max_pool2d": _adaptive("AdaptiveMaxPool2d"),
    "torch.nn.functional.interpolate": _interpolate,
    "torch.nn.functional.unfold": _unfold,
    "torch.nn.functional.scaled_dot_product_attention": _attend,
    "torch.mean": _mean,
    "torch.chunk": _chunk,
}
POOLING_METHODS: dict[str, Any] = {"unfold": _windows, "mean": _mean, "chunk": _chunk}

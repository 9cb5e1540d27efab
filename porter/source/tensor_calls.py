"""Functions and methods on symbolic tensors, by name."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from porter.source import layers, outside
from porter.source.inside import with_class_token
from porter.source.pooling import POOLING_FUNCTIONS, POOLING_METHODS
from porter.source.rearrange import einsum, rearrange
from porter.source.tensors import (
    Features,
    Pixels,
    ShapeError,
    TowerOutput,
    combined,
    concatenate,
    flatten,
    permute,
    reshape,
    side_by_side,
    transpose,
)
from porter.source.values import ConstTensor, Src, Val, plain

if TYPE_CHECKING:
    from porter.source.interpreter import Frame, Interpreter

Handler = Callable[["Interpreter", list[Val], dict[str, Val], Src, "Frame"], "Val | None"]
Shaper = Callable[[Features, list[Any]], Features]


def _same(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    return args[0] if args else None


def _shaping(shaper: Shaper) -> Handler:
    """A method that rearranges features; pixels and constants pass unchanged."""

    def handler(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
        if not args:
            return None
        subject = args[0].value.last if isinstance(args[0].value, TowerOutput) else args[0].value
        numbers = _numbers([*args[1:], *kwargs.values()])
        if isinstance(subject, ConstTensor):
            shape = _const_shape(subject, numbers, place.text)
            return Val(ConstTensor(shape, subject.data, subject.name, subject.parameter), args[0].src)
        if isinstance(subject, Pixels):
            return args[0]
        if not isinstance(subject, Features) or numbers is None:
            return None
        try:
            return Val(shaper(subject, numbers), args[0].src)
        except (ShapeError, IndexError, TypeError, ZeroDivisionError):
            return None

    return handler


def _const_shape(tensor: ConstTensor, numbers: list[int] | None, text: str) -> tuple[int, ...] | None:
    """The shape of a constant after a view or reshape to known sizes."""
    count = prod(tensor.shape) if tensor.shape is not None else len(tensor.data or ())
    if "unsqueeze(" in text:
        return tensor.shape
    if not numbers or not any(word in text for word in ("view(", "reshape(")) or not count:
        return None
    known = prod(size for size in numbers if size != -1)
    return tuple(count // known if size == -1 else size for size in numbers) if known > 0 else None


def _numbers(values: list[Val]) -> list[int] | None:
    flat: list[Any] = []
    for value in values:
        inner = plain(value)
        flat.extend(inner if isinstance(inner, list) else [inner])
    if any(isinstance(item, float) and item.is_integer() for item in flat):
        flat = [int(item) if isinstance(item, float) and item.is_integer() else item for item in flat]
    return flat if all(isinstance(item, int) and not isinstance(item, bool) for item in flat) else None


def _squeeze(tensor: Features, numbers: list[Any]) -> Features:
    return tensor.with_axes([axis for index, axis in enumerate(tensor.axes) if not _dropped(tensor, index, numbers)])


def _dropped(tensor: Features, index: int, numbers: list[Any]) -> bool:
    chosen = not numbers or index == numbers[0] % len(tensor.axes)
    return chosen and tensor.shape[index] == 1 and tensor.axes[index] == ()


def _unsqueeze(tensor: Features, numbers: list[Any]) -> Features:
    at = numbers[0] % (len(tensor.axes) + 1)
    return tensor.with_axes([*tensor.axes[:at], (), *tensor.axes[at:]])


def _size(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    subject = args[0].value if args else None
    if not isinstance(subject, (Features, Pixels)):
        return None
    shape = [Val(size, args[0].src) for size in subject.shape]
    index = plain(args[1]) if len(args) > 1 else plain(kwargs["dim"]) if "dim" in kwargs else None
    if index is None:
        return Val(shape, args[0].src)
    return shape[index] if isinstance(index, int) and -len(shape) <= index < len(shape) else None


def _arithmetic(symbol: str) -> Handler:
    def handler(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
        subject = args[0].value if args else None
        other = args[1].value if len(args) > 1 else None
        operand = (
            other.name if isinstance(other, ConstTensor) else repr(other) if isinstance(other, (int, float)) else "?"
        )
        if isinstance(subject, Pixels):
            return Val(Pixels(subject.shape, (*subject.ops, (symbol, operand))), args[0].src)
        if isinstance(subject, Features) and isinstance(other, Features):
            return Val(combined(subject, other, {"op": "arithmetic", "text": place.text, "line": place.where}))
        if isinstance(subject, Features):
            return Val(
                layers.stepped(subject, {"op": "arithmetic", "text": place.text, "line": place.where}), args[0].src
            )
        return (
            Val(ConstTensor(subject.shape, None, subject.name), args[0].src)
            if isinstance(subject, ConstTensor)
            else None
        )

    return handler


def _pixel_unshuffle(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    subject = args[0].value if args else None
    factor = plain(args[1]) if len(args) > 1 else plain(kwargs.get("downscale_factor"))
    if not isinstance(subject, Features) or not isinstance(factor, int) or len(subject.axes) != 4:
        return None
    n, c, h, w = subject.shape
    try:
        split = reshape(subject, (n, c, h // factor, factor, w // factor, factor))
        return Val(
            reshape(permute(split, (0, 1, 3, 5, 2, 4)), (n, c * factor * factor, h // factor, w // factor)), args[0].src
        )
    except (ShapeError, ZeroDivisionError):
        return None


def _activation(name: str) -> Handler:
    def handler(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
        subject = args[0].value if args else None
        if not isinstance(subject, Features):
            return None
        step: dict[str, object] = {"op": name, "attr": "", "approximate": plain(kwargs.get("approximate", Val("none")))}
        width = subject.shape[-1]
        step.update({"line": place.where, "file": place.file, "in": width, "out": width})
        return Val(layers.stepped(subject, step), (*args[0].src[:6], place))

    return handler


def _named_activation(
    run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame
) -> Val | None:
    name = plain(args[0]) if args else None
    return outside.activation(name, place) if isinstance(name, str) else None


def _cat(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    items = args[0].value if args and isinstance(args[0].value, (list, tuple)) else None
    if not items:
        return None
    if len(items) == 1:
        return items[0] if isinstance(items[0], Val) else None
    axis = plain(args[1]) if len(args) > 1 else plain(kwargs.get("dim", kwargs.get("axis", Val(0))))
    joined = _class_token_joined(run, list(items), axis)
    if joined is not None:
        return joined
    parts = [item.value for item in items if isinstance(item, Val) and isinstance(item.value, Features)]
    if len(parts) != len(items) or not isinstance(axis, int):
        return None
    try:
        return Val(_joined(parts, axis), items[0].src)
    except (ShapeError, IndexError, ZeroDivisionError):
        return None


def _joined(parts: list[Features], axis: int) -> Features:
    """Slices of one tensor, or else channels of several side by side."""
    try:
        if all(part.towers == parts[0].towers for part in parts):
            return concatenate(parts, axis)
    except ShapeError:
        pass
    return side_by_side(parts, axis)


def _stack(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    """Slices of one tensor next to each other on a new axis."""
    items = args[0].value if args and isinstance(args[0].value, (list, tuple)) else None
    axis = plain(args[1]) if len(args) > 1 else plain(kwargs.get("dim", kwargs.get("axis", Val(0))))
    parts = [item.value for item in items or [] if isinstance(item, Val) and isinstance(item.value, Features)]
    if not items or len(parts) != len(items) or not isinstance(axis, int):
        return None
    try:
        wide = [_unsqueeze(part, [axis]) for part in parts]
        return Val(concatenate(wide, axis % len(wide[0].axes)) if len(wide) > 1 else wide[0], items[0].src)
    except (ShapeError, IndexError, ZeroDivisionError):
        return None


def _class_token_joined(run: Interpreter, items: list[Val], axis: object) -> Val | None:
    """A class token put before the patches, inside a tower of the repo's own."""
    features = [item for item in items if isinstance(item, Val) and isinstance(item.value, Features)]
    if run.inside is None or axis not in (1, -2) or len(features) != 1 or items[-1] is not features[0]:
        return None
    inner = features[0].value
    full = run.inside.shape.grid**2
    fits = isinstance(inner, Features) and len(inner.axes) == 3 and inner.shape[1] == full and run.inside.shape.extra
    return Val(with_class_token(inner, run.inside.shape), features[0].src) if fits else None


def _tensor(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    """`torch.tensor([...])` and friends: numbers and shape from a literal list."""
    source = args[0] if args else kwargs.get("data")
    inner = plain(source) if source is not None else None
    if isinstance(inner, (int, float)) and not isinstance(inner, bool):
        return Val(ConstTensor((), (float(inner),)), (place,))
    flat = _flat(inner)
    if flat is None:
        return Val(ConstTensor(), (place,))
    shape = _nested_shape(inner)
    return Val(ConstTensor(shape, tuple(flat)), (place, *(source.src[:2] if source else ())))


def _flat(value: Any) -> list[float] | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [float(value)]
    if not isinstance(value, list):
        return None
    parts = [_flat(item) for item in value]
    return None if any(part is None for part in parts) else [number for part in parts if part for number in part]


def _nested_shape(value: Any) -> tuple[int, ...]:
    return (len(value), *_nested_shape(value[0])) if isinstance(value, list) and value else ()


def _filled(number: float | None) -> Handler:
    def handler(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
        shape = _numbers([value for value in args if not isinstance(plain(value), float)])
        count = 1
        for size in shape or []:
            count *= size
        known = number is not None and shape is not None and 0 < count <= 64
        data = tuple([float(number)] * count) if known and number is not None else None
        return Val(ConstTensor(tuple(shape) if shape is not None else None, data), (place,))

    return handler


def _full(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    """`torch.full(size, value)`: its numbers only where the value is a literal that can be known."""
    value = args[1] if len(args) > 1 else kwargs.get("fill_value")
    number = plain(value) if value is not None else None
    size = args[:1] or [kwargs[name] for name in ("size",) if name in kwargs]
    return _filled(number if isinstance(number, (int, float)) else None)(run, size, {}, place, frame)


def _const_only(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    """`query.expand(b, -1, -1)`: the rows and columns of a parameter stay what they were."""
    return args[0] if args and isinstance(args[0].value, ConstTensor) else None


INERT = [
    "contiguous",
    "to",
    "float",
    "half",
    "bfloat16",
    "type",
    "cuda",
    "cpu",
    "clone",
    "detach",
    "type_as",
    "requires_grad_",
    "double",
    "int",
    "long",
]
TENSOR_METHODS: dict[str, Handler] = {
    **dict.fromkeys(INERT, _same),
    "view": _shaping(lambda tensor, numbers: reshape(tensor, numbers)),
    "reshape": _shaping(lambda tensor, numbers: reshape(tensor, numbers)),
    "permute": _shaping(lambda tensor, numbers: permute(tensor, numbers)),
    "transpose": _shaping(lambda tensor, numbers: transpose(tensor, numbers[0], numbers[1])),
    "swapaxes": _shaping(lambda tensor, numbers: transpose(tensor, numbers[0], numbers[1])),
    "swapdims": _shaping(lambda tensor, numbers: transpose(tensor, numbers[0], numbers[1])),
    "flatten": _shaping(lambda tensor, numbers: flatten(tensor, *(numbers or [0]))),
    "unflatten": _shaping(
        lambda tensor, numbers: reshape(
            tensor,
            [
                *tensor.shape[: numbers[0] % len(tensor.shape)],
                *numbers[1:],
                *tensor.shape[numbers[0] % len(tensor.shape) + 1 :],
            ],
        )
    ),
    "squeeze": _shaping(_squeeze),
    "unsqueeze": _shaping(_unsqueeze),
    "size": _size,
    "dim": lambda run, args, kwargs, place, frame: (
        Val(len(args[0].value.shape)) if hasattr(args[0].value, "axes") or isinstance(args[0].value, Pixels) else None
    ),
    "sub": _arithmetic("sub"),
    "sub_": _arithmetic("sub"),
    "add": _arithmetic("add"),
    "mul": _arithmetic("mul"),
    "div": _arithmetic("div"),
    "div_": _arithmetic("div"),
    "expand": _const_only,
    "repeat": _const_only,
    **POOLING_METHODS,
}
FUNCTIONS: dict[str, Handler] = {
    **{
        f"torch.{name}": TENSOR_METHODS[name]
        for name in ("reshape", "permute", "transpose", "flatten", "squeeze", "unsqueeze")
    },
    **POOLING_FUNCTIONS,
    "torch.cat": _cat,
    "torch.concat": _cat,
    "torch.stack": _stack,
    "torch.tensor": _tensor,
    "torch.as_tensor": _tensor,
    "torch.Tensor": _tensor,
    "torch.FloatTensor": _tensor,
    "torch.zeros": _filled(0.0),
    "torch.ones": _filled(1.0),
    "torch.full": _full,
    "torch.empty": _filled(None),
    "torch.randn": _filled(None),
    "torch.rand": _filled(None),
    "torch.sub": _arithmetic("sub"),
    "torch.div": _arithmetic("div"),
    "*.pixel_unshuffle": _pixel_unshuffle,
    "torch.nn.functional.gelu": _activation("GELU"),
    "torch.nn.functional.silu": _activation("SiLU"),
    "torch.nn.functional.relu": _activation("ReLU"),
    "torch.nn.functional.tanh": _activation("Tanh"),
    "torch.nn.functional.sigmoid": _activation("Sigmoid"),
    "torch.relu": _activation("ReLU"),
    "torch.tanh": _activation("Tanh"),
    "torch.sigmoid": _activation("Sigmoid"),
    "torch.nn.functional.dropout": _same,
    "torch.einsum": einsum,
    "*.get_activation": _named_activation,
    "einops.rearrange": rearrange,
}

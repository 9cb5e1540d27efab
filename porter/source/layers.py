"""Calling modules on symbolic tensors: which one is the tower, and which layers the features pass."""

from __future__ import annotations

from dataclasses import replace
from math import isqrt
from typing import TYPE_CHECKING

from porter.source.pooling import ADAPTIVE, CONVOLUTIONS, POOLS, adaptive, interpolated, pooled, queried, unfolded
from porter.source.tensors import (
    Features,
    Pixels,
    ShapeError,
    TowerOutput,
    axis_size,
    drop_tokens,
    flatten,
    fresh,
    reshape,
)
from porter.source.values import ConstTensor, Function, Instance, Layer, Src, Val, is_unknown, plain, unknown

if TYPE_CHECKING:
    from porter.source.interpreter import Frame, Interpreter

NORMS_OF_PIXELS = ("norm_mean", "norm_std")
"""What RADIO calls the buffers by which it normalises."""
INERT_LAYERS = ("Identity", "Dropout", "DropPath")
NORMS = ("LayerNorm", "RMSNorm", "GroupNorm")
ACTIVATIONS = (
    "GELU",
    "SiLU",
    "ReLU",
    "QuickGELU",
    "Tanh",
    "Sigmoid",
    "QuickGELUActivation",
    "SiLUActivation",
    "GELUActivation",
)


def stepped(features: Features, step: dict[str, object]) -> Features:
    """Append one step with the arrangement that it sees."""
    return replace(features, steps=(*features.steps, {**step, "axes": features.axes}))


def call_module(
    run: Interpreter, module: Instance | Layer, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame
) -> Val:
    """Call a module: the tower on pixels, an outside layer on features, or the repo's own forward."""
    values = [*args, *kwargs.values()]
    if run.inside is not None:
        from porter.source.inside import step_inside

        passed = step_inside(run, module, values)
        if passed is not None:
            return passed
    pixels = next((value for value in values if isinstance(value.value, Pixels)), None)
    if pixels is not None:
        if run.inside is None and (isinstance(module, Layer) or is_tower(run, module)):
            return _tower(run, module, pixels, place, args, kwargs)
    elif not any(isinstance(value.value, (Features, TowerOutput)) for value in values):
        constant = _on_constant(module, values)
        if constant is not None:
            return constant
        if len(run.blind) < 200 and (isinstance(module, Layer) and holds_weights(module)):
            run.blind.append(module.path)
        return unknown(place.text, f"{place.file} {place.where}")
    if isinstance(module, Layer):
        return call_layer(run, module, args, kwargs, place, frame)
    found = run.find_method(module.cls, "forward") or run.find_method(module.cls, "__call__")
    if found is None:
        return unknown(place.text, f"{place.file} {place.where}")
    run.start(module)
    owner, node = found
    return run.call_function(Function(owner.file, node, module, owner), args, kwargs, frame.depth + 1)


def _tower(
    run: Interpreter, module: Instance | Layer, pixels: Val, place: Src, args: list[Val], kwargs: dict[str, Val]
) -> Val:
    shape = run.tower(module) if run.tower is not None else None
    if shape is None:
        return unknown(f"tower {place.text}", f"{place.file} {place.where}")
    assert isinstance(pixels.value, Pixels)
    tokens = shape.grid * shape.grid + shape.extra
    axes = (fresh("batch", 1), fresh("token", tokens), fresh("channel", shape.hidden))
    run.pixel_ops[id(module)] = pixels.value.ops
    if isinstance(module, Instance):
        from porter.source.inside import follow

        followed = follow(run, module, shape, args, kwargs)
        if followed is not None:
            return Val(of_tower(followed.value, id(module)), (place, *pixels.src[:2]))
        run.opaque.add(id(module))
    last = Features(axes, -1, "last_hidden_state", towers=(id(module),))
    patches = None
    if shape.normalizes:
        run.pixel_ops[id(module)] = (*pixels.value.ops, ("sub", NORMS_OF_PIXELS[0]), ("div", NORMS_OF_PIXELS[1]))
        patches = drop_tokens(last, 1, shape.extra, None)
    return Val(TowerOutput(last, shape.layers, pixels.value.ops, features=patches), (place, *pixels.src[:2]))


def of_tower(output: object, tower: int) -> object:
    """What a tower gave, marked as its."""
    if isinstance(output, TowerOutput):
        return replace(output, last=replace(output.last, towers=(tower,)))
    return replace(output, towers=(tower,)) if isinstance(output, Features) else output


def children(run: Interpreter, module: object) -> list[tuple[str, object]]:
    """Direct child modules by attribute name."""
    run.step()
    if isinstance(module, Instance):
        run.start(module)
        pairs = [(name, value.value) for name, value in module.attrs.items()]
    elif isinstance(module, Layer):
        pairs = [(str(index), item.value) for index, item in enumerate(module.items)]
        pairs += [(name, value.value) for name, value in module.attrs.items()]
    else:
        return []
    return [(name, child) for name, child in pairs if isinstance(child, Layer) or _is_child(run, child)]


def _is_child(run: Interpreter, child: object) -> bool:
    return isinstance(child, Instance) and not run.is_config(child.cls)


def patch_side(layer: Layer) -> int | None:
    """The side of the patches that a Linear over flattened RGB patches takes (of two frames too); None for another."""
    into = layer.argument(0, "in_features") if layer.cls.name == "Linear" else None
    if not isinstance(into, int) or not 48 <= into < 1 << 20:
        return None
    for frames in (1, 2):
        side = isqrt(into // (3 * frames))
        if 3 * frames * side * side == into:
            return side
    return None


def has_patch_conv(run: Interpreter, module: object, depth: int = 3, linear: bool = True) -> bool:
    """A convolution over patches somewhere near the top of the module, or a Linear over them outside its blocks."""
    for _, child in children(run, module):
        if isinstance(child, Layer) and child.cls.name in ("Conv2d", "Conv2dLayer", "Conv3d"):
            return True
        if linear and isinstance(child, Layer) and patch_side(child) is not None:
            return True
        blocks = isinstance(child, Layer) and child.cls.name in ("ModuleList", "Sequential") and len(child.items) > 1
        if depth and has_patch_conv(run, child, depth - 1, linear and not blocks):
            return True
    return False


def has_blocks(run: Interpreter, module: object, depth: int = 3) -> bool:
    """A list of equal blocks somewhere near the top of the module."""
    for _, child in children(run, module):
        container = isinstance(child, Layer) and child.cls.name in ("ModuleList", "Sequential")
        if container and isinstance(child, Layer) and any(isinstance(i.value, Instance) for i in child.items):
            return True
        if depth and has_blocks(run, child, depth - 1):
            return True
    return False


def is_tower(run: Interpreter, module: Instance) -> bool:
    """The deepest module that holds both the patch convolution and the blocks; a wrapper around one is not the
    tower."""
    if not (has_patch_conv(run, module) and has_blocks(run, module)):
        return False
    return not any(has_patch_conv(run, child) and has_blocks(run, child) for _, child in children(run, module))


def call_layer(
    run: Interpreter, layer: Layer, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame
) -> Val:
    """An outside layer on features: its step is recorded and the channel axis follows."""
    value = next((v for v in [*args, *kwargs.values()] if isinstance(v.value, (Features, TowerOutput))), None)
    if value is None:
        return unknown(place.text, f"{place.file} {place.where}")
    features = value.value.last if isinstance(value.value, TowerOutput) else value.value
    if layer.cls.name in ("Sequential", "ModuleList"):
        current = Val(features, value.src)
        for item in layer.items:
            if isinstance(item.value, (Instance, Layer)):
                current = call_module(run, item.value, [current], {}, place, frame)
            if is_unknown(current):
                return current
        return current
    if layer.cls.name in INERT_LAYERS:
        return Val(features, value.src)
    if layer.cls.name == "MultiheadAttention":
        return _attention(layer, features, args, kwargs, place)
    try:
        done = _resizing(features, layer) or _leaf(features, layer)
    except (ShapeError, IndexError, TypeError, ZeroDivisionError):
        return unknown(place.text, f"{place.file} {place.where}")
    return Val(done, (*value.src[:6], layer.place))


def holds_weights(layer: Layer) -> bool:
    """Whether a layer stores anything, as far as its class tells."""
    name = layer.cls.name
    if name in ("Sequential", "ModuleList"):
        return any(isinstance(item.value, Layer) and holds_weights(item.value) for item in layer.items)
    return name.endswith(("Linear", *NORMS, *CONVOLUTIONS))


def _on_constant(module: Instance | Layer, values: list[Val]) -> Val | None:
    """A Linear or a norm on a parameter (learnt queries): another constant."""
    inner = values[0].value if len(values) == 1 else None
    if not isinstance(module, Layer) or not isinstance(inner, ConstTensor) or not inner.shape:
        return None
    if module.cls.name == "Linear":
        out = module.argument(1, "out_features")
        return Val(ConstTensor((*inner.shape[:-1], out), None, inner.name)) if isinstance(out, int) else None
    return values[0] if module.cls.name.endswith(NORMS) else None


def _attention(layer: Layer, features: Features, args: list[Val], kwargs: dict[str, Val], place: Src) -> Val:
    """`nn.MultiheadAttention(query, key, value)`: (output, weights)."""
    query = args[0].value if args else kwargs["query"].value if "query" in kwargs else None
    query = query.last if isinstance(query, TowerOutput) else query
    batched = [*args[1:], *(kwargs[name] for name in ("key", "value") if name in kwargs)]
    source = next((v.value for v in batched if isinstance(v.value, Features)), features)
    details = {"attr": layer.path, "line": layer.place.where, "file": layer.place.file}
    width = layer.argument(0, "embed_dim")
    if not isinstance(query, (Features, ConstTensor)):
        return unknown(place.text, f"{place.file} {place.where}")
    try:
        done = queried(query, source, width, "MultiheadAttention", **details)
    except ShapeError:
        return unknown(place.text, f"{place.file} {place.where}")
    return Val([Val(done, (layer.place,)), unknown("attention weights")], (layer.place,))


def _resizing(features: Features, layer: Layer) -> Features | None:
    """Layers that change how many tokens there are, or cut blocks; None for any other.

    Raises: ShapeError when their numbers do not fit.
    """
    name, line = layer.cls.name, layer.place.where
    details: dict[str, object] = {"attr": layer.path, "line": line, "file": layer.place.file}
    if name in CONVOLUTIONS:
        return _convolved(features, layer, details)
    if name in POOLS:
        kernel, stride = layer.argument(0, "kernel_size"), layer.argument(1, "stride")
        return pooled(features, kernel, stride, layer.argument(2, "padding"), name, **details)
    if name in ADAPTIVE:
        return adaptive(features, layer.argument(0, "output_size"), name, **details)
    if name == "Upsample":
        return interpolated(features, layer.argument(0, "size"), layer.argument(1, "scale_factor"))
    if name == "Unfold":
        return unfolded(features, layer.argument(0, "kernel_size"), layer.argument(3, "stride"))
    if name == "PixelUnshuffle":
        factor = layer.argument(0, "downscale_factor")
        cut = unfolded(features, factor, factor)
        n, _, h, w = features.shape
        return reshape(cut, (n, cut.shape[1], h // factor, w // factor))
    if name == "Flatten":
        return flatten(features, layer.argument(0, "start_dim", 1), layer.argument(1, "end_dim", -1))
    return None


def _convolved(features: Features, layer: Layer, details: dict[str, object]) -> Features:
    out, padding = layer.argument(1, "out_channels"), layer.argument(4, "padding")
    if not isinstance(out, int) or isinstance(padding, str):
        raise ShapeError(layer.cls.name)
    stride = layer.argument(3, "stride", 1)
    shown = {**details, "in": layer.argument(0, "in_channels"), "out": out}
    done = pooled(features, layer.argument(2, "kernel_size"), stride, padding, layer.cls.name, **shown)
    return done.with_axes([done.axes[0], fresh("channel", out), *done.axes[2:]])


def _leaf(features: Features, layer: Layer) -> Features:
    name = layer.cls.name
    step: dict[str, object] = {"op": name, "attr": layer.path, "line": layer.place.where, "file": layer.place.file}
    if name == "Linear":
        out = layer.argument(1, "out_features")
        step.update(
            {"in": layer.argument(0, "in_features"), "out": out, "bias": layer.argument(2, "bias", True) is not False}
        )
        done = stepped(features, step)
        if isinstance(out, int):
            return done.with_axes([*done.axes[:-1], fresh("channel", out)])
        return done.with_axes([*done.axes[:-1], fresh("channel", axis_size(done.axes[-1]))])
    if name.endswith(NORMS):
        width = layer.argument(0, "normalized_shape", layer.argument(0, "hidden_size"))
        default = 1e-5 if name == "LayerNorm" else None
        bias = layer.argument(3, "bias", True) is not False if name == "LayerNorm" else False
        step.update({"in": _width(width), "out": _width(width), "eps": layer.argument(1, "eps", default), "bias": bias})
    elif name.endswith(ACTIVATIONS):
        width = axis_size(features.axes[-1])
        step.update({"approximate": layer.argument(0, "approximate", "none"), "in": width, "out": width})
    return stepped(features, step)


def _width(value: object) -> object:
    inner = plain(value)
    return inner[0] if isinstance(inner, list) and len(inner) == 1 else inner


KERNELS = {"Conv1d": 1, "Conv2d": 2, "Conv3d": 3}


def parameters(run: Interpreter, module: object, prefix: str = "", depth: int = 8) -> dict[str, tuple[int, ...] | None]:
    """Names and shapes of the tensors that a module would store, as far as its code can be read."""
    found: dict[str, tuple[int, ...] | None] = {}
    if isinstance(module, Layer):
        found.update({prefix + name: shape for name, shape in _layer_parameters(module).items()})
    if isinstance(module, Instance):
        run.start(module)
        for name, value in module.attrs.items():
            if isinstance(value.value, ConstTensor) and value.value.parameter:
                found[prefix + name] = value.value.shape
        for name, buffer in module.buffers.items():
            if buffer.persistent:
                inner = buffer.value.value
                found[prefix + name] = inner.shape if isinstance(inner, ConstTensor) else None
    if depth:
        for name, child in children(run, module):
            found.update(parameters(run, child, f"{prefix}{name}.", depth - 1))
    return found


def _layer_parameters(layer: Layer) -> dict[str, tuple[int, ...] | None]:
    name = layer.cls.name
    first, second = layer.argument(0, "in_features"), layer.argument(1, "out_features")
    if name == "Linear":
        sized = isinstance(first, int) and isinstance(second, int)
        found: dict[str, tuple[int, ...] | None] = {"weight": (second, first) if sized else None}
        if layer.argument(2, "bias", True) is not False:
            found["bias"] = (second,) if isinstance(second, int) else None
        return found
    if name.endswith(NORMS):
        width = _width(layer.argument(0, "normalized_shape"))
        shape = (width,) if isinstance(width, int) else None
        return {"weight": shape, "bias": shape} if name == "LayerNorm" else {"weight": shape}
    if name == "Embedding":
        rows, columns = layer.argument(0, "num_embeddings"), layer.argument(1, "embedding_dim")
        return {"weight": (rows, columns) if isinstance(rows, int) and isinstance(columns, int) else None}
    if name in KERNELS:
        biased = layer.argument(7, "bias", True) is not False
        outputs = layer.argument(1, "out_channels")
        shape = (outputs,) if isinstance(outputs, int) else None
        return {"weight": _kernel(layer, KERNELS[name]), **({"bias": shape} if biased else {})}
    return {}


def _kernel(layer: Layer, dimensions: int) -> tuple[int, ...] | None:
    """The weight of a convolution: outputs, inputs of one group, and the kernel."""
    inputs, outputs = layer.argument(0, "in_channels"), layer.argument(1, "out_channels")
    kernel, groups = layer.argument(2, "kernel_size"), layer.argument(6, "groups", 1)
    sizes = kernel if isinstance(kernel, (list, tuple)) else [kernel] * dimensions
    numbers = [outputs, inputs, groups, *sizes]
    if not all(isinstance(number, int) and number > 0 for number in numbers):
        return None
    return (int(str(outputs)), int(str(inputs)) // int(str(groups)), *(int(str(size)) for size in sizes))

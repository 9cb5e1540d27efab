"""Calling modules on symbolic tensors: which one is the tower, and which layers the features pass."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from porter.source.interpreter import is_unknown
from porter.source.tensors import Features, Pixels, TowerOutput, axis_size, fresh
from porter.source.values import ConstTensor, Function, Instance, Layer, Src, Val, plain, unknown

if TYPE_CHECKING:
    from porter.source.interpreter import Frame, Interpreter

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
        if isinstance(module, Layer) and module.cls.name.endswith(("Linear", *NORMS)) and len(run.blind) < 200:
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
            return Val(followed.value, (place, *pixels.src[:2]))
        run.opaque.add(id(module))
    last = Features(axes, -1, "last_hidden_state")
    return Val(TowerOutput(last, shape.layers, pixels.value.ops), (place, *pixels.src[:2]))


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


def has_patch_conv(run: Interpreter, module: object, depth: int = 3) -> bool:
    """A convolution over patches somewhere near the top of the module."""
    for _, child in children(run, module):
        if isinstance(child, Layer) and child.cls.name in ("Conv2d", "Conv2dLayer", "Conv3d"):
            return True
        if depth and has_patch_conv(run, child, depth - 1):
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
    return Val(_leaf(features, layer), (*value.src[:6], layer.place))


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
    if name == "Conv2d":
        return {"weight": None, **({"bias": None} if layer.argument(7, "bias", True) is not False else {})}
    return {}

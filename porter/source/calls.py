"""Calls of the abstract interpreter: classes, functions, modules, and what they mean for symbolic values."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from porter.source import layers
from porter.source.attributes import Super
from porter.source.builtin_calls import BUILTINS, METHODS
from porter.source.codebase import External, snippet, where
from porter.source.interpreter import is_decorated
from porter.source.statements import iterable, set_attribute
from porter.source.tensor_calls import FUNCTIONS, TENSOR_METHODS
from porter.source.tensors import Features, Pixels, TowerOutput
from porter.source.values import (
    ClassRef,
    ConstTensor,
    Function,
    Instance,
    Layer,
    LibraryConfig,
    Method,
    Pieces,
    Repeat,
    Src,
    Val,
    merge_sources,
    unknown,
)

if TYPE_CHECKING:
    from porter.source.interpreter import Frame, Interpreter

CONTAINERS = ("ModuleList", "Sequential", "ModuleDict")
OF_THE_CLASS = ("staticmethod", "classmethod")
FACTORIES = ("from_config", "_from_config", "from_pretrained")


def call(run: Interpreter, node: ast.Call, frame: Frame) -> Val:
    """The value of a call."""
    if isinstance(node.func, ast.Name) and node.func.id == "super" and "super" not in frame.names:
        return _super(frame, node)
    function = run.evaluate(node.func, frame)
    args, kwargs = arguments(run, node, frame)
    place = Src(frame.file, where(node), snippet(node))
    if isinstance(node.func, ast.Attribute) and not isinstance(function.value, (Function, ClassRef)):
        run.replacements.append((node.func.attr, args, place)) if node.func.attr in (
            "replace",
            "sub",
            "split",
        ) else None
    return apply(run, function, args, kwargs, place, frame)


def _super(frame: Frame, node: ast.Call) -> Val:
    owner = frame.owner or next((v.value for v in frame.names.values() if isinstance(v.value, Instance)), None)
    if owner is None or frame.defining is None:
        return unknown("super()", f"{frame.file} {where(node)}")
    return Val(Super(owner, frame.defining))


def arguments(run: Interpreter, node: ast.Call, frame: Frame) -> tuple[list[Val], dict[str, Val]]:
    """Positional and keyword values, `*args` and `**kwargs` spread out where they are known."""
    args: list[Val] = []
    kwargs: dict[str, Val] = {}
    for item in node.args:
        value = run.evaluate(item, frame)
        if isinstance(item, ast.Starred):
            args.extend(iterable(value) or [])
        else:
            args.append(value)
    for keyword in node.keywords:
        value = run.evaluate(keyword.value, frame)
        if keyword.arg is not None:
            kwargs[keyword.arg] = value
        elif isinstance(value.value, dict):
            kwargs.update({str(key): v if isinstance(v, Val) else Val(v) for key, v in value.value.items()})
        elif isinstance(value.value, LibraryConfig):
            kwargs.update(value.value.values)
    return args, kwargs


def apply(run: Interpreter, function: Val, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val:
    """Call a value."""
    target = function.value
    if isinstance(target, Function):
        unbound = target.owner is None and target.defining is not None
        if unbound and args and isinstance(args[0].value, Instance) and not is_decorated(target.node, *OF_THE_CLASS):
            target = replace_owner(target, args[0].value)
            args = args[1:]
        return run.call_function(target, args, kwargs, frame.depth + 1)
    if isinstance(target, ClassRef):
        return instantiate(run, target, args, kwargs, place)
    if isinstance(target, (Instance, Layer)):
        return layers.call_module(run, target, args, kwargs, place, frame)
    if isinstance(target, Method):
        return call_method(run, target, args, kwargs, place, frame)
    if isinstance(target, External):
        return call_external(run, target, args, kwargs, place, frame)
    capture(run, [*args, *kwargs.values()])
    return unknown(place.text, f"{place.file} {place.where}")


def capture(run: Interpreter, values: list[Val]) -> None:
    """Features handed to something that cannot be followed (the language model, a scatter) are the end of
    their path."""
    for value in values:
        if isinstance(value.value, Features):
            run.captured.append(value.value)


def replace_owner(function: Function, owner: Instance) -> Function:
    return replace(function, owner=owner)


def instantiate(run: Interpreter, cls: ClassRef, args: list[Val], kwargs: dict[str, Val], place: Src) -> Val:
    """An object of a class of the code base; its `__init__` runs when something of it is read."""
    instance = Instance(cls, args, kwargs)
    if run.is_config(cls):
        run.start(instance)
    elif not run.is_module(cls) and run.find_method(cls, "__init__") is None:
        names = [s.target.id for s in cls.node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
        instance.attrs.update(dict(zip(names, args, strict=False)))
        instance.attrs.update(kwargs)
        instance.started = True
    return Val(instance, (place,))


def call_external(
    run: Interpreter, target: External, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame
) -> Val:
    """A function or class from outside the repo: known ones by table, other classes as layers or configs."""
    handler = FUNCTIONS.get(target.dotted) or FUNCTIONS.get(f"*.{target.name}") or BUILTINS.get(target.dotted)
    if handler is not None:
        result = handler(run, args, kwargs, place, frame)
        return result if result is not None else unknown(place.text, f"{place.file} {place.where}")
    if target.name == "__init__" and args and isinstance(args[0].value, Instance):
        run.external_init(args[0].value, args[1:], kwargs)
        return Val(None)
    if target.name in FACTORIES:
        return Val(Layer(External(target.dotted), args, kwargs, place), (place,))
    capture(run, [*args, *kwargs.values()])
    if target.name in ("for_model", "from_dict") or target.dotted.endswith("]"):
        return _library_config(target, args, kwargs, place)
    if target.name[:1].isupper() or target.dotted.startswith("torch.nn."):
        return construct(target, args, kwargs, place)
    return unknown(place.text, f"{place.file} {place.where}")


def _library_config(target: External, args: list[Val], kwargs: dict[str, Val], place: Src) -> Val:
    """`AutoConfig.for_model(type, **values)`, `CONFIG_MAPPING[type](**values)`, `XConfig.from_dict(values)`."""
    values: dict[str, Val] = {}
    for arg in args:
        if isinstance(arg.value, dict):
            values.update({str(key): item if isinstance(item, Val) else Val(item) for key, item in arg.value.items()})
        elif isinstance(arg.value, str):
            values["model_type"] = arg
    values.update(kwargs)
    name = target.dotted.rsplit(".", 1)[0] if target.name == "from_dict" else target.dotted
    return Val(LibraryConfig(External(name), values), (place,))


def construct(target: External, args: list[Val], kwargs: dict[str, Val], place: Src) -> Val:
    """An object of an outside class."""
    if target.name.endswith("Config"):
        given = dict(kwargs)
        return Val(LibraryConfig(target, given), (place,))
    if target.name == "Parameter":
        inner = args[0].value if args else None
        shape, data = (inner.shape, inner.data) if isinstance(inner, ConstTensor) else (None, None)
        return Val(ConstTensor(shape, data, "", True), (place,))
    layer = Layer(target, args, kwargs, place)
    if target.name in CONTAINERS:
        layer.items = container_items(args)
    return Val(layer, (place,))


def container_items(args: list[Val]) -> list[Val]:
    """The modules of a ModuleList, Sequential or ModuleDict; named items remember their key."""
    if len(args) == 1 and isinstance(args[0].value, dict):
        pairs = args[0].value.items()
        return [
            Val(item.value, (Src("", "key", str(key)), *item.src[:2])) for key, item in pairs if isinstance(item, Val)
        ]
    if len(args) == 1 and isinstance(args[0].value, (list, tuple)):
        return list(args[0].value)
    return list(args)


def call_method(
    run: Interpreter, method: Method, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame
) -> Val:
    """A method of a plain, symbolic or outside value."""
    owner = method.owner.value
    if isinstance(owner, Super):
        return _super_method(run, owner, method.name, args, kwargs, place)
    if isinstance(owner, Instance):
        return _instance_method(run, owner, method.name, args, kwargs, place)
    if isinstance(owner, (Features, Pixels, TowerOutput, ConstTensor)):
        shaper = TENSOR_METHODS.get(method.name)
        target = owner.last if isinstance(owner, TowerOutput) else owner
        result = shaper(run, [Val(target, method.owner.src), *args], kwargs, place, frame) if shaper else None
        return result if result is not None else unknown(place.text, f"{place.file} {place.where}")
    if isinstance(owner, ClassRef) and method.name in FACTORIES:
        return instantiate(run, owner, args, kwargs, place)
    if isinstance(owner, Layer) and method.name == "register_buffer":
        run.register_buffer(owner, args, kwargs, place)
        return Val(None)
    if isinstance(owner, Layer) and method.name in ("append", "extend", "insert", "add_module"):
        return _grow(owner, method.name, args)
    if isinstance(owner, LibraryConfig) and method.name == "get_text_config":
        return method.owner
    if method.name == "join" and (pieces := _joined_text(run, owner, args, place)) is not None:
        return pieces
    handler = METHODS.get((type(owner).__name__, method.name))
    result = handler(method.owner, args, kwargs) if handler is not None else None
    if result is None:
        return unknown(place.text, f"{place.file} {place.where}")
    return Val(result.value, result.src or merge_sources((method.owner, *args)))


def _joined_text(run: Interpreter, owner: object, args: list[Val], place: Src) -> Val | None:
    """`"".join([start, context * n, end])` with an unknown n."""
    items = iterable(args[0]) if args and isinstance(owner, str) else None
    if items is None or not any(isinstance(item.value, Pieces) for item in items[:64]):
        return None
    parts: list[Val | Repeat] = []
    for number, item in enumerate(items[:64]):
        parts.extend([Val(owner)] if number and owner else [])
        parts.extend(item.value.inside() if isinstance(item.value, Pieces) else [item])
    found = Pieces(tuple(parts[:64]))
    run.pieces.append((found, place))
    return Val(found, merge_sources(items[:64]))


def _grow(layer: Layer, name: str, args: list[Val]) -> Val:
    if name == "append":
        layer.items.extend(args[:1])
    elif name == "extend" and args:
        layer.items.extend(iterable(args[0]) or [])
    elif name == "add_module" and len(args) > 1:
        layer.items.append(Val(args[1].value, (Src("", "key", str(args[0].value)), *args[1].src[:2])))
    return Val(None)


def _super_method(
    run: Interpreter, owner: Super, name: str, args: list[Val], kwargs: dict[str, Val], place: Src
) -> Val:
    if name == "__init__":
        run.external_init(owner.instance, args, kwargs)
        return Val(None)
    return _instance_method(run, owner.instance, name, args, kwargs, place)


def _instance_method(
    run: Interpreter, owner: Instance, name: str, args: list[Val], kwargs: dict[str, Val], place: Src
) -> Val:
    if name == "register_buffer":
        run.register_buffer(owner, args, kwargs, place)
        return Val(None)
    if (
        name in ("add_module", "register_module", "register_parameter")
        and len(args) > 1
        and isinstance(args[0].value, str)
    ):
        set_attribute(run, Val(owner), args[0].value, args[1])
        return Val(None)
    if name in ("to", "eval", "cuda", "float", "half", "bfloat16", "requires_grad_", "train"):
        return Val(owner)
    if name == "get_text_config":
        for key in ("text_config", "llm_config", "language_config"):
            if key in owner.attrs:
                return owner.attrs[key]
    return unknown(place.text, f"{place.file} {place.where}")

"""Attribute access on known and symbolic values."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from porter.source import outside
from porter.source.codebase import External, ModuleFile, snippet, where
from porter.source.tensors import Features, HiddenStates, Pixels, TowerOutput, transpose
from porter.source.values import (
    ClassRef,
    ConstTensor,
    Function,
    Instance,
    Layer,
    LibraryConfig,
    Method,
    Src,
    Val,
    is_unknown,
    unknown,
)

if TYPE_CHECKING:
    from porter.source.interpreter import Frame, Interpreter

INERT = frozenset({"dtype", "device", "training"})


def attribute(run: Interpreter, holder: Val, name: str, node: ast.AST, frame: Frame) -> Val:
    """`holder.name`."""
    place = f"{frame.file} {where(node)}"
    inner = holder.value
    if isinstance(inner, Instance):
        return instance_attribute(run, inner, name, place)
    if isinstance(inner, Super):
        return inner.attribute(run, name, place)
    if isinstance(inner, (Features, Pixels, TowerOutput, HiddenStates, ConstTensor)):
        return _tensor_attribute(inner, name, holder, place)
    if isinstance(inner, LibraryConfig):
        found = inner.values.get(name)
        if found is not None:
            run.reads.setdefault((id(inner), name), found)
        return found or _config_method(inner, name, holder, place)
    if isinstance(inner, ClassRef):
        return _class_attribute(run, inner, name, holder)
    if isinstance(inner, Layer):
        return _layer_attribute(inner, name, holder, place)
    return unknown(snippet(node), place) if is_unknown(holder) else _name_attribute(run, holder, name)


def _name_attribute(run: Interpreter, holder: Val, name: str) -> Val:
    """An attribute of a module file or of something outside; a method of a plain value."""
    inner = holder.value
    if isinstance(inner, External):
        named = outside.constant(External(f"{inner.dotted}.{name}"))
        return Val(named.value, named.src or holder.src)
    if isinstance(inner, ModuleFile):
        return run.module_name(inner.path, name)
    return Val(Method(holder, name), holder.src)


class Super:
    """`super()` inside a method of `defining`, bound to `instance`."""

    __slots__ = ("defining", "instance")

    def __init__(self, instance: Instance, defining: ClassRef) -> None:
        self.instance = instance
        self.defining = defining

    def attribute(self, run: Interpreter, name: str, place: str) -> Val:
        found = run.find_method(self.instance.cls, name, after=self.defining)
        if found is not None:
            owner, node = found
            return Val(Function(owner.file, node, self.instance, owner))
        return Val(Method(Val(self), name))


def instance_attribute(run: Interpreter, instance: Instance, name: str, place: str) -> Val:
    """An attribute of an object: its own, its class's (properties included), or inherited from outside."""
    run.start(instance)
    if name in instance.attrs:
        run.reads.setdefault((id(instance), name), instance.attrs[name])
        return instance.attrs[name]
    if name == "training":
        return Val(False)
    found = run.find_method(instance.cls, name)
    if found is not None:
        owner, method = found
        function = Function(owner.file, method, instance, owner)
        if any(isinstance(d, ast.Name) and d.id in ("property", "cached_property") for d in method.decorator_list):
            return run.call_function(function, [], {}, 8)
        return Val(function)
    value = run.class_attribute(instance.cls, name)
    if value is not None:
        return value
    return _mapped_attribute(run, instance, name, place)


def config_arguments(run: Interpreter, owner: Instance, names: list[str], frame: Frame) -> None:
    """Arguments that are None take the config's value of their name, as a decorator of transformers does it."""
    config = owner.attrs.get("config")
    for name in names:
        given = frame.names.get(name)
        if given is not None and given.value is None and config is not None and isinstance(config.value, Instance):
            value = instance_attribute(run, config.value, name, frame.file)
            frame.names[name] = given if is_unknown(value) else value


def _mapped_attribute(run: Interpreter, instance: Instance, name: str, place: str) -> Val:
    """`attribute_map` of configs, then what only a base outside the repo could tell."""
    mapping = run.class_attribute(instance.cls, "attribute_map")
    if mapping is not None and isinstance(mapping.value, dict) and name in mapping.value:
        target = mapping.value[name].value
        if isinstance(target, str) and target != name:
            return instance_attribute(run, instance, target, place)
    if run.is_config(instance.cls):
        bases = ", ".join(base.name for base in run.external_bases(instance.cls)[:2])
        return unknown(f"library default of {bases}: {name}", place)
    return Val(Method(Val(instance), name))


def _config_method(config: LibraryConfig, name: str, holder: Val, place: str) -> Val:
    if name in ("to_dict", "get_text_config", "update", "get"):
        return Val(Method(holder, name), holder.src)
    return unknown(f"library default of {config.cls.name}: {name}", place)


def _class_attribute(run: Interpreter, cls: ClassRef, name: str, holder: Val) -> Val:
    found = run.find_method(cls, name)
    if found is not None:
        owner, node = found
        return Val(Function(owner.file, node, None, owner), holder.src)
    value = run.class_attribute(cls, name)
    if value is not None:
        return value
    if name == "__name__":
        return Val(cls.name)
    return Val(Method(holder, name), holder.src)


def _layer_attribute(layer: Layer, name: str, holder: Val, place: str) -> Val:
    if name in layer.attrs:
        return layer.attrs[name]
    if "Output" in layer.cls.name and name in layer.kwargs:
        return layer.kwargs[name]
    if name == "config":
        config = layer.kwargs.get("config") or (layer.args[0] if layer.args else None)
        if config is not None:
            return config
    if name in ("weight", "bias"):
        return Val(ConstTensor(None, None, f"{layer.path}.{name}"))
    return Val(Method(holder, name), holder.src)


def _tensor_attribute(tensor: object, name: str, holder: Val, place: str) -> Val:
    if name in INERT or name == "is_cuda":
        return unknown(name, place)
    if isinstance(tensor, TowerOutput):
        if name == "last_hidden_state":
            return Val(tensor.last, holder.src)
        if name == "hidden_states":
            return Val(HiddenStates(tensor), holder.src)
        if name in ("features", "pooler_output"):
            part = tensor.features if name == "features" else tensor.pooled
            return unknown(f"{name} of the tower", place) if part is None else Val(part, holder.src)
        return _tensor_attribute(tensor.last, name, Val(tensor.last, holder.src), place)
    if name == "shape" and isinstance(tensor, (Features, Pixels)):
        return Val([Val(size, holder.src) for size in tensor.shape], holder.src)
    if name == "shape" and isinstance(tensor, ConstTensor) and tensor.shape is not None:
        return Val([Val(size) for size in tensor.shape], holder.src)
    if name == "mT" and isinstance(tensor, Features) and len(tensor.axes) > 1:
        return Val(transpose(tensor, -1, -2), holder.src)
    if name == "ndim" and isinstance(tensor, (Features, Pixels)):
        return Val(len(tensor.shape), (Src("", "", "rank"),))
    return Val(Method(holder, name), holder.src)

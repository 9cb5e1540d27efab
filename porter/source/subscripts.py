"""Indexing and slicing of known and symbolic values."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from porter.source import outside
from porter.source.codebase import External, snippet, where
from porter.source.tensors import Features, HiddenStates, Pixels, ShapeError, TowerOutput, drop_tokens, every
from porter.source.values import ConstTensor, Layer, Src, Val, is_unknown, unknown

if TYPE_CHECKING:
    from porter.source.interpreter import Frame, Interpreter


def subscript(run: Interpreter, holder: Val, node: ast.Subscript, frame: Frame) -> Val:
    """`holder[index]`; Unknown when either side is not known well enough."""
    key = run.evaluate(node.slice, frame)
    inner = holder.value
    if isinstance(inner, HiddenStates):
        return _hidden_state(inner, key, holder)
    if isinstance(inner, TowerOutput) and key.value in ("last_hidden_state", "hidden_states"):
        return Val(inner.last if key.value == "last_hidden_state" else HiddenStates(inner), holder.src)
    if isinstance(inner, TowerOutput):
        first = key.value == 0 and not isinstance(key.value, bool)
        return Val(inner.last, holder.src) if first else _features(inner.last, key, holder, node, frame)
    if isinstance(inner, Features):
        return _features(inner, key, holder, node, frame)
    if isinstance(inner, (Pixels, ConstTensor)):
        return holder
    return _container(inner, key, holder, node, frame)


def _container(inner: Any, key: Val, holder: Val, node: ast.Subscript, frame: Frame) -> Val:
    place = f"{frame.file} {where(node)}"
    if isinstance(inner, External):
        if inner.name in outside.ACTIVATION_TABLES and isinstance(key.value, str):
            return outside.activation(key.value, Src(frame.file, where(node), snippet(node)))
        return Val(External(f"{inner.dotted}[{key.value if isinstance(key.value, (str, int)) else ''}]"), holder.src)
    if isinstance(inner, Layer):
        if isinstance(key.value, str):
            return _named_entry(inner, key.value, holder, place)
        inner = [*inner.args, *inner.kwargs.values()] if "Output" in inner.cls.name else inner.items
    if is_unknown(key):
        return unknown(snippet(node), place)
    if isinstance(inner, dict):
        if isinstance(key.value, (str, int)) and key.value in inner:
            found = inner[key.value]
            return found if isinstance(found, Val) else Val(found, holder.src)
        return unknown(f"no key {key.value!r}", place)
    if isinstance(inner, (list, tuple, str, range)) and isinstance(key.value, (int, slice)):
        try:
            found = inner[key.value]
        except (IndexError, ValueError, TypeError):
            return unknown(f"index {key.value}", place)
        return found if isinstance(found, Val) else Val(found, holder.src)
    return unknown(snippet(node), place)


def _named_entry(layer: Layer, name: str, holder: Val, place: str) -> Val:
    """`modules["up"]` of a ModuleDict, `outputs["last_hidden_state"]`, or an attribute by its name."""
    for item in layer.items:
        if item.src and item.src[0].where == "key" and item.src[0].text == name:
            return Val(item.value, item.src[1:])
    found = layer.kwargs.get(name) or layer.attrs.get(name)
    return found if found is not None else unknown(f"no entry {name!r}", place)


def _hidden_state(states: HiddenStates, key: Val, holder: Val) -> Val:
    """One entry of the hidden states, counted from the end (-1 is the last layer's output)."""
    index = key.value
    if not isinstance(index, int) or isinstance(index, bool):
        return unknown("hidden state index")
    layers = states.output.layers
    if index >= 0:
        if layers is None:
            return unknown("hidden state counted from the front")
        index -= layers + 1
    last = states.output.last
    tapped = replace(last, layer=index, output="hidden_states", layer_sources=key.src)
    return Val(tapped, (*key.src, *holder.src)[:8])


def _features(tensor: Features, key: Val, holder: Val, node: ast.Subscript, frame: Frame) -> Val:
    indices = key.value if isinstance(key.value, (list, tuple)) else [key]
    plain = [item.value if isinstance(item, Val) else item for item in indices]
    axis = 0
    try:
        for item in plain:
            if item is Ellipsis:
                axis = len(tensor.axes) - (len(plain) - plain.index(Ellipsis) - 1)
                continue
            if not isinstance(item, slice):
                return unknown(f"index {snippet(node)}", f"{frame.file} {where(node)}")
            if item.step not in (None, 1) and item.stop is None:
                tensor = every(tensor, axis, item.start or 0, item.step)
            elif not (item.start in (None, 0) and item.stop is None):
                tensor = drop_tokens(tensor, axis, item.start or 0, item.stop)
            axis += 1
    except (ShapeError, IndexError, TypeError):
        return unknown(f"slice {snippet(node)}", f"{frame.file} {where(node)}")
    return Val(tensor, holder.src)

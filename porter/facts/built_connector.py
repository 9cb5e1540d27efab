"""The connector as the code builds it, where the way of the features to it was lost: the checkpoint says which module
it is."""

from __future__ import annotations

from porter.facts.code import CodeReading
from porter.facts.layout_connectors import layers_of
from porter.facts.layout_model import Layout
from porter.source.interpreter import Frame, Interpreter, Stop
from porter.source.layers import call_layer, children, holds_weights
from porter.source.tensors import Features, fresh
from porter.source.values import Instance, Layer, Val, is_unknown

WIDTH = 64
MAX_INNER = 24


def built_layers(code: CodeReading, layout: Layout) -> tuple[str, list[dict[str, object]]] | None:
    """(attribute path, layers in their order) of the module that the checkpoint shows as connector; None when it is no
    plain chain of layers, when it stores more than these, or when several modules connect."""
    parts = layout.of("connector")
    stored = [layer for layer in layers_of(parts[0], parts[0].prefix) if layer["name"]] if len(parts) == 1 else []
    try:
        return _built(code, parts[0].name, len(stored)) if stored else None
    except (Stop, RecursionError):
        return None


def _built(code: CodeReading, prefix: str, stored: int) -> tuple[str, list[dict[str, object]]] | None:
    found = _module_at(code, prefix)
    chain = _chain(code.run, found[1]) if found is not None else None
    if found is None or chain is None:
        return None
    start = Val(Features((fresh("batch", 1), fresh("token", 1), fresh("channel", WIDTH))))
    passed = call_layer(code.run, chain, [start], {}, chain.place, Frame("", {}, None, None, 1))
    if is_unknown(passed) or not isinstance(passed.value, Features):
        return None
    steps = [{key: value for key, value in step.items() if key != "axes"} for step in passed.value.steps]
    if sum(str(step["op"]).endswith(("Linear", "Norm", "Conv2d")) for step in steps) != stored:
        return None
    _true_widths(steps)
    return found[0], steps


def _module_at(code: CodeReading, prefix: str) -> tuple[str, Instance | Layer] | None:
    """The module whose attribute path is the prefix, or ends as it does."""
    ends = [(path, module) for path, module in code.modules() if path and _same(path, prefix)]
    return max(ends, key=lambda item: len(item[0]), default=None)


def _same(path: str, prefix: str) -> bool:
    return path == prefix or f".{path}".endswith(f".{prefix}") or f".{prefix}".endswith(f".{path}")


def _chain(run: Interpreter, module: Instance | Layer) -> Layer | None:
    """The one chain of layers that a module holds, itself included."""
    if isinstance(module, Layer):
        return module if holds_weights(module) else None
    inner = [child for _, child in children(run, module) if isinstance(child, (Instance, Layer))][:MAX_INNER]
    weighty = [child for child in inner if isinstance(child, Instance) or holds_weights(child)]
    return _chain(run, weighty[0]) if len(weighty) == 1 else None


def _true_widths(steps: list[dict[str, object]]) -> None:
    """Activations before the first layer with a width of its own have none that is known."""
    for step in steps:
        if isinstance(step.get("out"), int) and step["op"] in ("Linear", "LayerNorm", "RMSNorm"):
            break
        step.update({"in": None, "out": None})

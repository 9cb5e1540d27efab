"""Settings of a tower of the repo's own that only its layers state: norms, activation, MLP width, attention biases."""

from __future__ import annotations

from collections.abc import Iterator

from porter.facts.towers import TowerReading, argument_of
from porter.source.interpreter import Interpreter
from porter.source.layers import ACTIVATIONS, NORMS, children
from porter.source.values import Instance, Layer, Val, plain

HIDDEN_ACT = {
    ("GELU", "none"): "gelu",
    ("GELU", "tanh"): "gelu_pytorch_tanh",
    ("QuickGELU", "none"): "quick_gelu",
    ("SiLU", "none"): "silu",
    ("ReLU", "none"): "relu",
}
QK_NORMS = ("q_norm", "k_norm", "query_norm", "key_norm", "q_layernorm", "k_layernorm")


def tower_settings(run: Interpreter, tower: TowerReading) -> dict[str, Val]:
    """Attribute by attribute what the layers of one block say; nothing for a tower of a library."""
    if not isinstance(tower.module, Instance):
        return {}
    width = plain(tower.values["hidden_size"]) if "hidden_size" in tower.values else None
    found: dict[str, Val] = {"qk_normalization": Val(any(norm in name for norm in QK_NORMS for name in tower.names))}
    found["initializer_factor"] = Val(1.0)  # a start value of what the checkpoint stores
    for path, layer in _layers(run, tower.module, "", 6):
        for name, value in _stated(layer, path, width):
            found.setdefault(name, value)
    return found


def _layers(run: Interpreter, module: object, path: str, depth: int) -> Iterator[tuple[str, Layer]]:
    for name, child in children(run, module):
        inner = f"{path}.{name}" if path else name
        if isinstance(child, Layer):
            yield inner, child
        if depth:
            yield from _layers(run, child, inner, depth - 1)


def _stated(layer: Layer, path: str, width: object) -> Iterator[tuple[str, Val]]:
    """What one layer of a block settles; layers outside the blocks (patches, last norm) settle nothing."""
    name = layer.cls.name
    if not any(part.isdigit() for part in path.split(".")):
        return
    if name.endswith(NORMS):
        yield "norm_type", Val("rms_norm" if name.endswith("RMSNorm") else "layer_norm", (layer.place,))
        given = argument_of(layer, 1, "eps")
        yield "layer_norm_eps", given if given is not None else Val(1e-5, (layer.place,))
    elif name.endswith(ACTIVATIONS):
        act = HIDDEN_ACT.get((name.removesuffix("Activation"), str(layer.argument(0, "approximate", "none"))))
        if act is not None:
            yield "hidden_act", Val(act, (layer.place,))
    elif name == "Linear":
        yield from _linear(layer, path, width)


INTO_ATTENTION = frozenset({"q", "k", "v", "query", "key", "value", "wq", "wk", "wv"})


def _linear(layer: Layer, path: str, width: object) -> Iterator[tuple[str, Val]]:
    outer = argument_of(layer, 1, "out_features")
    if _into_attention(path.rpartition(".")[2]):
        bias = argument_of(layer, 2, "bias")
        yield "qkv_bias", bias if bias is not None else Val(True, (layer.place,))
    elif outer is not None and isinstance(plain(outer), int) and plain(outer) != width:
        yield "intermediate_size", outer


def _into_attention(name: str) -> bool:
    """`qkv`, `wqkv`, or one of `q_proj`, `to_k`, `value`: what an attention's input passes first."""
    return "qkv" in name or bool(INTO_ATTENTION & set(name.lower().split("_")))

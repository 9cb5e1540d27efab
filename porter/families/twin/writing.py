"""Modules of a port's own as the template names them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from porter.families.twin.connectors import OwnModule
from porter.planning.model_file import Imports

LAYERS = "vllm.model_executor.layers"
ELSEWHERE = {"RMSNorm(": ("layernorm", "RMSNorm"), "QuickGELU(": ("activation", "QuickGELU")}


@dataclass(frozen=True, slots=True)
class Written:
    """`cls` is "" where the module is a layer of torch; `made` with `arguments` makes it in the port's `__init__`."""

    place: str
    cls: str
    made: str
    arguments: tuple[str, ...]
    parallel: bool
    layers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    forward: tuple[str, ...] = ()


def written(module: OwnModule, cls: str) -> Written:
    if not module.role:
        _, head, arguments = module.layers[0]
        return Written(module.place, "", head, arguments, False)
    layers = tuple(
        (f"self.{name} = {_head(module, head)}", _arguments(module, name, head, given))
        for name, head, given in module.layers
    )
    more = ("vllm_config.quant_config", f'maybe_prefix(prefix, "{module.place}")') if module.parallel else ()
    return Written(module.place, cls, cls, ("self.config", *more), module.parallel, layers, tuple(_forward(module)))


def _head(module: OwnModule, head: str) -> str:
    return "ReplicatedLinear" if module.parallel and head == "nn.Linear" else head


def _arguments(module: OwnModule, name: str, head: str, given: tuple[str, ...]) -> tuple[str, ...]:
    if not (module.parallel and head == "nn.Linear"):
        return given
    return (*given, "quant_config=quant_config", f'prefix=maybe_prefix(prefix, "{name}")')


def _forward(module: OwnModule) -> Iterable[str]:
    heads = {name: head for name, head, _ in module.layers}
    taken = "image_features"
    for index, name in enumerate(module.order):
        pair = module.parallel and heads[name] == "nn.Linear"
        call = f"self.{name}({taken})"
        last = index == len(module.order) - 1
        yield f"return {call}" if last and not pair else f"hidden_states{', _' if pair else ''} = {call}"
        taken = "hidden_states"
    if not module.order or (module.parallel and heads[module.order[-1]] == "nn.Linear"):
        yield f"return {taken}"


def add_imports(imports: Imports, modules: tuple[OwnModule, ...], config: str) -> None:
    for module in modules:
        text = module.text
        if "nn." in text or module.role:
            imports.plain.add("torch.nn as nn")
        for marker, (file, name) in ELSEWHERE.items():
            if marker in text.replace("nn.RMSNorm(", ""):
                imports.add(f"{LAYERS}.{file}", name)
        if module.role:
            imports.plain.add("torch")
            imports.add("transformers", config)
        if module.parallel:
            imports.add(f"{LAYERS}.linear", "ReplicatedLinear")
            imports.add(f"{LAYERS}.quantization", "QuantizationConfig")
            imports.model("utils", "maybe_prefix")

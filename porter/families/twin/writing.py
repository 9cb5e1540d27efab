"""Modules of a port's own as the template names them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from porter.families.twin.connectors import REGROUP, LayerCode, OwnModule
from porter.planning import layout
from porter.planning.model_file import Imports

LAYERS = "vllm.model_executor.layers"
ELSEWHERE = {"RMSNorm(": ("layernorm", "RMSNorm"), "QuickGELU(": ("activation", "QuickGELU")}
LINEAR, MERGED = "ReplicatedLinear", "merged_size"


@dataclass(frozen=True, slots=True)
class Written:
    """`cls` is "" where the module is a layer of torch; `made` with `arguments` makes it in the port's `__init__`.

    `layers` and `forward` are the lines of its own two methods."""

    place: str
    cls: str
    made: str
    arguments: tuple[str, ...]
    parallel: bool
    layers: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()


def written(module: OwnModule, cls: str) -> Written:
    if not module.role:
        layer = module.layers[0][1]
        return Written(module.place, "", layer.head, (*layer.arguments, *(item.text for item in layer.items)), False)
    layers = [_line(name, _placed(module, name, _merged(module, layer))) for name, layer in module.layers]
    if REGROUP in module.order:
        layers.insert(0, _value(module.width))
    more = ("vllm_config.quant_config", f'maybe_prefix(prefix, "{module.place}")') if module.parallel else ()
    forward = tuple(_returned([*_forward(module)]))
    return Written(module.place, cls, cls, ("self.config", *more), module.parallel, tuple(layers), forward)


def _merged(module: OwnModule, layer: LayerCode) -> LayerCode:
    """The layer with the width of what stands together by its name."""
    arguments = tuple(f"self.{MERGED}" if module.width == item else item for item in layer.arguments)
    return LayerCode(layer.head, arguments, tuple(_merged(module, item) for item in layer.items))


def _placed(module: OwnModule, name: str, layer: LayerCode) -> LayerCode:
    """The layer, its Linears vLLM's own where those of the tree's class are."""
    if not module.parallel:
        return layer
    if layer.items:
        items = tuple(_placed(module, f"{name}.{index}", item) for index, item in enumerate(layer.items))
        linear = any(item.head == LINEAR for item in items)
        return replace(layer, head="nn.ModuleList" if linear else layer.head, items=items)
    if layer.head != "nn.Linear":
        return layer
    more = ("quant_config=quant_config", f'prefix=maybe_prefix(prefix, "{name}")')
    return LayerCode(LINEAR, (*layer.arguments, *more))


def _value(width: str) -> str:
    one = layout.line(8, f"self.{MERGED} = {width}")
    return one.replace(width, _broken(width, 12)) if "\n" in one else one


def _broken(value: str, indent: int) -> str:
    """An expression too long for its line, one operand of it on each."""
    node = ast.parse(value, mode="eval").body
    if indent + len(value) < layout.WIDTH or not isinstance(node, ast.BinOp):
        return value
    last = ast.get_source_segment(value, node.right) or ""
    rest = value.removesuffix(last).rstrip()
    first, _, sign = rest.rpartition(" ")
    return f"{_broken(first, indent)}\n{' ' * indent}{sign} {last}" if last and first else value


def _line(name: str, layer: LayerCode) -> str:
    if layer.head != "nn.ModuleList":
        items = [*(_argument(item, 12) for item in layer.arguments), *(item.text for item in layer.items)]
        return layout.call(8, f"self.{name} = {layer.head}", items)
    items = [layout.call(16, i.head, [_argument(item, 20) for item in i.arguments]) + "," for i in layer.items]
    return "\n".join([f"        self.{name} = nn.ModuleList(", "            [", *items, "            ]", "        )"])


def _argument(code: str, indent: int) -> str:
    """An argument by position is an expression; one by name is short."""
    return code if "=" in code else _broken(code, indent)


def _forward(module: OwnModule) -> Iterator[tuple[str, str]]:
    """(what is called, what it answers beside the features) of each step."""
    layers = {name: _placed(module, name, layer) for name, layer in module.layers}
    for name in module.order:
        layer = layers.get(name)
        if layer is None:
            yield "", ""
        elif layer.head == "nn.ModuleList":
            places = ((f"self.{name}[{index}]", item) for index, item in enumerate(layer.items))
            yield from ((place, _second(item)) for place, item in places if item.head != "nn.Identity")
        else:
            yield f"self.{name}", _second(layer)


def _second(layer: LayerCode) -> str:
    return ", _" if layer.head == LINEAR else ""


def _returned(steps: list[tuple[str, str]]) -> Iterator[str]:
    """The statements of `forward`."""
    taken = "image_features"
    for index, (called, second) in enumerate(steps):
        value = f"{called}({taken})" if called else f"{taken}.view(-1, self.{MERGED})"
        last = index == len(steps) - 1 and not second
        yield f"return {value}" if last else f"hidden_states{second} = {value}"
        taken = "hidden_states"
    if not steps or steps[-1][1]:
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
            imports.add(f"{LAYERS}.linear", LINEAR)
            imports.add(f"{LAYERS}.quantization", "QuantizationConfig")
            imports.model("utils", "maybe_prefix")

"""A connector as a list of layers: the base's, read from its source, and the repo's, from the facts."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from porter.jsontypes import JSON, JSONObject
from porter.vllm_tree.syntax import calls, dotted

OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
VISION = "vision_config.hidden_size"
TEXT = "text_config.hidden_size"
TORCH_EPS = 1e-5
NORMS = ("LayerNorm", "RMSNorm")
ACTIVATIONS = {
    "GELU": "nn.GELU()",
    "GELUActivation": "nn.GELU()",
    "SiLU": "nn.SiLU()",
    "SiLUActivation": "nn.SiLU()",
    "ReLU": "nn.ReLU()",
    "Tanh": "nn.Tanh()",
    "Sigmoid": "nn.Sigmoid()",
    "QuickGELU": "QuickGELU()",
    "QuickGELUActivation": "QuickGELU()",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. `inner` and `outer` are widths: expressions in the base's source, numbers in the facts."""

    op: str
    inner: JSON = None
    outer: JSON = None
    bias: bool = True
    eps: float | None = None
    approximate: str = "none"
    name: str = ""

    def same_kind(self, other: Layer) -> bool:
        return (self.op, self.bias, self.eps, self.approximate) == (other.op, other.bias, other.eps, other.approximate)

    def to_json(self) -> JSONObject:
        return {
            "op": self.op,
            "in": self.inner,
            "out": self.outer,
            "bias": self.bias,
            "eps": self.eps,
            "name": self.name,
        }


def fact_layers(value: JSON) -> tuple[Layer, ...]:
    """The layers of the `connector` fact."""
    layers = value.get("layers") if isinstance(value, dict) else None
    return tuple(_fact_layer(item) for item in (layers if isinstance(layers, list) else []) if isinstance(item, dict))


def _fact_layer(item: Mapping[str, JSON]) -> Layer:
    op, eps, approximate = str(item.get("op")), item.get("eps"), item.get("approximate")
    return Layer(
        op=op,
        inner=item.get("in"),
        outer=item.get("out"),
        bias=item.get("bias") is not False,
        eps=float(eps) if isinstance(eps, (int, float)) else TORCH_EPS if op == "LayerNorm" else None,
        approximate=str(approximate) if approximate else "none",
        name=str(item.get("name") or item.get("attr") or ""),
    )


def sequence_layers(node: ast.FunctionDef | None) -> tuple[Layer, ...]:
    """The layers of the `nn.Sequential` that a base's `_init_mlp1` returns; empty when it has another form."""
    found = calls(node, "Sequential") if node is not None else []
    if not found or node is None:
        return ()
    names = _assignments(node)
    return tuple(_source_layer(item, names) for item in found[0].args if isinstance(item, ast.Call))


def _assignments(node: ast.FunctionDef) -> dict[str, ast.expr]:
    return {
        item.targets[0].id: item.value
        for item in ast.walk(node)
        if isinstance(item, ast.Assign) and len(item.targets) == 1 and isinstance(item.targets[0], ast.Name)
    }


def _source_layer(call: ast.Call, names: Mapping[str, ast.expr]) -> Layer:
    op = dotted(call.func).rpartition(".")[2]
    widths = [_expression(item, names) for item in call.args]
    keywords = {item.arg: item.value for item in call.keywords}
    bias = keywords.get("bias")
    eps = keywords.get("eps")
    return Layer(
        op=op,
        inner=widths[0] if widths else None,
        outer=widths[1] if len(widths) > 1 else (widths[0] if widths else None),
        bias=not (isinstance(bias, ast.Constant) and bias.value is False),
        eps=float(eps.value)
        if isinstance(eps, ast.Constant) and isinstance(eps.value, (int, float))
        else _torch_eps(op),
        approximate=str(ast.literal_eval(keywords["approximate"])) if "approximate" in keywords else "none",
    )


def _torch_eps(op: str) -> float | None:
    return TORCH_EPS if op == "LayerNorm" else None


def _expression(node: ast.expr, names: Mapping[str, ast.expr]) -> str:
    """A width's expression with local names put in."""

    class Inline(ast.NodeTransformer):
        def visit_Name(self, item: ast.Name) -> ast.expr:
            return names.get(item.id, item)

    return ast.unparse(Inline().visit(ast.parse(ast.unparse(node), mode="eval").body))


def evaluate(expression: JSON, *, vision: int, text: int, ratio: float) -> int | None:
    """A base's width with this repo's sizes; None when it uses anything else."""
    if not isinstance(expression, str):
        return expression if isinstance(expression, int) else None
    values = {VISION: vision, TEXT: text, "downsample_ratio": ratio}
    try:
        result = _value(ast.parse(expression, mode="eval").body, values)
    except (LookupError, TypeError, ValueError, ZeroDivisionError):
        return None
    return int(result) if float(result).is_integer() else None


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, values), _value(node.right, values)
        return OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and dotted(node.func) == "int":
        return int(_value(node.args[0], values))
    name = dotted(node)
    found = [value for known, value in values.items() if name.endswith(known)]
    return found[0]

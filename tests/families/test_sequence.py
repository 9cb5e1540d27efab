from __future__ import annotations

import ast

import pytest

from porter.families.internvl.sequence import Layer, evaluate, fact_layers, sequence_layers

SOURCE = """
def _init_mlp1(self, config):
    width = config.vision_config.hidden_size
    return nn.Sequential(
        nn.LayerNorm(width * int(1 / self.downsample_ratio) ** 2, eps=1e-6),
        nn.Linear(width * int(1 / self.downsample_ratio) ** 2, config.text_config.hidden_size, bias=False),
        nn.GELU(approximate="tanh"),
    )
"""


def base() -> tuple[Layer, ...]:
    node = ast.parse(SOURCE).body[0]
    assert isinstance(node, ast.FunctionDef)
    return sequence_layers(node)


def test_layers_are_read_from_source() -> None:
    norm, linear, act = base()
    assert (norm.op, norm.eps) == ("LayerNorm", 1e-6)
    assert (linear.op, linear.bias) == ("Linear", False)
    assert (act.op, act.approximate) == ("GELU", "tanh")


@pytest.mark.parametrize(("ratio", "merged"), [(0.5, 256), (0.25, 1024), (1.0, 64)])
def test_widths_are_evaluated_with_other_sizes(ratio: float, merged: int) -> None:
    norm, linear, _ = base()
    assert evaluate(norm.inner, vision=64, text=128, ratio=ratio) == merged
    assert evaluate(linear.outer, vision=64, text=128, ratio=ratio) == 128


@pytest.mark.parametrize("expression", ["config.other", "f(1)", "1 / 0", "None"])
def test_anything_else_is_unknown(expression: str) -> None:
    assert evaluate(expression, vision=1, text=1, ratio=1.0) is None


def test_a_silent_norm_has_the_default_of_torch() -> None:
    layers = fact_layers({"layers": [{"op": "LayerNorm", "in": 4, "out": 4}, {"op": "RMSNorm", "in": 4, "out": 4}]})
    assert [layer.eps for layer in layers] == [1e-5, None]


def test_kinds_differ_by_bias_and_eps() -> None:
    assert not Layer("Linear").same_kind(Layer("Linear", bias=False))
    assert not Layer("LayerNorm", eps=1e-5).same_kind(Layer("LayerNorm", eps=1e-6))
    assert Layer("GELU", name="a").same_kind(Layer("GELU", name="b"))

"""Module classes as chains of layers: read in full, or not at all."""

from __future__ import annotations

import ast

import pytest

from porter.source.chain import Call, Chain, read_chain
from porter.source.codebase import CodeBase, Definition
from porter.source.symbols import Symbols, Unread, config_at

HEAD = """
import torch
import torch.nn as nn
import torch.nn.functional as F
from transformers.activations import ACT2FN, GELUActivation
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

FACTOR = 4


class OwnNorm(nn.Module):
    pass


class OtherNorm(nn.Module):
    pass


class Bridge(nn.Module):
    def __init__(self, config, dropout=0.1):
        super().__init__()
        self.config = config
        wide = config.text.width * FACTOR
        self.norm = nn.LayerNorm((config.eyes.width,), eps=1e-6)
        self.up = nn.Linear(config.eyes.width, wide, bias=False)
        self.act = ACT2FN[config.act]
        self.drop = nn.Dropout(dropout)
        self.down = nn.Linear(wide, self.config.text.width)

    def forward(self, features):
        hidden = self.act(self.up(self.norm(features)))
        return self.down(self.drop(hidden))
"""
MISSING = ("gone",)
SAME = {"OwnNorm": "transformers.models.llama.modeling_llama.LlamaRMSNorm"}


def attribute(path: tuple[str, ...], name: str) -> ast.expr | None:
    return None if name in MISSING else config_at((*path, name))


def chain(text: str = HEAD) -> Chain:
    code = CodeBase({"m.py": text})
    cls = code.meaning("m.py", "Bridge")
    assert isinstance(cls, Definition)
    return read_chain(code, cls, Call([config_at(())]), attribute, lambda own: SAME.get(own.name))


def changed(old: str, new: str) -> str:
    assert HEAD.count(old) == 1, old
    return HEAD.replace(old, new)


def said(found: Chain) -> dict[str, str]:
    return {
        name: f"{layer.op}({', '.join(f'{key}={ast.unparse(value)}' for key, value in layer.given)})"
        for name, layer in found.layers
    }


def test_every_layer_has_its_arguments_over_the_config() -> None:
    found = chain()
    assert found.order == ("norm", "up", "act", "drop", "down")
    assert said(found) == {
        "norm": "LayerNorm(normalized_shape=config.eyes.width, eps=1e-06)",
        "up": "Linear(in_features=config.eyes.width, out_features=config.text.width * 4, bias=False)",
        "act": "ACT2FN(key=config.act)",
        "drop": "Identity()",
        "down": "Linear(in_features=config.text.width * 4, out_features=config.text.width)",
    }


READ = {
    "a chain inside of a Sequential": (
        "self.act = ACT2FN[config.act]",
        "self.act = nn.Sequential(nn.GELU(approximate='tanh'), nn.Identity())",
        "act",
        "Sequential()",
    ),
    "a norm of the library": (
        "nn.LayerNorm((config.eyes.width,), eps=1e-6)",
        "LlamaRMSNorm(config.eyes.width)",
        "norm",
        "RMSNorm(hidden_size=config.eyes.width)",
    ),
    "a copy of a norm of the library": (
        "nn.LayerNorm((config.eyes.width,), eps=1e-6)",
        "OwnNorm(config.eyes.width, eps=config.eps)",
        "norm",
        "RMSNorm(hidden_size=config.eyes.width, eps=config.eps)",
    ),
    "a key that may be missing": (
        "wide = config.text.width * FACTOR",
        "wide = getattr(config, 'gone', FACTOR)",
        "down",
        "Linear(in_features=4, out_features=config.text.width)",
    ),
    "names of several values at once": (
        "wide = config.text.width * FACTOR",
        "wide, other = config.text.width, 3",
        "down",
        "Linear(in_features=config.text.width, out_features=config.text.width)",
    ),
}


@pytest.mark.parametrize("what", READ)
def test_what_else_is_read(what: str) -> None:
    old, new, name, expected = READ[what]
    assert said(chain(changed(old, new)))[name] == expected


RETURN = "        return self.down(self.drop(hidden))"
HIDDEN = "self.act(self.up(self.norm(features)))"
UNREAD = {
    "a residual": (HIDDEN, f"self.up(features) + {HIDDEN}"),
    "a scale": (RETURN, f"{RETURN} * 0.5"),
    "tokens put together": (HIDDEN, HIDDEN.replace("features", "features.reshape(1, -1, 8)")),
    "tokens averaged": (RETURN, f"{RETURN}.mean(dim=1, keepdim=True)"),
    "a function of torch that mixes channels": (HIDDEN, "F.softmax(self.up(self.norm(features)))"),
    "a function with an open argument": (HIDDEN, "F.gelu(self.up(self.norm(features)), approximate=self.kind)"),
    "a function in place": (HIDDEN, "F.silu(self.up(self.norm(features)), inplace=True)"),
    "a method that is called like a function": (HIDDEN, "features.silu(self.up(self.norm(features)))"),
    "a layer that nothing uses": (HIDDEN, "self.act(self.up(features))"),
    "a step that is not handed on": (RETURN, f"        other = self.down(features)\n{RETURN}"),
    "a choice at run time": (
        "        hidden =",
        "        if features.shape[0] > 1:\n            features = self.norm(features)\n        hidden =",
    ),
    "a second argument": ("def forward(self, features)", "def forward(self, features, sizes=None)"),
    "a method of its own": ("    def forward", "    def __call__(self, x):\n        return x\n\n    def forward"),
    "a decorator": ("    def forward", "    @torch.no_grad\n    def forward"),
    "a decorator of the class": ("class Bridge", "@torch.compile\nclass Bridge"),
    "another base": ("class Bridge(nn.Module)", "class Bridge(nn.Linear)"),
    "a value of the class": ("    def __init__", "    training = True\n\n    def __init__"),
    "a layer set twice": (
        "        self.drop =",
        "        self.up = nn.Linear(8, 8)\n        self.drop =",
    ),
    "a layer that is changed": ("        self.drop =", "        self.up.weight.data.mul_(2)\n        self.drop ="),
    "a hook": ("        self.drop =", "        self.up.register_forward_hook(print)\n        self.drop ="),
    "a branch": ("        self.drop =", "        if config.deep:\n            wide = 3\n        self.drop ="),
    "a parameter": ("nn.Dropout(dropout)", "nn.Parameter(torch.ones(3))"),
    "a norm over all channels": ("eps=1e-6", "eps=1e-6, elementwise_affine=False"),
    "a norm over two axes": ("(config.eyes.width,)", "(4, config.eyes.width)"),
    "a norm that adds one": ("nn.LayerNorm((config.eyes.width,), eps=1e-6)", "GemmaRMSNorm(config.eyes.width)"),
    "a norm of its own": ("nn.LayerNorm((config.eyes.width,), eps=1e-6)", "OtherNorm()"),
    "a norm over tokens": ("nn.LayerNorm((config.eyes.width,), eps=1e-6)", "nn.BatchNorm1d(config.eyes.width)"),
    "a convolution": ("nn.Dropout(dropout)", "nn.Conv1d(3, 3, 1)"),
    "a width that is computed elsewhere": ("config.text.width * FACTOR", "config.text.width * F.factor"),
    "a width that no config has": ("config.text.width * FACTOR", "config.gone"),
    "a width that a call gives": ("config.text.width * FACTOR", "config.get_width()"),
    "another module in place of torch's": ("FACTOR = 4", "class nn:\n    Module = Linear = object"),
    "an argument that is no layer's": ("bias=False", "bias=False, device='meta'"),
    "an activation with an open argument": ("ACT2FN[config.act]", "nn.GELU(config.act)"),
    "a name that a local hides": ("        wide =", "        nn = config.layers\n        wide ="),
}


@pytest.mark.parametrize("what", UNREAD)
def test_what_is_not_understood_is_not_read(what: str) -> None:
    with pytest.raises(Unread):
        chain(changed(*UNREAD[what]))


def test_a_function_is_the_layer_that_does_the_same() -> None:
    found = chain(changed(HIDDEN, "F.gelu(self.act(self.up(self.norm(features))), approximate='tanh')"))
    assert found.order == ("norm", "up", "act", "act_2", "drop", "down")
    assert said(found)["act_2"] == "GELU(approximate='tanh')"


def test_arguments_that_the_class_does_not_take_are_not_read() -> None:
    code = CodeBase({"m.py": HEAD})
    cls = code.meaning("m.py", "Bridge")
    assert isinstance(cls, Definition)
    for call in (Call([]), Call([config_at(())] * 3), Call([config_at(())], {"other": ast.Constant(1)})):
        with pytest.raises(Unread):
            read_chain(code, cls, call, attribute)


def test_stars_are_spread_and_items_taken() -> None:
    symbols = Symbols(CodeBase({"m.py": HEAD}), "m.py", attribute, {"pair": ast.parse("(1, 2)", mode="eval").body})
    call = ast.parse("f(*pair, pair[1])", mode="eval").body
    assert isinstance(call, ast.Call)
    assert [ast.unparse(item) for item in symbols.taken(call.args)] == ["1", "2", "2"]
    with pytest.raises(Unread):
        symbols.value(ast.parse("pair[2]", mode="eval").body)

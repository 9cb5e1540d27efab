"""Another activation than the original's: which are known, and where the port may set them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from porter.facts import infer
from porter.families import FAMILIES
from porter.families.twin.activations import activation
from porter.families.verdict import decide
from porter.hub import snapshot_of
from porter.planning.build import port_spec
from tests.families.repos import needs_vllm, tree
from tests.twins import TWINS, write_repo

CODES = {
    "nn.SiLU()": "nn.SiLU()",
    "torch.nn.GELU()": "nn.GELU()",
    "nn.GELU(approximate='tanh')": 'nn.GELU(approximate="tanh")',
    "ACT2FN['gelu_pytorch_tanh']": 'nn.GELU(approximate="tanh")',
    "ACT2FN['mish']": None,
    "ACT2FN[config.act]": None,
    "nn.GELU(kind)": None,
    "nn.Linear(1, 2)": None,
    "F.silu": None,
}


@pytest.mark.parametrize("code", CODES)
def test_only_activations_without_open_arguments_are_written(code: str) -> None:
    assert activation(ast.parse(code, mode="eval").body) == CODES[code]


@needs_vllm
def test_the_port_sets_the_activation_of_the_repo(tmp_path: Path) -> None:
    write_repo(TWINS["ousel-copy"], tmp_path)
    (code,) = tmp_path.glob("modeling_*.py")
    said = code.read_text()
    assert said.count("ACT2FN[config.bridge_act]") == 1
    code.write_text(said.replace("ACT2FN[config.bridge_act]", "nn.SiLU()"))
    reading = infer(snapshot_of(str(tmp_path), revision=None, offline=True))
    verdict = decide(reading, tree())
    assert verdict.level == "inherit" and verdict.match is not None
    spec = port_spec(reading, verdict, tree())
    text = FAMILIES[verdict.match.family].model_file(spec, relative=False, own_config=True)
    init = next(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef) and "init" in node.name)
    assert "self.multi_modal_projector.act = nn.SiLU()" in [ast.unparse(item) for item in init.body]


@needs_vllm
def test_a_layer_that_the_repo_calls_as_torch_does_is_its_own(tmp_path: Path) -> None:
    write_repo(TWINS["ousel-copy"], tmp_path)
    (code,) = tmp_path.glob("modeling_*.py")
    said = code.read_text().replace("ACT2FN[config.bridge_act]", "GELU()")
    own = "class GELU(nn.Module):\n    def forward(self, x):\n        return x * torch.sigmoid(1.702 * x)\n"
    levels = []
    for made in ("from torch.nn import GELU\n", own):
        code.write_text(f"{said}\n\n{made}")
        levels.append(decide(infer(snapshot_of(str(tmp_path), revision=None, offline=True)), tree()).level)
    assert levels[0] == "inherit" and levels[1] != "inherit"

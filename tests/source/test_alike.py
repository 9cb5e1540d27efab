"""Two code bases walked side by side: renamed code is the same code, one changed operation is not."""

from __future__ import annotations

import ast
import textwrap

import pytest

from porter.source.alike import Alike, Side
from porter.source.alike_classes import start
from porter.source.codebase import CodeBase, Definition

LIBRARY = """
import torch
import torch.nn as nn
from torch.nn import functional as F
from ...activations import ACT2FN
from ...configuration_utils import PreTrainedConfig
from ...modeling_utils import PreTrainedModel

logger = None


class NodeConfig(PreTrainedConfig):
    model_type = "node"
    hidden_size: int = 8
    depth: int = 2

    def __post_init__(self, **kwargs):
        self.inner = self.hidden_size * 2
        super().__post_init__(**kwargs)


def rotate(x):
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


class NodeBlock(nn.Module):
    def __init__(self, config: NodeConfig):
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size)
        self.norm2 = nn.LayerNorm(config.hidden_size)
        self.fc = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.act = ACT2FN["gelu"]

    def forward(self, x, scale: float = 0.5):
        x = x + rotate(self.norm1(x)) * scale
        return x + self.act(self.fc(self.norm2(x)))


class NodeModel(PreTrainedModel):
    def __init__(self, config: NodeConfig):
        super().__init__(config)
        self.blocks = nn.ModuleList([NodeBlock(config) for _ in range(config.depth)])
        self.post_init()

    def forward(self, pixels):
        for block in self.blocks:
            pixels = block(pixels)
        return F.silu(pixels)
"""
FILE = "transformers/models/node/modeling_node.py"
RENAMES = {
    "from ...": "from transformers.",
    "Node": "Merganser",
    "node": "merganser",
    "hidden_size": "width",
    "depth": "count",
    "norm1": "before",
    "norm2": "after",
    "rotate": "turn",
    "pixels": "image",
    "blocks": "stack",
    "half": "middle",
}


def renamed(text: str = LIBRARY) -> str:
    for old, new in RENAMES.items():
        text = text.replace(old, new)
    return text


def walk(repo: str, library: str = LIBRARY) -> Alike:
    """The library's code beside the repo's."""
    return walked(CodeBase({FILE: library}), repo, "MerganserModel")


def walked(library: CodeBase, repo: str, model: str) -> Alike:
    code = CodeBase({"modeling_merganser.py": textwrap.dedent(repo)})
    found = start(Side.of(library), Side.of(code))
    sides = (library.meaning(FILE, "NodeModel"), code.meaning("modeling_merganser.py", model))
    configs = (library.meaning(FILE, "NodeConfig"), code.meaning("modeling_merganser.py", "MerganserConfig"))
    for ours, theirs in (sides, configs):
        if isinstance(ours, Definition) and isinstance(theirs, Definition):
            found.pair(ours, theirs)
    found.run()
    return found


def test_a_renamed_copy_is_the_same_and_says_what_is_called_how() -> None:
    found = walk(renamed())
    assert found.unlike == []
    assert found.classes["NodeBlock"] == ("modeling_merganser.py", "MerganserBlock")
    assert found.names[("NodeBlock", "self")].there["norm1"] == "before"
    assert found.names[("NodeBlock", "config")].there == {"hidden_size": "width"}
    assert found.types[("NodeModel", "config")] == "NodeConfig"


CHANGES = {
    "an activation of the library": ('ACT2FN["gelu"]', 'ACT2FN["silu"]'),
    "a function of torch": ("F.silu", "F.gelu"),
    "norms swapped where they are applied": ("turn(self.before(x))", "turn(self.after(x))"),
    "a layer's switch": ("bias=False", "bias=True"),
    "a default": ("scale: float = 0.5", "scale: float = 0.25"),
    "a residual left out": ("return x + self.act", "return self.act"),
    "another order of two halves": ("(-x[..., middle:], x[..., :middle])", "(x[..., :middle], -x[..., middle:])"),
    "an operand": ("* scale", "/ scale"),
    "a size from another field": ("nn.Linear(config.width, config.width", "nn.Linear(config.width, config.count"),
    "one more step": ("return F.silu(image)", "image = image * 2\n        return F.silu(image)"),
    "what the config class computes": ("self.width * 2", "self.width * 4"),
    "two layers that are one": ("self.after(x)", "self.before(x)"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_one_changed_operation_is_a_difference(what: str) -> None:
    text = renamed()
    old, new = CHANGES[what]
    assert text.count(old) == 1
    assert walk(text.replace(old, new)).unlike != []


QUIET = {
    "a docstring": ("    def forward(self, image):\n", '    def forward(self, image):\n        """Turns."""\n'),
    "a check that only raises": (
        "    def forward(self, image):\n",
        "    def forward(self, image):\n        if image is None:\n            raise ValueError('no image')\n",
    ),
    "a log line": ("        self.post_init()", "        logger.warning('made')\n        self.post_init()"),
    "a buffer that nothing reads": (
        "        self.post_init()",
        "        self.register_buffer('step', torch.arange(4))\n        self.post_init()",
    ),
    "an annotation": ("def turn(x)", "def turn(x: torch.Tensor)"),
    "a method that no forward pass calls": (
        "class MerganserModel(PreTrainedModel):\n",
        "class MerganserModel(PreTrainedModel):\n    def get_input_embeddings(self):\n        return None\n\n",
    ),
}


@pytest.mark.parametrize("what", QUIET)
def test_what_reaches_no_number_is_no_difference(what: str) -> None:
    text = renamed()
    old, new = QUIET[what]
    assert old in text
    assert walk(text.replace(old, new, 1)).unlike == []


def test_a_method_of_tensors_is_no_name_that_a_copy_may_choose() -> None:
    library = LIBRARY.replace("F.silu(pixels)", "F.silu(pixels.sum(-1))").replace("self.post_init()", "self.sum = 1")
    text = renamed(library).replace("image.sum(-1)", "image.mean(-1)").replace("self.sum = 1", "self.mean = 1")
    assert walk(renamed(library), library=library).unlike == []
    assert walk(text, library=library).unlike != []


def test_a_buffer_that_is_read_is_a_difference() -> None:
    text = renamed().replace("        self.post_init()", "        self.register_buffer('step', torch.ones(1))")
    assert walk(text.replace("F.silu(image)", "F.silu(image * self.step)")).unlike != []


SUBCLASS = """
import torch
import torch.nn as nn
from transformers import NodeModel
from transformers.models.node.modeling_node import NodeBlock


class MerganserModel(NodeModel):
    def __init__(self, config):
        super().__init__(config)
        {added}
{method}
"""
SUBCLASSES = {
    "nothing": ("pass", "", True),
    "a buffer": ("self.register_buffer('step', torch.arange(4))", "", True),
    "the same blocks": ("self.blocks = nn.ModuleList([NodeBlock(config) for _ in range(config.depth)])", "", True),
    "other blocks": ("self.blocks = nn.ModuleList([nn.Identity() for _ in range(config.depth)])", "", False),
    "a part of a part": ("self.blocks[0].act = nn.ReLU()", "", False),
    "a hook": ("self.blocks[0].register_forward_hook(print)", "", False),
    "another forward": ("pass", "    def forward(self, pixels):\n        return pixels\n", False),
    "a new method": ("pass", "    def encode(self, pixels):\n        return pixels\n", False),
}


@pytest.mark.parametrize("what", SUBCLASSES)
def test_a_subclass_is_the_original_unless_it_says_otherwise(what: str) -> None:
    added, method, same = SUBCLASSES[what]
    assert (walk(SUBCLASS.format(added=added, method=method)).unlike == []) == same


def test_a_difference_names_both_sides_and_the_line_in_the_repo() -> None:
    text = renamed().replace("F.silu", "F.gelu")
    (only,) = walk(text).unlike
    line = text.splitlines()[only.line - 1]
    assert "F.gelu" in line and only.cls == "NodeModel"
    assert only.text() == "NodeModel.forward: F.silu against F.gelu"


def test_code_that_names_nothing_of_torch_is_walked_without_error() -> None:
    assert walk("class MerganserModel:\n    x = 1\n").unlike != []


def test_hostile_nesting_ends() -> None:
    deep = "x" + ".y" * 200
    text = renamed().replace("F.silu(image)", f"F.silu({deep})")
    assert ast.parse(text) and walk(text).unlike != []

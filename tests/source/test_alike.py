"""Two code bases walked side by side: renamed code is the same code, one changed operation is not."""

from __future__ import annotations

import ast

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
    return walked(CodeBase({FILE: library}), CodeBase({"modeling_merganser.py": repo}), "MerganserModel")


def walked(library: CodeBase, code: CodeBase, model: str) -> Alike:
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


FORWARD = "    def forward(self, image):\n"
LAST = "        return F.silu(image)\n"
BLOCK = "class MerganserBlock(nn.Module):\n"
CONFIG = '    model_type = "merganser"\n'
ACTING = {
    "a decorator of its own": (FORWARD, f"    @doubled\n{FORWARD}"),
    "a decorator of elsewhere": (FORWARD, f"    @functools.partial(twice)\n{FORWARD}"),
    "a decorator of a class": (BLOCK, f"@doubled\n{BLOCK}"),
    "an import in a function": (LAST, f"        import other as F\n{LAST}"),
    "a check that assigns": (LAST, f"        assert (image := image * 2) is not None\n{LAST}"),
    "a check in place": (LAST, f"        if image.mul_(2) is None:\n            raise ValueError\n{LAST}"),
    "a check of its own": (LAST, f"        if turn(image) is None:\n            raise ValueError\n{LAST}"),
    "a log line in place": (LAST, f"        logger.info(image.mul_(2))\n{LAST}"),
    "a value that is a method": (BLOCK, f"{BLOCK}    __call__ = print\n\n"),
    "a value that hides a method": (LAST, f"{LAST}\n    forward = turn\n"),
    "a lambda for a method": (BLOCK, f"{BLOCK}    _call_impl = lambda self, x: x\n\n"),
    "code in a class body": (BLOCK, f"{BLOCK}    F.silu = F.gelu\n\n"),
    "a metaclass": ("MerganserModel(PreTrainedModel)", "MerganserModel(PreTrainedModel, metaclass=Meta)"),
    "a base that is made": ("MerganserModel(PreTrainedModel)", "MerganserModel(PreTrainedModel, made())"),
    "another base of torch": ("MerganserBlock(nn.Module)", "MerganserBlock(nn.Linear)"),
    "what follows __init__": (FORWARD, f"    def post_init(self):\n        self.stack[0].act = nn.ReLU()\n\n{FORWARD}"),
    "embeddings scaled": (
        FORWARD,
        f"    def get_input_embeddings(self):\n        return twice(self.stack)\n\n{FORWARD}",
    ),
    "a hook on every module": (
        FORWARD,
        f"    def _init_weights(self, module):\n        module.register_forward_hook(print)\n\n{FORWARD}",
    ),
    "a config that reaches out": (CONFIG, f"{CONFIG}\n    def __init__(self):\n        F.silu = F.gelu\n"),
    "a config with a base of its own": (
        "class MerganserConfig(PreTrainedConfig):",
        "class Base(PreTrainedConfig):\n    def __getattribute__(self, name):\n        return 1\n\n\n"
        "class MerganserConfig(Base):",
    ),
}


@pytest.mark.parametrize("what", ACTING)
def test_code_that_acts_beside_what_is_compared_is_a_difference(what: str) -> None:
    old, new = ACTING[what]
    assert old in renamed()
    assert walk(renamed().replace(old, new, 1)).unlike != []


AT_IMPORT = {
    "a function of torch replaced": ("F.silu = F.gelu", False),
    "a function of torch replaced by a call": ("setattr(F, 'silu', F.gelu)", False),
    "a call whose result is kept": ("_ = setattr(F, 'silu', F.gelu)", False),
    "a method replaced": ("MerganserBlock.forward = print", False),
    "an entry of a table": ("ACT2FN['gelu'] = nn.ReLU", False),
    "under a condition": ("if torch:\n    F.silu = F.gelu", False),
    "a call of its own": ("patched = turn(1)", False),
    "another attention": ("ALL_ATTENTION_FUNCTIONS.register('sdpa', turn)", False),
    "names made known": ("AutoConfig.register('merganser', MerganserConfig)", True),
    "a processor made known": ("AutoProcessor.register(MerganserConfig, MerganserModel)", False),
    "a field that transformers makes": (
        "from transformers.utils.type_validators import interval\n\nshare: float = interval(min=0)(default=1)",
        True,
    ),
    "a function that a function gives": ("from other import interval\n\nshare: float = interval(0)(1)", False),
    "all names of elsewhere": ("from other import *", False),
    "a script": ("if __name__ == '__main__':\n    F.silu = F.gelu", True),
    "constants": ("SIZES = {'a': (1, 2)}\nLIMIT: int = max(1, 2)\n__all__ = ['MerganserModel']", True),
}


@pytest.mark.parametrize("what", AT_IMPORT)
def test_what_acts_at_import_is_a_difference(what: str) -> None:
    text, same = AT_IMPORT[what]
    assert (walk(f"{renamed()}\n\n{text}\n").unlike == []) == same


@pytest.mark.parametrize("line", ["from . import patches\n", "import patches\n", "def load():\n    import patches\n"])
def test_what_acts_in_a_file_that_is_only_imported_is_a_difference(line: str) -> None:
    code = CodeBase({"modeling_merganser.py": line + renamed(), "patches.py": "F.silu = F.gelu\n"})
    found = walked(CodeBase({FILE: LIBRARY}), code, "MerganserModel")
    assert [(item.file, item.line) for item in found.unlike] == [("patches.py", 1)]


@pytest.mark.parametrize(("body", "same"), [("F.silu = F.gelu", False), ("return {'a': 1}", True)])
def test_a_function_that_a_config_calls_is_looked_at(body: str, same: bool) -> None:
    text = renamed().replace(CONFIG, f"{CONFIG}\n    def __init__(self, **kwargs):\n        patch()\n\n")
    assert (walk(f"{text}\n\ndef patch():\n    {body}\n").unlike == []) == same


def test_a_value_of_a_class_body_that_is_read_is_compared() -> None:
    library = LIBRARY.replace("class NodeBlock(nn.Module):\n", "class NodeBlock(nn.Module):\n    factor = 2\n\n")
    library = library.replace("self.act(self.fc", "self.factor * self.act(self.fc")
    assert walk(renamed(library), library=library).unlike == []
    assert walk(renamed(library).replace("factor = 2", "factor = 4"), library=library).unlike != []


ASKED = """
TABLE = {"gelu": 1, "relu": 2}


def mix(q, k):
    return q - k


class NodeHead(nn.Module):
    def __init__(self, config: NodeConfig):
        super().__init__()
        self.first = nn.Linear(config.hidden_size, 1)
        self.block = NodeBlock(config)

    def forward(self, x):
        x = self.block.norm1(x)
        y = getattr(self.block, "norm1")(x)
        return F.interpolate(mix(q=x, k=y), mode="gelu")
"""
HEADED = LIBRARY.replace("F.silu(pixels)", "F.silu(self.head(pixels))") + ASKED
HEADED = HEADED.replace("        self.post_init()", "        self.head = NodeHead(config)\n        self.post_init()")
OTHERWISE = {
    "a part of a part": ("self.block.before(x)", "self.block.after(x)"),
    "a part by its name": ('getattr(self.block, "before")', 'getattr(self.block, "after")'),
    "a field that other code reads under its name": ("nn.Linear(config.width, 1)", "nn.Linear(config.count, 1)"),
    "a mode of torch": ('mode="gelu"', 'mode="relu"'),
    "parameters with each other's names": ("def mix(q, k):\n    return q - k", "def mix(k, q):\n    return k - q"),
    "a parameter under another new name": ("q=x, k=y", "k=x, q=y"),
    "a key of the library's table": ('ACT2FN["gelu"]', 'ACT2FN["relu"]'),
}


def test_names_that_are_used_as_they_are_given_are_the_same() -> None:
    assert walk(renamed(HEADED), library=HEADED).unlike == []


@pytest.mark.parametrize("what", OTHERWISE)
def test_a_name_used_otherwise_than_it_is_given_is_a_difference(what: str) -> None:
    old, new = OTHERWISE[what]
    assert old in renamed(HEADED)
    assert walk(renamed(HEADED).replace(old, new), library=HEADED).unlike != []


def test_keywords_follow_their_parameters() -> None:
    text = renamed(HEADED).replace("def mix(q, k):\n    return q - k", "def mix(k, z):\n    return k - z")
    assert walk(text.replace("q=x, k=y", "k=x, z=y"), library=HEADED).unlike == []
    assert walk(text.replace("q=x, k=y", "z=x, k=y"), library=HEADED).unlike != []


def test_a_function_of_another_model_is_not_the_originals() -> None:
    start = renamed().index("def turn(x)")
    text = renamed()[:start] + renamed()[renamed().index("class MerganserBlock") :].replace("turn(", "rotate(")
    for folder in ("node", "cohere"):
        line = f"from transformers.models.{folder}.modeling_{folder} import rotate\n"
        assert (walk(line + text).unlike == []) == (folder == "node")


def test_a_method_of_tensors_is_no_name_that_a_copy_may_choose() -> None:
    library = LIBRARY.replace("F.silu(pixels)", "F.silu(pixels.sum(-1))").replace("self.post_init()", "self.sum = 1")
    text = renamed(library).replace("image.sum(-1)", "image.mean(-1)").replace("self.sum = 1", "self.mean = 1")
    assert walk(renamed(library), library=library).unlike == []
    assert walk(text, library=library).unlike != []


def test_a_buffer_may_be_read_by_a_string() -> None:
    assert "step" in Side.of(CodeBase({"a.py": "getattr(self, 'step')"})).read


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
    "a hook whose handle is kept": ("_ = self.blocks[0].register_forward_hook(print)", "", False),
    "a value that is a method": ("pass", "    forward = print\n", False),
    "a name for a size": ("size = config.hidden_size * 2", "", True),
    "a new method": ("pass", "    def encode(self, pixels):\n        return pixels\n", False),
}


@pytest.mark.parametrize("what", SUBCLASSES)
def test_a_subclass_is_the_original_unless_it_says_otherwise(what: str) -> None:
    added, method, same = SUBCLASSES[what]
    assert (walk(SUBCLASS.format(added=added, method=method)).unlike == []) == same


def test_a_subclass_hands_its_own_config_on() -> None:
    plain = SUBCLASS.format(added="pass", method="")
    call = "        super().__init__(config)\n"
    assert walk(plain).unlike == []
    assert walk(plain.replace(call, call.replace("(config)", "(tweaked(config))"))).unlike != []
    assert walk(plain.replace(call, f"        config = tweaked(config)\n{call}")).unlike != []


def test_a_subclass_with_a_second_base_is_a_difference() -> None:
    text = SUBCLASS.format(added="pass", method="").replace("(NodeModel):", "(Mixed, NodeModel):")
    assert walk(f"class Mixed:\n    def forward(self, x):\n        return x\n{text}").unlike != []


def test_a_subclass_replaces_no_buffer_that_the_original_reads() -> None:
    library = LIBRARY.replace("F.silu(pixels)", "F.silu(pixels * self.step)")
    text = SUBCLASS.format(added="self.register_buffer('step', torch.arange(4))", method="")
    assert walk(text).unlike == [] and walk(text, library=library).unlike != []


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

"""What reaches no number although it is written: caching, devices, outputs that are only handed on, empty batches."""

from __future__ import annotations

import ast

import pytest

from porter.source.alike import Side
from porter.source.alike_effects import is_silent
from porter.source.alike_forms import handed_on, is_device, written_out
from porter.source.codebase import CodeBase, External
from tests.source.test_alike import FILE, LIBRARY, renamed, walk


def statement(text: str) -> ast.stmt:
    return ast.parse(text).body[0]


def expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


@pytest.mark.parametrize(
    ("text", "silent"),
    [
        ("use_cache = use_cache if use_cache is not None else self.config.use_cache", True),
        ("self.model.generation_config = GenerationConfig.from_model_config(config)", True),
        ("if self.training and use_cache:\n    use_cache = False", True),
        ("use_cache, x = x, use_cache", False),
        ("use_cache = self.patched(x)", False),
        ("use_cache = x.mul_(2)", False),
        ("found[0] |= ~torch.any(found)", True),
        ("found[0] |= ~torch.any(other)", False),
        ("found[0] &= ~torch.any(found)", False),
        ("found[at] |= ~torch.any(found)", False),
        ("x += 1", False),
    ],
)
def test_what_a_statement_may_say_aside(text: str, silent: bool) -> None:
    assert is_silent(statement(text), frozenset(["patched"])) == silent


def test_a_device_is_no_number() -> None:
    assert is_device(expression("self.model.device")) and is_device(expression("input_ids.device"))
    assert not is_device(expression("self.moved().device")) and not is_device(expression("self.scale"))


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("(x.size(0), x.size(2))", "[x.shape[i] for i in (0, 2)]", True),
        ("(x.size(0), x.size(2))", "[x.shape[i] for i in (0, 1)]", False),
        ("(x.size(0), 4)", "[x.shape[0], 4]", True),
        ("[x.shape[i] for i in sizes]", "[x.shape[i] for i in sizes if i]", False),
    ],
)
def test_sizes_that_are_written_out(ours: str, theirs: str, same: bool) -> None:
    sides = [ast.unparse(written_out(expression(text))) for text in (ours, theirs)]
    assert (sides[0] == sides[1]) == same


READ = "class A:\n    def f(self, out):\n        return Out({})\n"


def test_a_field_that_is_only_handed_on_is_aside() -> None:
    told = handed_on([ast.parse(READ.format("attentions=out.attentions, hidden_states=out.hidden_states[-1]"))])
    assert "attentions" in told and "hidden_states" not in told
    assert "attentions" not in handed_on([ast.parse(READ.format("logits=out.attentions"))])


OUTPUT = """

class NodeOutput(ModelOutput):
    last_hidden_state = None
    attentions = None


class NodeTop(NodeModel):
    def forward(self, pixels):
        seen = super().forward(pixels)
        return NodeOutput(last_hidden_state={last}, attentions={seen})
"""


def with_output(last: str, seen: str) -> str:
    text = LIBRARY.replace("from ...modeling_utils", "from ...utils import ModelOutput\nfrom ...modeling_utils")
    return f"{text}{OUTPUT.format(last=last, seen=seen)}"


@pytest.mark.parametrize(
    ("last", "seen", "same"), [("seen", "None", True), ("seen * 2", "seen", False), ("seen", "seen.mul_(2)", False)]
)
def test_outputs_differ_only_in_what_the_next_step_takes(last: str, seen: str, same: bool) -> None:
    library, repo = with_output("seen", "seen"), renamed(with_output(last, seen))
    found = walk(repo.replace("NodeModel", "MerganserModel"), library)
    ours, theirs = (side.code.meaning(file, name) for side, file, name in (
        (found.library, FILE, "NodeTop"), (found.repo, "modeling_merganser.py", "MerganserTop")))  # fmt: skip
    assert ours is not None and theirs is not None
    found.pair(ours, theirs)  # type: ignore[arg-type]
    found.run()
    assert (found.unlike == []) == same


def test_a_relative_import_is_named_from_the_package() -> None:
    code = CodeBase({FILE: LIBRARY, "modeling.py": "from .other import X\n", "a/b.py": "from ..c import Y\n"})
    assert code.meaning(FILE, "ACT2FN") == External("transformers.activations.ACT2FN")
    assert code.meaning("modeling.py", "X") == External("other.X")
    assert code.meaning("a/b.py", "Y") == External("c.Y")
    assert Side.of(code).code is code

# ruff: noqa: E501 (programs stand on one line each)
"""The repo's own Python, hostile or broken, through the real parser: it is read as text, and reading it ends."""

from __future__ import annotations

import ast
import random
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.command import porter
from tests.fuzz.guard import CANARY
from tests.fuzz.hostile import SPELL
from tests.fuzz.test_json_files import BASES, EXAMPLE, case, examples
from tests.variants import variant

pytestmark = pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM")
MODEL = "modeling_skylark_vl.py"
RUN = f"{SPELL}; open({CANARY!r}, 'w').write('x'); __import__('os').environ.__setitem__({CANARY!r}, 'x')"

AROUND: dict[str, Callable[[str], str]] = {
    "at import": lambda code: f"{RUN}\n{code}\n{RUN}\n",
    "a decorator with side effects": lambda code: f"def {CANARY}(f):\n    {RUN}\n    return f\n" + code.replace("class ", f"@{CANARY}\nclass ").replace("    def ", f"    @{CANARY}\n    def "),
    "a metaclass": lambda code: f"class {CANARY}(type):\n    def __new__(m, *a, **k):\n        {RUN}\n        return type.__new__(m, *a)\n    def __call__(c, *a, **k):\n        {RUN}\n" + code.replace("nn.Module)", f"nn.Module, metaclass={CANARY})"),
    "defaults and annotations": lambda code: code.replace("self,", f"self, *, {CANARY}: ({SPELL}) = ({SPELL}),"),
    "in every body": lambda code: code.replace("):\n        ", f"):\n        {RUN}\n        "),
    "module hooks": lambda code: f"def __getattr__(name):\n    {RUN}\n__path__ = ['/']\n__builtins__ = {{}}\n" + code,
    "pickle and eval": lambda code: f"import pickle, marshal, ctypes\npickle.loads(b'cos\\nsystem\\n(S\"touch {CANARY}\"\\ntR.')\neval({SPELL!r})\nexec({SPELL!r})\nctypes.CDLL({CANARY!r})\n" + code,
    "coding cookie": lambda code: "# -*- coding: utf-7 -*-\n" + code,
    "rot13": lambda code: "# coding: rot13\n" + code,
    "nul bytes": lambda code: code + "\0",
    "syntax error": lambda code: code + "\nclass (:\n",
    "tabs and carriage returns": lambda code: code.replace("    ", "\t").replace("\n", "\r"),
    "form feeds": lambda code: code.replace("\n", "\n\x0c"),
    "byte order mark": lambda code: "\ufeff" + code,
    "right to left": lambda code: code.replace("self", "self\u202e"),
    "no line end": lambda code: code.replace("\n", "\\\n"),
    "deep brackets": lambda code: code + "\nx = " + "(" * 5000 + ")" * 5000,
    "deep calls": lambda code: code + "\nx = " + "f(" * 150 + ")" * 150,
    "deep attributes": lambda code: code + "\nx = a" + ".b" * 20_000,
    "deep sums": lambda code: code + "\nx = 1" + " + 1" * 20_000,
    "deep nots": lambda code: code + "\nx = " + "not " * 5000 + "1",
    "deep blocks": lambda code: code + "".join("\n" + " " * depth + "if x:" for depth in range(95)) + "\n" + " " * 95 + "pass",
    "deep lambdas": lambda code: code + "\nx = " + "lambda: " * 3000 + "1",
    "a long literal": lambda code: code + "\nx = [" + "1, " * 60_000 + "]",
    "ten megabytes": lambda code: code + "\n# " + "x" * 10_000_000,
    "a long line": lambda code: code + "\nx = '" + "x" * 3_000_000 + "'",
    "many classes": lambda code: "".join(f"class A{i}(A{i - 1}): pass\n" for i in range(1, 2000)) + code.replace("nn.Module)", "nn.Module, A1999)"),
    "exponential recursion": lambda code: "def f(n):\n    return f(n - 1) + f(n - 1)\nX = f(10**9)\n" + code.replace("super().__init__()", "super().__init__(); self.x = f(10**9)"),
    "endless loops": lambda code: "x = 1\nwhile True:\n    x = x * x\nfor i in iter(int, 1):\n    x += 1\n" + code.replace("super().__init__()", "super().__init__()\n        while True: self.x = [self.x, self.x]"),
    "huge numbers": lambda code: "X = 9 ** 9 ** 9\nY = 1 << 10**12\nZ = 10 ** 10**8 % 7\n" + code.replace("config.", "(9**9**9) * config."),
    "huge strings": lambda code: "X = 'a' * 10**12\nY = f'{1:>10000000000}'\nZ = '%099999999999d' % 1\nW = 'x'.ljust(10**12)\n" + code.replace("'<", "'<' * 10**12 + '<"),
    "huge lists": lambda code: "X = [0] * 10**12\nY = list(range(10**12))\nZ = [i for i in range(10**6) for j in range(10**6)]\nW = bytes(10**12)\n" + code.replace("nn.Linear(", "nn.Sequential(*[nn.Linear] * 10**10) or nn.Linear("),
    "strings that double": lambda code: "X = 'ab'\n" + "X = X + X\n" * 200 + "Y = X.replace('a', X).join([X] * 9)\n" + code,
    "dicts of themselves": lambda code: "X = {}\nX['a'] = X\nX.update(X)\nY = [X]\nY.append(Y)\nY.extend(Y * 10**9)\n" + code.replace("config", "X or config"),
    "imports in circles": lambda code: f"from .{MODEL[:-3]} import *\nfrom . import *\nfrom .. import *\nfrom ....... import os\n" + code,
    "strange imports": lambda code: f"import os.path as {CANARY}, sys\nfrom __future__ import braces\nfrom .a.b.c.d import (e, f)\nfrom . import {MODEL[:-3]} as x\n" + code,
}  # fmt: skip


@pytest.mark.parametrize("name", AROUND)
def test_hostile_code_in_a_model_file(name: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "repo")
    for path in (tmp_path / "repo").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_bytes(AROUND[name](text).encode("utf-8", "surrogatepass"))
    repo, target = str(tmp_path / "repo"), str(tmp_path / "port")
    ways = (("inspect", repo), ("new-model", repo, "--plugin", target, "--dry-run", "--json"))
    porter(*ways[sorted(AROUND).index(name) % 2], "--offline", case=tmp_path)
    assert not (tmp_path / "port").exists()


EXPRESSIONS = (
    "None", "True", "0", "-1", "10**30", "1.5", "float('nan')", "''", "'x' * 10**9", "[]", "{}", "()", "...", "self", "super()", "config",
    "lambda *a, **k: self", "(yield)", "await x", "[*range(10**9)]", "{**self}", "f(*a, **k)", "self.missing.x.y[0]", "self[...]", "x[::0]",
    "1 / 0", "5 % 0", "[][0]", "{}['a']", "int('x')", "getattr(self, 'a' * 9)", "type(self)(self)", "self(self)", "not self", "~self", "-self",
    "[i for i in self]", "{i: i for i in range(9)}", "(a := 3)", "a if b else c", "'%s %d' % 3", "f'{self}{1!r:>{9}}'", "print", "open", "eval('1')",
    "__import__('os')", "nn.Module()", "nn.Linear(0, -1)", "nn.Sequential()", "torch.zeros(10**9, 10**9)", "x.view(0, -1, 0)", "x.permute(9)", "x.reshape()",
    "(1, 2, 3)[5]", "'a'.join([1])", "'ab'.replace('', 'x' * 10**6)", "[[]] * 9", "sum([[]], [])", "zip(*[iter(self)] * 9)", "dict(self)", "max([])", "range(0, 9, 0)",
)  # fmt: skip
STATEMENTS = (
    "return", "return self", "raise ValueError('x')", "pass", "del self", "global x", "import os as self", "from . import *", "assert False", "self = None",
    "while True: pass", "for self in self: break", "with self as x: pass", "try:\n    1/0\nfinally:\n    return 1", "class A(A): pass", "def f(f=f): return f(f)",
    "self.a, *self.b = self.c", "self.a: int = 3", "self.a += self", "match self:\n    case [1, *x]: pass\n    case _: pass", "config = config.x", "x = y = self.z = []",
)  # fmt: skip


class Swap(ast.NodeTransformer):
    """Replaces one expression in so many, and puts a statement in front of one in so many."""

    def __init__(self, seed: int, rate: float) -> None:
        self.random = random.Random(seed)
        self.rate = rate
        self.seen: list[ast.expr] = []

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and self.random.random() < self.rate:
                block.insert(self.random.randrange(len(block) + 1), self.statement())
        if not isinstance(node, ast.expr) or isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
            return node
        self.seen.append(node)
        return self.expression() if self.random.random() < self.rate else node

    def expression(self) -> ast.expr:
        if self.random.random() < 0.4:
            return self.random.choice(self.seen)
        return ast.parse(self.random.choice(EXPRESSIONS), mode="eval").body

    def statement(self) -> ast.stmt:
        return ast.parse(self.random.choice(STATEMENTS)).body[0]


def mutated(text: str, seed: int, rate: float) -> str:
    """The program with some of it replaced; as it was where the result cannot be written down."""
    try:
        return ast.unparse(ast.fix_missing_locations(Swap(seed, rate).visit(ast.parse(text))))
    except (ValueError, RecursionError, TypeError, AttributeError):
        return text


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("bases")
    return [EXAMPLE, *(variant(name).build(root / name) for name in BASES)]


@examples(8)
@given(st.data())
def test_programs_with_anything_in_any_place(bases: list[Path], data: st.DataObject) -> None:
    with case(data.draw(st.sampled_from(bases))) as folder:
        rate = data.draw(st.sampled_from((0.003, 0.01, 0.05, 0.3)))
        for path in sorted((folder / "repo").glob("*.py")):
            text = path.read_text(encoding="utf-8")
            path.write_text(mutated(text, data.draw(st.integers(0, 10**6)), rate), encoding="utf-8")
        ways = (("inspect",), ("new-model", "--plugin", str(folder / "port"), "--dry-run"))
        command, *rest = data.draw(st.sampled_from(ways))
        porter(command, str(folder / "repo"), *rest, "--json", "--offline", case=folder)

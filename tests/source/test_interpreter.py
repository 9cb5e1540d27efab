# ruff: noqa: E501 (programs stand on one line each)
"""What the interpreter makes of short code: values where they are known, Unknown with file and line where not."""

from __future__ import annotations

from typing import Any

import pytest

from porter.source.values import ConstTensor, Layer, Unknown, plain
from tests.source.following import attribute_of, interpreter, is_lost, result, survives, value_of

VALUES: list[tuple[str, Any]] = [
    ("result = 1 + 2 * 3", 7),
    ("result = 7 // 2, 7 % 2, 2 ** 3, -4, 7 / 2", [3, 1, 8, -4, 3.5]),
    ("result = 'a' + 'b' * 3", "abbb"),
    ("n = 3\nresult = f'<{n}>' + f'{n}'", "<3>3"),
    ("result = 'x' if 3 > 2 else 'y'", "x"),
    ("result = 1 < 2 < 3, 1 in [1, 2], 'a' not in 'bc', None is None", [True, True, True, True]),
    ("result = None or 0 or 5", 5),
    ("result = [i * i for i in range(5) if i % 2]", [1, 9]),
    ("result = {k: v + 1 for k, v in {'a': 1, 'b': 2}.items()}", {"a": 2, "b": 3}),
    ("result = [a + b for a in 'xy' for b in 'pq']", ["xp", "xq", "yp", "yq"]),
    ("result = [*[1, 2], 3]", [1, 2, 3]),
    ("result = {**{'a': 1}, 'b': 2}", {"a": 1, "b": 2}),
    ("result = 'a-b-c'.split('-')[1:]", ["b", "c"]),
    ("result = '<img>'.replace('<', '[').upper()", "[IMG>"),
    ("result = {'a': {'b': 3}}['a']['b']", 3),
    ("result = {'a': 1}.get('b', 4)", 4),
    ("result = len('abc') + len([1, 2])", 5),
    ("result = int(448 // 14 * 0.5) ** 2", 256),
    ("import math\nresult = math.ceil(2.2) + math.isqrt(17)", 7),
    ("result = sum([1, 2]), max(1, 3), min([4, 2]), sorted([3, 1])", [3, 3, 2, [1, 3]]),
    ("result = isinstance(3, int), isinstance('a', (int, str)), isinstance(3, str)", [True, True, False]),
    ("result = list(zip([1, 2], 'ab'))", [[1, "a"], [2, "b"]]),
    ("result = list(enumerate('ab'))", [[0, "a"], [1, "b"]]),
    ("result = any([0, 1]), all([0, 1])", [True, False]),
    ("result = list(reversed([1, 2]))", [2, 1]),
    ("a, b = 1, 2\nresult = a + b", 3),
    ("f = lambda x, y=2: x + y\ndef result():\n    return f(1), f(1, 5), f(x=3)", [3, 6, 5]),
    ("def result():\n    a = [1]\n    a.append(2)\n    a.extend([3])\n    a += [4]\n    return a", [1, 2, 3, 4]),
    ("def result():\n    d = {}\n    d['x'] = 1\n    d.update(y=2)\n    d.setdefault('z', 3)\n    return d", {"x": 1, "y": 2, "z": 3}),
    ("def result():\n    t = 0\n    for i in range(10):\n        if i == 2:\n            continue\n        if i == 5:\n            break\n        t += i\n    return t", 8),
    ("def result():\n    n = 1\n    while n < 40:\n        n *= 2\n    return n", 64),
    ("def result():\n    for i in []:\n        pass\n    else:\n        return 'else'", "else"),
    ("def result():\n    try:\n        raise ValueError\n    except ValueError:\n        return 'caught'\n    finally:\n        x = 1", "caught"),
    ("def result():\n    with open('x') as f:\n        y = 3\n    return y", 3),
    ("def result():\n    if (n := 4) > 3:\n        return n", 4),
    ("def h(a, b=2, *c, d=4, **e):\n    return [a, b, c, d, e]\ndef result():\n    return h(1, 5, 6, 7, d=8, z=9)", [1, 5, [6, 7], 8, {"z": 9}]),
    ("def h(a, b=2, *c, d=4, **e):\n    return [a, b, c, d, e]\ndef result():\n    return h(1)", [1, 2, [], 4, {}]),
    ("def h(a, b):\n    return a - b\ndef result():\n    return h(*[5, 3]), h(**{'a': 9, 'b': 1}), h(b=1, a=2)", [2, 8, 1]),
    ("def outer(k):\n    def inner(x):\n        return x + k\n    return inner(1)\ndef result():\n    return outer(4)", 5),
    ("def result():\n    a, (b, c) = 1, [2, 3]\n    return a + b + c", 6),
    ("def result():\n    x: int = 3\n    return x", 3),
    ("def result():\n    return sum(n for n in [1, 2, 3])", 6),
]  # fmt: skip


@pytest.mark.parametrize(("code", "expected"), VALUES, ids=[code.replace("\n", "; ")[:60] for code, _ in VALUES])
def test_values(code: str, expected: Any) -> None:
    assert result(code) == expected


LOST = [
    "result = something()",
    "result = 1 + unknown_name()",
    "result = {'a': 1}['b']",
    "result = [1][5]",
    "result = 1 / 0",
    "result = 'a' - 1",
    "import os\nresult = os.listdir('.')",
    "result = open('/etc/passwd').read()",
    "result = eval('1 + 1')",
    "result = exec('x = 1')",
    "result = __import__('os').getcwd()",
    "result = (lambda: (yield))()",
    "result = int('no number')",
    "result = [x for x in unknowable()]",
    "result = 1 if unknowable() else 2",
    "result = unknowable() + 'a'",
    "result = not unknowable()",
    "result = 'abc'.encode().hex()",
]


@pytest.mark.parametrize("code", LOST)
def test_what_cannot_be_followed_is_unknown_and_says_where(code: str) -> None:
    found = value_of(code)
    inner = found.value
    assert isinstance(inner, Unknown), plain(found)
    assert inner.where.startswith("m.py line ")
    assert inner.reason


def test_unknown_parts_leave_the_others_known() -> None:
    assert isinstance(result("result = [1, thing()]")[1], Unknown)
    assert result("result = [1, thing()]")[0] == 1


def test_evidence_points_to_the_line() -> None:
    found = value_of("first = 1\n\nresult = 14\n")
    assert [(s.file, s.where, s.text) for s in found.src] == [("m.py", "line 3", "result = 14")]


CHOICE = """
from torch import nn

class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.version = config.version
        if config.version == 'v2' and config.depth > 2:
            self.picked = 'deep'
        elif config.version == 'v2':
            self.picked = 'shallow'
        else:
            self.picked = 'old'
        self.width = config.wide.size * (2 if config.double else 1)
        self.name = getattr(config, 'name', 'none')
        self.has = hasattr(config, 'name')
"""


@pytest.mark.parametrize(
    ("version", "depth", "picked"), [("v2", 3, "deep"), ("v2", 1, "shallow"), ("v1", 9, "old"), (None, 9, "old")]
)
def test_branches_follow_the_config(version: object, depth: int, picked: str) -> None:
    config = {"version": version, "depth": depth, "wide": {"size": 8}, "double": depth == 3}
    assert plain(attribute_of(CHOICE, "picked", config=config)) == picked
    assert plain(attribute_of(CHOICE, "width", config=config)) == (16 if depth == 3 else 8)


def test_values_of_the_config_carry_their_path() -> None:
    config = {"version": "v2", "depth": 3, "wide": {"size": 8}, "double": False}
    found = attribute_of(CHOICE, "width", config=config)
    assert ("config.json", "wide.size") in [(source.file, source.where) for source in found.src]


def test_defaults_of_getattr_and_hasattr() -> None:
    config = {"version": "v2", "depth": 3, "wide": {"size": 8}, "double": False}
    assert plain(attribute_of(CHOICE, "name", config=config)) == "none"
    assert plain(attribute_of(CHOICE, "has", config=config)) is False
    assert plain(attribute_of(CHOICE, "name", config={**config, "name": "me"})) == "me"


FAMILY = {
    "base.py": """
        from torch import nn
        LIMIT = 12

        class Base(nn.Module):
            kind = 'base'
            size = 3

            def __init__(self, config, scale=2, *, offset=1):
                super().__init__()
                self.scale = scale
                self.offset = offset
                self.made = self.make()

            def make(self):
                return 'base'

            @property
            def area(self):
                return self.size * self.scale + self.offset

            @staticmethod
            def twice(x):
                return 2 * x
    """,
    "m.py": """
        from .base import Base, LIMIT
        from . import base

        class Middle(Base):
            size = 5

        class Model(Middle):
            kind = 'model'

            def __init__(self, config):
                super().__init__(config, 4, offset=LIMIT)
                self.limit = base.LIMIT
                self.double = self.twice(self.area)
                setattr(self, 'named', 7)
                self.by_class = super(Model, self).make()

            def make(self):
                return super().make() + '+model'
    """,
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scale", 4), ("offset", 12), ("made", "base+model"), ("kind", "model"), ("size", 5), ("area", 32),
        ("limit", 12), ("double", 64), ("named", 7), ("by_class", "base"),
    ],
)  # fmt: skip
def test_inheritance_across_files(name: str, expected: object) -> None:
    assert plain(attribute_of(FAMILY, name, config={})) == expected


MODULES = """
from collections import OrderedDict
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = nn.Linear(n, n)

class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.blocks = nn.ModuleList([Block(config.width) for _ in range(config.depth)])
        self.seq = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 8, bias=False), nn.GELU())
        self.named = nn.Sequential(OrderedDict([('norm', nn.LayerNorm(4)), ('out', nn.Linear(4, 2))]))
        self.register_buffer('mean', torch.tensor([0.5, 0.25, 1.0]).view(1, 3, 1, 1))
        self.register_buffer('scratch', torch.zeros(2), persistent=False)
        self.gate = nn.Parameter(torch.zeros(3, 4))
        self.holder = nn.Module()
        self.holder.inner = nn.Linear(2, 3)
        layers = []
        for index in range(2):
            layers.append(nn.Linear(index + 1, 5))
        self.grown = nn.Sequential(*layers)
        self.added = nn.ModuleList()
        self.added.append(nn.Linear(1, 1))
        self.add_module('late', nn.Linear(7, 7))
"""


def module_parameters() -> dict[str, tuple[int, ...] | None]:
    from porter.facts.code import json_config
    from porter.source.layers import parameters
    from porter.source.values import ClassRef, Instance, Val, from_json

    run = interpreter(MODULES)
    found = run.code.find_class("m.py", "Model")
    assert found is not None
    config = Val(json_config(from_json({"width": 6, "depth": 2}, "config.json").value))
    return parameters(run, Instance(ClassRef(*found), [config], {}))


def test_names_and_shapes_of_parameters() -> None:
    found = module_parameters()
    assert found["blocks.0.fc.weight"] == (6, 6)
    assert found["blocks.1.fc.bias"] == (6,)
    assert "blocks.2.fc.weight" not in found
    assert found["seq.1.weight"] == (8, 4)
    assert "seq.1.bias" not in found
    assert found["grown.0.weight"] == (5, 1)
    assert found["grown.1.weight"] == (5, 2)
    assert found["added.0.weight"] == (1, 1)
    assert found["late.weight"] == (7, 7)
    assert found["holder.inner.weight"] == (3, 2)
    assert found["gate"] == (3, 4)
    assert found["mean"] == (1, 3, 1, 1)
    assert "scratch" not in found


def test_named_layers_of_a_sequential_keep_their_names() -> None:
    named = attribute_of(MODULES, "named", config={"width": 6, "depth": 2}).value
    assert isinstance(named, Layer)
    assert [item.value.path for item in named.items] == ["named.norm", "named.out"]


def test_buffers_keep_shape_and_numbers() -> None:
    mean = attribute_of(MODULES, "mean", config={"width": 6, "depth": 2}).value
    assert isinstance(mean, ConstTensor)
    assert (mean.shape, mean.data, mean.name) == ((1, 3, 1, 1), (0.5, 0.25, 1.0), "mean")


CONFIGS = """
from transformers import PretrainedConfig

class Inner(PretrainedConfig):
    def __init__(self, size=3, act='gelu', **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.act = act

class Model(PretrainedConfig):
    attribute_map = {'width': 'hidden'}

    def __init__(self, inner=None, hidden=5, tap=-2, **kwargs):
        super().__init__(**kwargs)
        if inner is None:
            inner = {}
        self.inner = Inner(**inner) if isinstance(inner, dict) else inner
        self.hidden = hidden
        self.tap = tap
"""


def config_attribute(name: str, values: dict[str, Any]) -> Any:
    from porter.source.attributes import instance_attribute
    from porter.source.values import ClassRef, Instance, from_json

    run = interpreter(CONFIGS)
    found = run.code.find_class("m.py", "Model")
    assert found is not None
    config = Instance(ClassRef(*found), [], from_json(values, "config.json").value)
    value = instance_attribute(run, config, name.split(".")[0], "here")
    return plain(instance_attribute(run, value.value, name.split(".")[1], "here") if "." in name else value)


def test_config_classes_fill_in_their_defaults() -> None:
    assert config_attribute("tap", {}) == -2
    assert config_attribute("tap", {"tap": -1}) == -1
    assert config_attribute("inner.act", {}) == "gelu"
    assert config_attribute("inner.size", {"inner": {"size": 9}}) == 9
    assert config_attribute("extra", {"extra": [1, 2]}) == [1, 2]
    assert config_attribute("width", {"hidden": 11}) == 11


def test_a_default_of_the_library_is_named_and_not_invented() -> None:
    found = config_attribute("initializer_range", {})
    assert isinstance(found, Unknown)
    assert "PretrainedConfig" in found.reason


def test_dicts_given_to_two_objects_stay_apart() -> None:
    code = """
    class Model:
        def __init__(self, config):
            self.first = self.one([1])
            self.second = self.one([2])
        def one(self, items, into=None):
            into = [] if into is None else into
            into.extend(items)
            return into
    """
    assert plain(attribute_of(code, "second", config={})) == [2]


HOSTILE = {
    "loop": "def result():\n    while True:\n        x = 1\n    return x",
    "loops in loops": "def result():\n" + "".join(f"{'    ' * (i + 1)}for a{i} in range(400):\n" for i in range(8)) + "    " * 9 + "x = 1\n    return 1",
    "recursion": "def result(n=0):\n    return result(n + 1)",
    "mutual recursion": "def result():\n    return a()\ndef a():\n    return b()\ndef b():\n    return a() + b()",
    "wide recursion": "def f(n):\n    return f(n - 1) + f(n - 1) + f(n - 1)\ndef result():\n    return f(100)",
    "string doubling": "def result():\n    s = 'x' * 100\n    for i in range(500):\n        s = s + s\n    return s",
    "string doubling by f-string": "def result():\n    s = 'x' * 100\n    for i in range(60):\n        s = f'{s}{s}{s}{s}'\n    return len(s)",
    "string doubling by join": "def result():\n    s = 'xyz' * 100\n    for i in range(60):\n        s = s.join([s, s, s])\n    return len(s)",
    "string doubling by replace": "def result():\n    s = 'xy' * 100\n    for i in range(60):\n        s = s.replace('x', s)\n    return len(s)",
    "list doubling": "def result():\n    s = [1, 2]\n    for i in range(500):\n        s = s + s\n    return s",
    "list doubling by extend": "def result():\n    s = [1, 2]\n    for i in range(500):\n        s.extend(s)\n    return len(s)",
    "list doubling in place": "def result():\n    s = [1, 2]\n    for i in range(60):\n        s += s\n    return len(s)",
    "list in itself": "def result():\n    s = []\n    s.append(s)\n    return s == s, len(str(s)), sorted(s)",
    "dict in itself": "def result():\n    d = {}\n    d['d'] = d\n    return str(d), d == d, {**d}",
    "nested lists": "def result():\n    s = [0]\n    for i in range(500):\n        s = [s, s]\n    return str(s)",
    "nested lists summed": "def result():\n    s = [0]\n    for i in range(40):\n        s = [s, s, s, s]\n    return s == s, max(s)",
    "nested dicts": "def result():\n    s = {}\n    for i in range(300):\n        s = {'a': s, 'b': s}\n    return str(s)",
    "power tower": "def result():\n    n = 9\n    for i in range(50):\n        n = n ** 9\n    return n",
    "int growth": "def result():\n    n = 99999\n    for i in range(500):\n        n = n * n\n    return n",
    "negative power": "result = 0 ** -1, 10 ** 400, (-8) ** 0.5",
    "float overflow": "result = 1e308 * 10, int(1e308 * 10), round(float('nan')), int(float('inf'))",
    "shift": "result = 1 << (1 << 40)",
    "range": "result = sum(range(10 ** 12)), list(range(10 ** 9)), len(range(10 ** 30))",
    "range slices": "result = [i for i in range(10 ** 12)]",
    "multiplied list": "result = [0] * (10 ** 12), (10 ** 12) * 'ab', 'a' * -5",
    "format bomb": "result = '{:999999999}'.format(1), '%999999999d' % 1, f'{1:>999999999}', '{0:{1}}'.format(1, 10 ** 9)",
    "percent bomb": "w = 10 ** 9\nresult = '%*d' % (w, 1)",
    "percent bomb in bytes": "result = b'%99999999d' % 1",
    "padding": "result = 'a'.ljust(10 ** 10), 'a'.zfill(10 ** 10), 'a'.center(10 ** 10), 'a\\t'.expandtabs(10 ** 10)",
    "combinations": "def result():\n    return [a + b + c for a in range(500) for b in range(500) for c in range(500)]",
    "product of strings": "def result():\n    return [x + y for x in 'ab' * 40000 for y in 'cd' * 40000]",
    "divmod": "result = divmod(1, 0), 1 % 0, 1 // 0, 5 % 'a'",
    "int of a long string": "s = '9' * 90000\nresult = int(s), str(int(s)), float(s)",
    "str of a big int": "n = 9 ** 16\ndef result():\n    m = n\n    for i in range(20):\n        m = m * n\n    return str(m)",
    "prod": "import math\nresult = math.prod([10 ** 9] * 90000), math.prod([2.0] * 90000), math.log2(0), math.sqrt(-1)",
    "sum of lists": "result = sum([[1]] * 90000, [])",
    "set of lists": "result = set([[1], {}]), {[1]: 2}, {[]}",
    "bad keys": "d = {}\ndef result():\n    d[[]] = 1\n    d[{}] = 2\n    d[None] = 3\n    d[1.5] = 4\n    return d.get([]), d.pop({}, 1), d.setdefault([], 1)",
    "bad slices": "result = 'abc'['a':], [1, 2][::0], [1][None], [1][10 ** 30], 'abc'[1.5], [1, 2][10 ** 30:]",
    "bad unpacking": "a, b = 1\nc, d = [1]\ndef result():\n    (x, *y), z = 1, 2\n    a, b = None\n    return x, y, z, a",
    "bad calls": "result = int(), int([], {}), len(), len(1, 2), max(), min([]), range(), zip(), sorted([1, 'a']), isinstance(), getattr(), dict(1), enumerate(5), set(3)",
    "bad methods": "result = 'a'.split(''), 'a'.replace(), 'a'.join([1]), [].append(), {}.get(), {}.update(3), 'a'.startswith(1), 'x'.count(), ''.split(1, 2, 3)",
    "class of itself": "class A(A):\n    x = x\nresult = A().x, A.y",
    "class cycle": "class A(B):\n    pass\nclass B(A):\n    pass\nresult = A().x",
    "property of itself": "class A:\n    @property\n    def x(self):\n        return self.x\nresult = A().x",
    "init of itself": "class A:\n    def __init__(self):\n        self.a = A()\n        self.b = self.a.b\nresult = A().b",
    "super of nothing": "result = super().x\ndef f():\n    return super().__init__()\ny = f()",
    "attribute map of itself": "from transformers import PretrainedConfig\nclass A(PretrainedConfig):\n    attribute_map = {'x': 'y', 'y': 'x'}\nresult = A().x",
    "lambda of itself": "f = lambda: f()\nresult = f()",
    "default of itself": "def f(x=f()):\n    return x\nresult = f()",
    "long expression": "result = " + " + ".join(["1"] * 3000),
    "long chain": "result = a" + ".b" * 3000,
    "deep list": "result = " + "[" * 150 + "]" * 150,
    "long boolean": "result = " + " or ".join(["0"] * 5000),
    "long comparison": "result = " + " < ".join(["1"] * 5000),
    "long elif": "def result():\n    if 0:\n        return 1\n" + "".join(f"    elif {i} == -1:\n        return {i}\n" for i in range(600)),
    "module in itself": "from torch import nn\nclass M(nn.Module):\n    def __init__(self):\n        self.me = self\n        self.seq = nn.Sequential(self)\nresult = M().seq",
    "container in itself": "from torch import nn\nl = nn.ModuleList()\ndef result():\n    l.append(l)\n    l.extend(l)\n    x = M()\n    x.l = l\n    return x\nclass M(nn.Module):\n    pass",
    "huge tensors": "import torch\nresult = torch.zeros(10 ** 9, 10 ** 9), torch.tensor([[1] * 90000] * 2), torch.ones(-1), torch.tensor(), torch.zeros('a')",
    "generators": "def g():\n    yield from g()\nresult = list(g())",
    "walrus loop": "def result():\n    n = 0\n    while (n := n + 1):\n        pass\n    return n",
    "global": "x = 1\ndef result():\n    global x\n    x = x + 1\n    nonlocal_name = x\n    return x",
    "match": "def result():\n    match 1:\n        case 1:\n            return 2",
    "async": "async def result():\n    await result()\n    async for x in y:\n        pass",
    "try star": "def result():\n    try:\n        return 1\n    except Exception:\n        return 2\n    finally:\n        return 3",
    "odd constants": "result = ..., b'a' + b'b', 1j ** 2, NotImplemented, True + True, -True, ~5, +'a', not ...",
    "deleted": "def result():\n    x = 1\n    del x\n    return x",
    "decorators": "@a.b(c)\ndef result():\n    return 1",
    "starred": "result = [*5], {**5}, print(*5, **5), [*[*[1]]]",
    "super in a static method": "class A:\n    @staticmethod\n    def f():\n        return super().g()\nresult = A.f()",
    "class attribute that calls": "class A:\n    x = f()\n    def f(self):\n        return A.x\nresult = A.x",
    "surrogates": "result = '\\ud800' + 'x', f'{chr(55296)}', len('\\ud800')",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_ends_and_raises_nothing_else(name: str) -> None:
    """Ends with a value or by the step budget; anything else would escape from `infer`."""
    found = survives(HOSTILE[name])
    assert found == "stopped" or found is not None


def test_budget_stops_an_endless_program() -> None:
    code = "def result():\n    while True:\n        while True:\n            while True:\n                x = 1"
    assert survives(code) == "stopped"


def test_loops_of_one_call_turn_so_often_and_no_more() -> None:
    loops = (
        "for a in range(500):\n        for b in range(500):\n            for c in range(500):\n                x = a"
    )
    assert survives(f"def result():\n    {loops}\n    return 7") != "stopped"


def test_undecided_branches_are_noted() -> None:
    run = interpreter("def f(x):\n    if x > 3:\n        y = 1\n    return y\n")
    function = run.module_name("m.py", "f").value
    run.call_function(function, [], {}, 1)
    assert [(note.file, note.where) for note in run.notes] == [("m.py", "line 2")]
    assert "x > 3" in run.notes[0].text


def test_a_check_that_only_raises_is_passed_over() -> None:
    code = "def result(x=None):\n    if unknowable():\n        raise ValueError('no')\n    return 4"
    assert result(code) == 4


def test_missing_arguments_are_unknown() -> None:
    run = interpreter("def f(x):\n    return x\n")
    assert is_lost(run.call_function(run.module_name("m.py", "f").value, [], {}, 1))


def test_a_module_replaced_from_outside_stays_replaced() -> None:
    code = """
    from torch import nn
    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.proj = nn.Linear(4, 8)
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()
            self.inner.proj = nn.Identity()
            self.proj = self.inner.proj
    """
    assert attribute_of(code, "proj").value.cls.name == "Identity"

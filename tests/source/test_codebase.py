# ruff: noqa: E501 (programs stand on one line each)
"""What names mean across the files of a repo."""

from __future__ import annotations

import pytest

from porter.source.codebase import CodeBase, Definition, External, ModuleFile, parse_file
from tests.source.following import result


def meaning(files: dict[str, str], name: str, path: str = "m.py") -> object:
    return CodeBase(files).meaning(path, name)


def test_relative_imports() -> None:
    files = {
        "m.py": "from .parts.tower import Tower\nfrom . import shared\nfrom .parts import tower as t, Alias\n",
        "shared.py": "x = 1\n",
        "parts/__init__.py": "from .tower import Tower as Alias\nfrom ..shared import x\n",
        "parts/tower.py": "class Tower: pass\nfrom ..shared import x as y\n",
    }
    found = meaning(files, "Tower")
    assert isinstance(found, Definition)
    assert found.file == "parts/tower.py"
    assert meaning(files, "shared") == ModuleFile("shared.py")
    assert meaning(files, "t") == ModuleFile("parts/tower.py")
    alias = meaning(files, "Alias")
    assert isinstance(alias, Definition)
    assert alias.name == "Tower"
    assert isinstance(meaning(files, "y", "parts/tower.py"), Definition)
    assert isinstance(meaning(files, "x", "parts/__init__.py"), Definition)


def test_plain_imports_of_sibling_files() -> None:
    files = {"m.py": "from other import A\nimport other\n", "other.py": "class A: pass\n"}
    assert isinstance(meaning(files, "A"), Definition)
    assert meaning(files, "other") == ModuleFile("other.py")


def test_star_imports() -> None:
    files = {"m.py": "from .a import *\n", "a.py": "from .b import *\nX = 1\n", "b.py": "Y = 2\n"}
    assert isinstance(meaning(files, "X"), Definition)
    assert isinstance(meaning(files, "Y"), Definition)
    assert meaning(files, "Z") is None


def test_fallback_imports_keep_what_is_tried_first() -> None:
    code = "try:\n    from flash import attention\nexcept ImportError:\n    attention = None\n"
    assert meaning({"m.py": code}, "attention") == External("flash.attention")


def test_fallback_imports_of_files() -> None:
    code = "try:\n    from .conversation import get\nexcept ImportError:\n    from conversation import get\n"
    found = meaning({"m.py": code, "conversation.py": "def get():\n    return 1\n"}, "get")
    assert isinstance(found, Definition)
    assert found.file == "conversation.py"


def test_outside_names() -> None:
    files = {
        "m.py": "import torch.nn as nn\nimport torch\nfrom torch import nn as other\nfrom x.y import Z\nfrom .gone import W\n"
    }
    assert meaning(files, "nn") == External("torch.nn")
    assert meaning(files, "torch") == External("torch")
    assert meaning(files, "other") == External("torch.nn")
    assert meaning(files, "Z") == External("x.y.Z")
    assert meaning(files, "W") == External("gone.W")
    assert meaning(files, "nothing") is None
    assert meaning(files, "x", "absent.py") is None


def test_code_of_another_repo_stays_in_its_own() -> None:
    files = {
        "modeling.py": "class A: pass\n",
        "config.py": "class C:\n    mine = True\n",
        "org/name--modeling.py": "from .config import C\nfrom .sub.deep import D\n",
        "org/name--config.py": "class C:\n    theirs = True\n",
        "org/name--sub/deep.py": "from ..config import C as D\n",
    }
    for name in ("C", "D"):
        found = meaning(files, name, "org/name--modeling.py")
        assert isinstance(found, Definition)
        assert found.file == "org/name--config.py"
    assert meaning(files, "A", "org/name--modeling.py") is None


@pytest.mark.parametrize(
    "files",
    [
        {"m.py": "from .m import x\n"},
        {"m.py": "from .a import x\n", "a.py": "from .m import x\n"},
        {"m.py": "from .a import *\n", "a.py": "from .m import *\nfrom .b import *\n", "b.py": "from .a import *\n"},
        {"m.py": "from . import x\n", "__init__.py": "from .m import x\n"},
        {"m.py": "x = x\n"},
        {"m.py": "x = y\ny = x\n"},
        {"m.py": "from ....... import x\n"},
        {"m.py": "from .a.b.c import x\n", "a/b.py": ""},
    ],
)
def test_cycles_end(files: dict[str, str]) -> None:
    assert isinstance(meaning(files, "x"), (Definition, External, ModuleFile, type(None)))
    result(files, "x")


def test_many_stars_end_soon() -> None:
    files = {f"f{i}.py": "".join(f"from .f{j} import *\n" for j in range(12)) for i in range(12)}
    assert meaning(files, "x", "f0.py") is None


BROKEN = {
    "syntax": "def f(:\n",
    "nul": "x = 1\0\n",
    "python 2": "print 'hello'\n",
    "deep": "x = " + "(" * 5000 + ")" * 5000,
    "deep minus": "x = " + "-" * 20000 + "1",
    "tabs": "if 1:\n\tx = 1\n        y = 2\n",
    "surrogate": "x = '\ud800'\n",
    "form feed": "\x0cx = )\n",
    "digits": "x = " + "9" * 5000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_say_so_and_are_empty(name: str) -> None:
    file = parse_file("bad.py", BROKEN[name])
    assert file.error.startswith("bad.py:")
    assert dict(file.definitions) == {}
    assert CodeBase({"bad.py": BROKEN[name]}).meaning("bad.py", "x") is None


def test_a_broken_file_does_not_hide_the_others() -> None:
    code = CodeBase({"m.py": "from .bad import A\nclass B: pass\n", "bad.py": "class A(:\n"})
    assert isinstance(code.meaning("m.py", "B"), Definition)
    assert not isinstance(code.meaning("m.py", "A"), Definition)
    assert [file.error != "" for file in code.files()] == [True, False]


@pytest.mark.parametrize("text", ["", "\ufeffx = 1\n", "# only a comment\n", "x = 1\r\ny = 2\r\n", "\x0c\nx = 1\n"])
def test_odd_but_valid_files(text: str) -> None:
    assert parse_file("m.py", text).error == ""


def test_statements_under_if_and_try_count() -> None:
    code = """
import sys
if sys.version_info > (3, 9):
    A = 1
else:
    B = 2
try:
    C = 3
except ImportError:
    D = 4
E, F = 5, 6
G: int = 7
"""
    for name, expected in {"A": 1, "B": 2, "C": 3, "D": 4, "E": 5, "F": 6, "G": 7}.items():
        assert result(code, name) == expected

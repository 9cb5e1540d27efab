"""Ports of repos with hostile strings: what is written is code, TOML, JSON and Markdown of porter's own shape."""

from __future__ import annotations

import ast
import copy
import json
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.command import Ran, porter
from tests.fuzz.guard import CANARY
from tests.fuzz.hostile import STRINGS, at, paths_in, put, renamed
from tests.fuzz.test_json_files import BASES, EXAMPLE, LONGER, case, examples, stated, write
from tests.variants import variant

pytestmark = pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM")
JSON = (
    "config.json",
    "tokenizer_config.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
)
STEP = 8 if LONGER == 1 else 1
TOP_LEVEL = {"build-system", "project", "tool"}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("bases")
    return [EXAMPLE, *(variant(name).build(root / name) for name in BASES)]


def check_port(folder: Path) -> None:
    """Every file that a port consists of, whatever the repo said."""
    for path in folder.rglob("*"):
        assert not path.is_symlink()
        assert path.resolve().is_relative_to(folder.resolve())
        if path.suffix == ".py":
            check_python(path.read_text(encoding="utf-8"), path)
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
    check_toml(folder / "pyproject.toml")
    check_markdown((folder / "PORT.md").read_text(encoding="utf-8"))


def check_python(text: str, path: Path) -> None:
    """Hostile text stands in string constants only: no name, no import, no attribute, no keyword is made of it."""
    for node in ast.walk(ast.parse(text)):
        for name in named(node):
            assert name.isidentifier(), (path, name)
            assert CANARY not in name, (path, name)
            assert name not in {"__import__", "eval", "exec", "system", "popen"}, (path, name)


def named(node: ast.AST) -> Iterator[str]:
    for field in ("id", "attr", "name", "arg", "asname", "module"):
        value = getattr(node, field, None)
        if isinstance(value, str):
            yield from value.split(".") if field in ("module", "name") else (value,)


def check_toml(path: Path) -> None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    assert set(document) == TOP_LEVEL
    assert set(document["tool"]) == {"hatch", "ruff"}


def check_markdown(text: str) -> None:
    """The headings are porter's, and no cell or item of the repo's becomes HTML, a link or an image."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    headings = [tokens[index + 1].content for index, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings[1:] == ["Commands", "What differs from the base", "Facts", "Open items"]
    kinds = {child.type for token in tokens for child in (token.children or [])} | {token.type for token in tokens}
    assert not kinds & {"html_block", "html_inline", "link_open", "image"}, kinds


def port(folder: Path, *arguments: str) -> Ran:
    target = folder / "out" / "port"
    target.parent.mkdir()
    asked = ("new-model", str(folder / "repo"), "--plugin", str(target), "--yes", "--no-smoke", "--offline", "--json")
    ran = porter(*asked, *arguments, case=folder, target=target.parent)
    if ran.document["error"] is None and ran.document["files"]:
        check_port(target)
    assert [path.name for path in target.parent.iterdir()] == (["port"] if ran.code == 0 else [])
    return ran


def test_the_example_is_ported(tmp_path: Path) -> None:
    """Without this the other tests here would pass on repos that are all refused."""
    shutil.copytree(EXAMPLE, tmp_path / "repo")
    ran = port(tmp_path)
    assert ran.code == 0
    assert ran.document["files"]


@examples(10)
@given(st.data())
def test_hostile_strings_in_every_place(bases: list[Path], data: st.DataObject) -> None:
    """A string, or a key, of one of the JSON files is replaced or added to, everywhere it stands."""
    with case(data.draw(st.sampled_from(bases))) as folder:
        for _ in range(data.draw(st.integers(1, 2))):
            name = data.draw(st.sampled_from([name for name in JSON if (folder / "repo" / name).is_file()]))
            value = stated(folder, name)
            places = [path for path in paths_in(value) if path]
            where = data.draw(st.sampled_from(places))
            write(folder, name, json.dumps(spelled(data, value, where)))
        port(folder)


def spelled(data: st.DataObject, value: Any, where: tuple[Any, ...]) -> Any:
    evil = data.draw(st.sampled_from(STRINGS))
    how = data.draw(st.sampled_from(("put", "append", "prepend", "rename")))
    if how == "rename" and isinstance(where[-1], str):
        return renamed(value, where, evil)
    old = at(value, where)
    if not isinstance(old, str):
        return renamed(value, where, evil)
    return put(value, where, {"append": old + evil, "prepend": evil + old}.get(how, evil))


@pytest.mark.parametrize("index", range(0, len(STRINGS), STEP))
def test_hostile_tokens_of_code_and_files(index: int, tmp_path: Path) -> None:
    """The image tokens themselves are hostile, consistently: in the vocabulary and in the code."""
    shutil.copytree(EXAMPLE, tmp_path / "repo")
    evil = STRINGS[index]
    for path in (tmp_path / "repo").iterdir():
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".py":
            path.write_text(constants_replaced(text, "<|vision_patch|>", evil), encoding="utf-8")
        elif path.suffix == ".json":
            value = json.loads(text)
            path.write_text(json.dumps(strings_replaced(value, "<|vision_patch|>", evil)), encoding="utf-8")
    port(tmp_path)


def constants_replaced(text: str, old: str, new: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = node.value.replace(old, new)
    return ast.unparse(tree)


def strings_replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key.replace(old, new): strings_replaced(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [strings_replaced(item, old, new) for item in value]
    return value.replace(old, new) if isinstance(value, str) else copy.copy(value)

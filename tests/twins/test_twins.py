"""What the made repos look like: read as text and JSON, nothing of them is run."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.twins import TWINS, Twin, installed, native, rename
from tests.twins.shapes import Insert

pytestmark = pytest.mark.skipif(installed() is None, reason="transformers is not installed")


@pytest.fixture(params=list(TWINS))
def made(request: pytest.FixtureRequest, twin_repo: Callable[[str], Path]) -> tuple[Twin, Path]:
    return TWINS[request.param], twin_repo(request.param)


def code(folder: Path) -> dict[str, ast.Module]:
    return {file.name: ast.parse(file.read_text(encoding="utf-8")) for file in folder.glob("*.py")}


def native_classes(twin: Twin) -> set[str]:
    name = twin.family.name
    files = [native.source(name, f"{kind}_{name}") for kind in ("configuration", "modeling")]
    return {cls for text in files for cls in rename.class_names(text)}


def keys(value: object, parent: str = "") -> Iterator[str]:
    """Every key of nested objects, each with the key that holds it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{parent}.{key}" if parent else key
            yield from keys(item, key)


def test_code_parses_and_defines_nothing_by_a_native_name(made: tuple[Twin, Path]) -> None:
    twin, folder = made
    modules = code(folder)
    assert {f"configuration_{twin.stem}.py", f"modeling_{twin.stem}.py"} <= set(modules)
    defined = {node.name for tree in modules.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    assert {twin.architecture, f"{twin.title}Config"} <= defined
    assert not defined & native_classes(twin)


def test_a_copy_names_nothing_of_the_native_files(made: tuple[Twin, Path]) -> None:
    twin, folder = made
    if twin.style == "subclass":
        return
    for tree in code(folder).values():
        nodes = list(ast.walk(tree))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        names |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        assert not names & native_classes(twin)
        local = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level}
        assert local <= {file.stem for file in folder.glob("*.py")}


def test_config_uses_the_renamed_keys(made: tuple[Twin, Path]) -> None:
    twin, folder = made
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == [twin.architecture] and config["model_type"] == twin.model_type
    there = set(keys(config))
    leaves = {path.rpartition(".")[2] for path in there}
    for path, new in twin.keys.items():
        parent, _, name = path.rpartition(".")
        assert path not in there
        assert f"{twin.keys.get(parent, parent)}.{new}" in there if parent else new in leaves, (path, new)
        assert parent or name not in leaves


def test_auto_map_and_files_agree(made: tuple[Twin, Path]) -> None:
    folder = made[1]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for reference in config["auto_map"].values():
        file, _, cls = reference.partition(".")
        assert cls in rename.class_names((folder / f"{file}.py").read_text(encoding="utf-8"))


def test_tokens_have_the_ids_of_the_config(made: tuple[Twin, Path]) -> None:
    twin, folder = made
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    ids = json.loads((folder / "added_tokens.json").read_text(encoding="utf-8"))
    for key, token in twin.family.token_keys.items():
        parent, _, leaf = key.rpartition(".")
        part = config[twin.keys.get(parent, parent)] if parent else config
        assert part[twin.keys.get(key, leaf)] == ids[twin.token(str(token))]
        assert ids[twin.token(str(token))] < config[twin.keys.get("text_config", "text_config")]["vocab_size"]
    assert not set(twin.tokens) & set(ids)
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    assert not any(token in template for token in twin.tokens)


def test_every_family_has_variants_and_a_near_miss() -> None:
    kinds = Counter((twin.family.name, bool(twin.near_miss)) for twin in TWINS.values())
    for family in {twin.family.name for twin in TWINS.values()}:
        assert kinds[family, False] >= 3 and kinds[family, True] >= 1, family
    titles = [twin.title for twin in TWINS.values()]
    assert len(set(titles)) == len(titles)
    assert all(twin.edits or twin.init or twin.config_init for twin in TWINS.values() if twin.near_miss)


def test_a_name_from_elsewhere_is_never_changed() -> None:
    names = rename.parse_names({"nn": "layers"}, {})
    with pytest.raises(ValueError, match="nn"):
        rename.rename("from torch import nn\nnn.Linear(1, 2)\n", names, "x", "y", ())
    with pytest.raises(ValueError, match="size"):
        rename.rename("from x import f\nf(size=1)\n", rename.parse_names({"size": "side"}, {}), "x", "y", ())


def test_names_change_where_the_table_says() -> None:
    text = (
        "class A:\n    def f(self, config):\n        return self.mlp(config.width, config.text_config.width)\n\n\n"
        "class B:\n    names = ['mlp', 'a.mlp']\n    def f(self, config):\n        return self.mlp(config.width)\n"
    )
    names = rename.parse_names({"A.mlp": "net", "vision_config.width": "breadth"}, {"vision_config": ["A"]})
    new = rename.rename(text, names, "x", "y", ())
    assert "self.net(config.breadth, config.text_config.width)" in new
    assert "self.mlp(config.width)" in new and "'a.mlp'" in new


def test_a_statement_stands_before_post_init_and_a_method_at_the_end() -> None:
    start = "class A:\n    def __init__(self):\n        self.x = 1\n        self.post_init()\n"
    text = f"{start}\n    def f(self):\n        pass\n"
    new = rename.inserted(
        text, [Insert("A", "__init__", "self.y = 2"), Insert("A", None, "def g(self):\n    return 3\n")]
    )
    assert "        self.x = 1\n        self.y = 2\n        self.post_init()\n" in new
    assert new.endswith("        pass\n\n    def g(self):\n        return 3\n")

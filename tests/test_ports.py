"""Finding a port: by folder, by TREE::MODULE, from inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.changes import apply
from porter.errors import TargetError
from porter.jsontypes import JSONObject
from porter.planning.plan import FileChange, Plan
from porter.ports import find_port, load_port, ported_architectures


def write(root: Path, layout: str, module: str) -> None:
    plan = Plan("", "plugin" if layout == "plugin" else "tree", module, (FileChange(f"{module}/x.py", None, "x\n"),))
    apply(plan, root)


def test_a_plugin_is_found_by_folder_and_from_inside(tmp_path: Path) -> None:
    write(tmp_path, "plugin", "thing")
    assert load_port(str(tmp_path)) == find_port(tmp_path / "thing")
    port = load_port(str(tmp_path))
    assert (port.layout, port.module, port.files()) == ("plugin", "thing", ("thing/x.py",))


def test_a_tree_port_is_named_by_module(tmp_path: Path) -> None:
    write(tmp_path, "tree", "one")
    assert find_port(tmp_path / "one").spec == f"{tmp_path.resolve()}::one"
    write(tmp_path, "tree", "two")
    assert load_port(f"{tmp_path}::two").module == "two"
    with pytest.raises(TargetError, match="several ports") as caught:
        load_port(str(tmp_path))
    assert "::one" in (caught.value.hint or "")


@pytest.mark.parametrize("spec", ["", "::x", "::../x", "::"])
def test_no_port_is_one_line(tmp_path: Path, spec: str) -> None:
    with pytest.raises(TargetError) as caught:
        load_port(f"{tmp_path}{spec}")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("spec", ["::..", "::."])
def test_a_module_that_is_a_way_out_is_no_port(tmp_path: Path, spec: str) -> None:
    write(tmp_path / "out", "plugin", "thing")
    with pytest.raises(TargetError, match="is no port"):
        load_port(f"{tmp_path / 'out'}{spec}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema": 99, "files": []}',
        '{"schema": 1, "files": []}',
        '{"schema": 1, "files": [], "module": "../.."}',
        '{"schema": 1, "files": [{}], "module": "thing"}',
        '{"schema": 1, "files": [], "module": "thing", "repo": []}',
    ],
)
def test_a_broken_manifest_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "porter.json").write_text(text)
    with pytest.raises(TargetError, match=r"porter\.json"):
        find_port(tmp_path)


def test_a_tree_tells_which_architectures_it_has_from_porter(tmp_path: Path) -> None:
    facts: JSONObject = {"architecture": {"value": "ThingForCausalLM"}}
    plan = Plan("", "tree", "thing", (FileChange("thing/x.py", None, "x\n"),), (), {"facts": facts})
    assert ported_architectures(tmp_path) == frozenset()
    apply(plan, tmp_path)
    assert ported_architectures(tmp_path) == {"ThingForCausalLM"}

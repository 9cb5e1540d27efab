"""Repos without code, of models that transformers has and the tree does not: its own code is the repo's side."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from porter.families import FAMILIES
from porter.families.base import Match, Verdict
from porter.families.library import Library
from porter.families.lineages import ClassAt, Lineage, lineage_of
from porter.families.twin.other_processor import _own_name
from porter.families.verdict import Wish, decide
from porter.planning.build import PortOptions, plan_port, port_spec
from porter.source.codebase import CodeBase
from tests.families.repos import needs_vllm, read, tree
from tests.twins import NATIVES

SMOL = "SmolVLMForConditionalGeneration"


def without(folder: Path, *architectures: str, level: str | None = "inherit", family: str | None = None) -> Verdict:
    """The verdict as if the tree did not have some architectures, of one family."""
    return decide(read(folder), tree(), frozenset(architectures), Wish.of(level, family))


def match_of(verdict: Verdict) -> Match:
    assert verdict.match is not None
    return verdict.match


def match_of_family(folder: Path, family: str) -> Match:
    return FAMILIES[family].match(read(folder), tree())


def files(folder: Path, verdict: Verdict) -> dict[str, str]:
    plan = plan_port(read(folder), verdict, tree(), Path("unused"), PortOptions("plugin"))
    return {change.path: change.new for change in plan.changes}


@needs_vllm
def test_a_model_that_the_tree_lacks_is_ported_from_transformers_own_code(twin_repo: Callable[[str], Path]) -> None:
    folder = twin_repo("smolvlm-native")
    verdict = without(folder, SMOL, family="idefics3")
    assert verdict.level == "inherit" and verdict.confidence.value == "likely"
    assert {item.what for item in match_of(verdict).differences} == {"merge", "processor"}
    made = files(folder, verdict)
    assert not any(path.endswith("configuration.py") for path in made)
    model = made["smol_vlm/modeling.py"]
    assert "from transformers import SmolVLMProcessor" in model
    assert "processor.global_image_tag = processor.global_image_token" in model
    assert "AutoConfig" not in made["smol_vlm/__init__.py"]
    assert "trust_remote_code=False" in made["tests/conftest.py"]


@needs_vllm
def test_a_processor_that_the_class_asks_for_needs_no_override(twin_repo: Callable[[str], Path]) -> None:
    folder = twin_repo("smolvlm-first")
    verdict = without(folder, SMOL, family="idefics3")
    assert verdict.level == "inherit"
    model = files(folder, verdict)["smol_vlm/modeling.py"]
    assert "register_processor" not in model and "Processor" not in model


@needs_vllm
def test_the_backend_comes_first_unless_a_port_is_asked_for(twin_repo: Callable[[str], Path]) -> None:
    folder = twin_repo("smolvlm-first")
    assert without(folder, SMOL, level=None, family="idefics3").level == "transformers-backend"
    assert without(folder, SMOL, family="idefics3").overruled == "transformers-backend"


@needs_vllm
def test_another_name_for_an_architecture_is_an_alias(twin_repo: Callable[[str], Path]) -> None:
    folder = twin_repo("alias-native")
    verdict = without(folder, level=None)
    assert verdict.level == "inherit" and match_of(verdict).family == "qwen2_vl"
    assert not match_of(verdict).differences and not verdict.trust
    assert any("--hf-overrides" in line and "Qwen2VLForConditionalGeneration" in line for line in verdict.reasons)
    spec = port_spec(read(folder), verdict, tree())
    assert spec.native_config
    text = FAMILIES["qwen2_vl"].model_file(spec, relative=True, own_config=False)
    assert text.endswith("class SparrowForConditionalGeneration(Qwen2VLForConditionalGeneration):\n    pass\n")


@needs_vllm
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "mistral3", "llava_original"])
def test_a_native_model_is_no_other_family(family: str, twin_repo: Callable[[str], Path]) -> None:
    verdict = without(twin_repo("alias-native"), family=family)
    assert verdict.level != "inherit"


@needs_vllm
def test_a_model_that_fixes_what_the_original_takes_from_its_config_is_no_copy(
    twin_repo: Callable[[str], Path],
) -> None:
    folder = twin_repo("lighton-native")
    verdict = without(folder, "LightOnOCRForConditionalGeneration", family="mistral3")
    assert verdict.level != "inherit" and "code" in {item.what for item in match_of_family(folder, "mistral3").blockers}


@needs_vllm
@pytest.mark.parametrize("architecture", ["LlavaForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"])
def test_a_model_type_of_another_architecture_is_not_supported(
    architecture: str, twin_repo: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(twin_repo("alias-native"), tmp_path / "repo")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [architecture]}), encoding="utf-8")
    verdict = without(folder, level=None)
    assert verdict.level == "refuse"
    assert any("config.json says qwen2_vl" in line for line in verdict.reasons)


PROCESSOR = """
class Asked:
    def __init__(self, tokenizer):
        self.frame = "<frame>"
        self.tag = AddedToken("<all>", normalized=False).content


class Other:
    def __init__(self, tokenizer):
        self.frame = getattr(tokenizer, "frame", "<frame>")
        self.whole = getattr(tokenizer, "whole", "<all>")
"""


def processor(name: str, text: str = PROCESSOR) -> Lineage:
    code = CodeBase({"processing.py": text})
    found = code.find_class("processing.py", name)
    assert found is not None
    return lineage_of(ClassAt(code, *found), Library(None))


def test_an_attribute_of_a_processor_is_found_by_its_text() -> None:
    assert _own_name(processor("Asked"), processor("Other"), "tag") == "whole"


def test_an_attribute_whose_text_stands_twice_or_nowhere_is_not_found() -> None:
    twice = PROCESSOR + '        self.every = "<all>"\n'
    assert _own_name(processor("Asked"), processor("Other", twice), "tag") is None
    assert (
        _own_name(processor("Asked"), processor("Other", PROCESSOR.replace('"whole", "<all>"', '"w"')), "tag") is None
    )


def test_every_repo_without_code_has_none() -> None:
    assert all(twin.style == "native" for twin in NATIVES.values())

"""Which classes put images into a prompt by themselves, and which ports inherit that."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from porter.vllm_tree import locate
from porter.vllm_tree.prompts import port_inserts, registered_inserts
from porter.vllm_tree.tree import Tree
from tests.trees import write_tree

ORCHARD = """from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.processing import PromptInsertion, PromptReplacement


class Inserting:
    def _get_prompt_updates(self, mm_items):
        return [PromptInsertion(modality="image", target=[1], insertion=[2])]


class Inherited(Inserting):
    pass


class Replacing:
    def _get_prompt_updates(self, mm_items):
        return [PromptReplacement(modality="image", target=[1], replacement=[2])]


class Both:
    def _get_prompt_updates(self, mm_items):
        return [PromptInsertion(modality="video"), PromptReplacement(modality="image")]


@MULTIMODAL_REGISTRY.register_processor(Inherited, info=object, dummy_inputs=object)
class AppleModel: ...


@MULTIMODAL_REGISTRY.register_processor(Replacing, info=object, dummy_inputs=object)
class ZebraModel: ...


@MULTIMODAL_REGISTRY.register_processor(Both, info=object, dummy_inputs=object)
class MangoModel: ...


class PearModel(AppleModel): ...
"""
MODULE = "vllm.model_executor.models.apple"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    write_tree(tmp_path, {"vllm/model_executor/models/apple.py": ORCHARD})
    return locate(tmp_path, None, None)


def port(tree: Tree, text: str, imported: str) -> bool:
    return port_inserts(tree, ast.parse(f"from {MODULE} import {imported}\n{text}"), "Port")


def test_a_registered_class_is_asked_by_its_processor(tree: Tree) -> None:
    assert registered_inserts(tree, "AppleModel")
    assert not registered_inserts(tree, "ZebraModel")
    assert not registered_inserts(tree, "NobodysModel")


@pytest.mark.parametrize(
    ("base", "inserts"), [("AppleModel", True), ("PearModel", True), ("ZebraModel", False), ("MangoModel", False)]
)
def test_a_port_inherits_what_its_base_does(tree: Tree, base: str, inserts: bool) -> None:
    assert port(tree, f"class Port({base}): ...", base) is inserts
    assert port(tree, "class Port(Base): ...", f"{base} as Base") is inserts


REGISTERED = "@MULTIMODAL_REGISTRY.register_processor({}, info=object, dummy_inputs=object)\nclass Port({}): ..."


@pytest.mark.parametrize(
    ("text", "inserts"),
    [
        (REGISTERED.format("Replacing", "AppleModel"), False),
        (REGISTERED.format("Inserting", "ZebraModel"), True),
        ("class Own(Inserting): ...\n" + REGISTERED.format("Own", "ZebraModel"), True),
        (
            "class Own(Inserting):\n    def _get_prompt_updates(self): return [PromptReplacement()]\n"
            + REGISTERED.format("Own", "AppleModel"),
            False,
        ),
        ("class Other(AppleModel): ...", False),
    ],
)
def test_a_processor_of_its_own_decides(tree: Tree, text: str, inserts: bool) -> None:
    assert port(tree, text, "AppleModel, Inserting, Replacing, ZebraModel") is inserts

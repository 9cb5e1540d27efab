"""Registries as values."""

from __future__ import annotations

from pathlib import Path

from porter.vllm_tree import architectures, config_registry, locate
from tests.trees import write_tree


def test_architectures_of_every_section(tmp_path: Path) -> None:
    tree = locate(tree=write_tree(tmp_path, {"vllm/models/zebra/__init__.py": ""}))
    found = architectures(tree)
    assert found["AlphaForCausalLM"].section == "_TEXT_GENERATION_MODELS" and not found["AlphaForCausalLM"].multimodal
    assert found["ZebraModel"].file(tree) == "models/zebra/__init__.py"
    assert found["MangoChatModel"].module == "mango" and found["MangoChatModel"].file(tree) is None
    assert found["OldModel"].removed == "0.9.2"
    assert found["PearModel"].removed is None, "a live entry wins over a removed one"
    line = tree.text("model_executor/models/registry.py").splitlines()[found["MangoChatModel"].line - 1]
    assert '"MangoChatModel"' in line


def test_config_registry(tmp_path: Path) -> None:
    found = config_registry(locate(tree=write_tree(tmp_path)))
    assert found.classes == {
        "apple": "AppleConfig",
        "mango": "MangoConfig",
        "odd-name": "OddConfig",
        "zebra": "ZebraConfig",
    }
    assert found.attrs == {"llm_config": "text_config"}
    assert found.kwargs == {"mango_chat": {"has_no_defaults_at_init": True}}

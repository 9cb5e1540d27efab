"""Capabilities follow the source of the tree, through every drift that porter knows of; what is not there is None."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.errors import TreeError
from porter.vllm_tree import locate, read_contract
from tests.trees import CONFIG, CONFIGS, INTERFACES, PROCESSING, PROCESSOR, UTILS, write_tree

OLD_DUMMY = """from vllm.multimodal.inputs import MultiModalDataDict


class BaseDummyInputsBuilder:
    def get_dummy_mm_data(self, seq_len, mm_counts): ...
"""


def values(root: Path, changed: dict[str, str | None]) -> dict[str, object]:
    contract = read_contract(locate(tree=write_tree(root, changed)))
    return {name: contract.value(name) for name in contract}


def test_the_newest_shape(tmp_path: Path) -> None:
    found = values(tmp_path, {})
    expected = {
        "embed_method": "embed_multimodal",
        "embed_ids_method": "embed_input_ids",
        "mark_tower_model": "_mark_tower_model",
        "placeholder_method": "get_placeholder_str",
        "dummy_data_params": ["seq_len", "mm_counts", "mm_options"],
        "dummy_builder_import": "vllm.multimodal.processing",
        "mm_data_dict_import": "vllm.inputs",
        "target_style": "token_ids",
        "postprocess_hook": "BaseMultiModalProcessor._postprocess_hf_mm_data",
        "config_base_name": "PreTrainedConfig",
        "mapper_fields": ["orig_to_new_substr", "orig_to_new_prefix"],
        "mapper_or": True,
        "loader_params": ["module", "ignore_unexpected_prefixes"],
        "config_registry": "keywords",
        "configs_init": "class_to_module",
        "transformers_pin": "<6,>=5.1",
        "example_fields": ["default", "extras", "trust_remote_code", "max_model_len"],
    }
    assert {name: found[name] for name in expected} == expected
    assert found["dummy_options"] == {
        "name": "mm_options",
        "annotation": "MultiModalDummyOptions",
        "module": "vllm.config.multimodal",
        "imports": {"MultiModalDummyOptions": "vllm.config.multimodal"},
        "required": True,
    }
    assert isinstance(found["docs_columns"], list) and len(found["docs_columns"]) == 6


@pytest.mark.parametrize(
    ("changed", "name", "value"),
    [
        (
            {
                "vllm/model_executor/models/interfaces.py": INTERFACES.replace(
                    "embed_multimodal", "get_multimodal_embeddings"
                )
            },
            "embed_method",
            "get_multimodal_embeddings",
        ),
        (
            {"vllm/model_executor/models/interfaces.py": INTERFACES.replace("embed_input_ids", "get_input_embeddings")},
            "embed_ids_method",
            "get_input_embeddings",
        ),
        (
            {"vllm/model_executor/models/interfaces.py": INTERFACES.replace("_mark_tower_model", "_other")},
            "mark_tower_model",
            None,
        ),
        ({"vllm/model_executor/models/interfaces.py": None}, "embed_method", None),
        ({"vllm/multimodal/processing/dummy_inputs.py": OLD_DUMMY}, "dummy_data_params", ["seq_len", "mm_counts"]),
        ({"vllm/multimodal/processing/dummy_inputs.py": OLD_DUMMY}, "dummy_options", None),
        ({"vllm/multimodal/processing/dummy_inputs.py": OLD_DUMMY}, "mm_data_dict_import", "vllm.multimodal.inputs"),
        (
            {
                "vllm/multimodal/processing/__init__.py": PROCESSING.replace(
                    "from .dummy_inputs import BaseDummyInputsBuilder\n", ""
                ),
                "vllm/multimodal/profiling.py": OLD_DUMMY,
            },
            "dummy_builder_import",
            "vllm.multimodal.profiling",
        ),
        ({"vllm/multimodal/processing/__init__.py": PROCESSING.replace(", cached_encode", "")}, "target_style", "text"),
        (
            {"vllm/multimodal/processing/processor.py": PROCESSOR.replace("MultiModalKwargsItems", "MultiModalKwargs")},
            "prompt_updates",
            {
                "params": ["mm_items", "hf_processor_mm_kwargs", "out_mm_kwargs"],
                "out_name": "out_mm_kwargs",
                "out_type": "MultiModalKwargs",
            },
        ),
        ({"vllm/transformers_utils/config.py": CONFIG.replace("PreT", "Pret")}, "config_base_name", "PretrainedConfig"),
        ({"vllm/transformers_utils/config.py": CONFIG.replace("_CONFIG_ATTRS", "_X")}, "config_attrs_mapping", None),
        (
            {"vllm/transformers_utils/configs/__init__.py": CONFIGS.replace("_CLASS_TO_MODULE", "_X")},
            "configs_init",
            "imports",
        ),
        ({"vllm/model_executor/models/utils.py": UTILS.replace("__or__", "merge")}, "mapper_or", None),
        ({"docs/models/supported_models.md": "# Nothing\n"}, "docs_columns", None),
        ({"requirements/common.txt": "torch\n"}, "transformers_pin", None),
    ],
)
def test_drift(tmp_path: Path, changed: dict[str, str | None], name: str, value: object) -> None:
    assert values(tmp_path, changed)[name] == value


def test_one_module_instead_of_a_package(tmp_path: Path) -> None:
    gone = [f"vllm/multimodal/processing/{name}.py" for name in ("__init__", "processor", "dummy_inputs")]
    changed: dict[str, str | None] = dict.fromkeys(gone)
    changed["vllm/multimodal/processing.py"] = PROCESSOR
    found = values(tmp_path, changed)
    assert found["limits_hook"] == "BaseProcessingInfo.get_supported_mm_limits"
    assert found["dummy_builder_import"] is None


def test_a_needed_capability_that_is_missing_is_named(tmp_path: Path) -> None:
    contract = read_contract(locate(tree=write_tree(tmp_path, {"vllm/model_executor/models/interfaces.py": None})))
    with pytest.raises(TreeError, match="embed_method"):
        contract.require("embed_method")
    assert contract.to_json()["embed_method"] is None


def test_evidence_points_into_the_tree(tmp_path: Path) -> None:
    tree = locate(tree=write_tree(tmp_path))
    capability = read_contract(tree)["embed_method"]
    assert capability is not None
    assert "def embed_multimodal" in tree.text(capability.file).splitlines()[capability.line - 1]


def test_a_file_that_does_not_parse_is_one_line(tmp_path: Path) -> None:
    tree = locate(tree=write_tree(tmp_path, {"vllm/transformers_utils/config.py": "def f(:\n"}))
    with pytest.raises(TreeError, match=r"config\.py:1"):
        read_contract(tree).value("config_registry")

"""The conditions of the Transformers backend, each with what was found and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.families.backend import Backend, backend_conditions
from porter.families.library import library_beside
from porter.families.verdict import decide
from porter.families.view import View
from porter.vllm_tree import locate
from tests.facts.odd_repos import QWEN, SIGLIP
from tests.families.repos import EXAMPLE, needs_vllm, read, tree
from tests.trees import write_tree

pytestmark = needs_vllm
LLAVA = {
    "architectures": ["LlavaForConditionalGeneration"],
    "model_type": "llava",
    "text_config": QWEN,
    "vision_config": SIGLIP,
    "image_token_index": 7,
}
CONFIG = """
from transformers import PretrainedConfig

class {name}Config(PretrainedConfig):
    model_type = "quokka"

    def __init__(self, text_config=None, vision_config=None, **kwargs):
        self.text_config = text_config
        self.vision_config = vision_config
        super().__init__(**kwargs)
"""
MODEL = """
import torch.nn as nn
from transformers import PreTrainedModel, Qwen2ForCausalLM
from .configuration_quokka import QuokkaConfig

class {attention}(nn.Module):
    def forward(self, x):
        {call}

class QuokkaModel(PreTrainedModel):
    config_class = QuokkaConfig

    def __init__(self, config):
        super().__init__(config)
        self.eye = {attention}()
        self.{language} = Qwen2ForCausalLM(config.text_config)

    {features}
"""
FEATURES = """def get_image_features(self, pixel_values, **kwargs):
        return BaseModelOutputWithPooling(pooler_output=self.eye(pixel_values))"""
PROCESSOR = """
from transformers import ProcessorMixin

class QuokkaProcessor(ProcessorMixin):
    def __init__(self, image_processor=None, tokenizer=None, **kwargs):
        super().__init__(image_processor, tokenizer)
        {token}

    {counts}

    {replaces}
"""
WHOLE = {
    "attention": "QuokkaAttention",
    "call": "return ALL_ATTENTION_FUNCTIONS.get_interface('eager')(self, x, layer_idx=0)",
    "language": "language_model",
    "features": FEATURES,
    "token": 'self.image_token = "<pic>"',
    "counts": "def _get_num_multimodal_tokens(self, image_sizes=None, **kwargs): return {}",
    "replaces": "def replace_image_token(self, image_inputs, image_idx, **kwargs): return '<pic>'",
}
BREAKS = {
    "attention backend": {"call": "return x.softmax(-1)"},
    "language model": {"language": "decoder_stack"},
    "image features": {"features": "pass"},
    "image_token": {"token": "pass"},
    "token counting": {"counts": ""},
    "placeholder offsets": {"replaces": ""},
}


def quokka(folder: Path, **changes: str) -> Path:
    """A repo whose code meets every condition, with parts replaced."""
    folder.mkdir()
    parts = {**WHOLE, **changes}
    config = {
        "architectures": ["QuokkaModel"],
        "model_type": "quokka",
        "text_config": QWEN,
        "vision_config": SIGLIP,
        "auto_map": {
            "AutoConfig": "configuration_quokka.QuokkaConfig",
            "AutoModel": "modeling_quokka.QuokkaModel",
            "AutoProcessor": "processing_quokka.QuokkaProcessor",
        },
    }
    files = {
        "config.json": json.dumps(config),
        "processor_config.json": json.dumps({"auto_map": {"AutoProcessor": "processing_quokka.QuokkaProcessor"}}),
        "configuration_quokka.py": CONFIG.replace("{name}", "Quokka"),
        "modeling_quokka.py": filled(MODEL, parts),
        "processing_quokka.py": filled(PROCESSOR, parts),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def filled(text: str, parts: dict[str, str]) -> str:
    for name, part in parts.items():
        text = text.replace("{" + name + "}", part)
    return text


def states(backend: Backend) -> dict[str, str]:
    return {condition.name: condition.state for condition in backend.conditions}


def write(folder: Path, config: dict[str, object]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_class_of_transformers_meets_every_condition(tmp_path: Path) -> None:
    backend = backend_conditions(View(read(write(tmp_path, LLAVA)), tree()))
    assert set(states(backend).values()) == {"holds"}, [item.line() for item in backend.open()]
    assert backend.serves
    assert all(condition.evidence for condition in backend.conditions)


def test_code_of_a_repo_that_meets_every_condition_is_served_by_the_backend(tmp_path: Path) -> None:
    reading = read(quokka(tmp_path / "q"))
    backend = backend_conditions(View(reading, tree()))
    assert set(states(backend).values()) == {"holds"}, [item.line() for item in backend.open()]
    verdict = decide(reading, tree())
    assert verdict.level == "transformers-backend"
    assert len(verdict.to_json()["backend"]) == len(backend.conditions)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BREAKS)
def test_one_condition_that_fails_is_named_with_its_place(name: str, tmp_path: Path) -> None:
    reading = read(quokka(tmp_path / "q", **BREAKS[name]))
    backend = backend_conditions(View(reading, tree()))
    failing = [condition for condition in backend.conditions if condition.state == "fails"]
    assert [condition.name for condition in failing] == [name]
    assert failing[0].evidence[0].file.endswith("_quokka.py")
    assert not backend.serves
    verdict = decide(reading, tree())
    assert verdict.level != "transformers-backend"
    assert any(reason.startswith(f"why not the Transformers backend: {name}") for reason in verdict.reasons)


def test_code_that_is_not_there_cannot_be_told(tmp_path: Path) -> None:
    folder = quokka(tmp_path / "q")
    (folder / "modeling_quokka.py").unlink()
    backend = backend_conditions(View(read(folder), tree()))
    assert states(backend)["model class"] == "unknown"
    assert not backend.serves


def test_a_flat_config_is_taken_for_a_text_model(tmp_path: Path) -> None:
    backend = backend_conditions(View(read(EXAMPLE), tree()))
    assert states(backend)["nested text config"] == "fails"


def test_a_name_that_nobody_has_fails(tmp_path: Path) -> None:
    config = {**LLAVA, "architectures": ["NobodyForConditionalGeneration"], "model_type": "nobody"}
    assert states(backend_conditions(View(read(write(tmp_path, config)), tree())))["model class"] == "fails"


def test_a_tree_without_the_package_fails_with_that_reason(tmp_path: Path) -> None:
    small = locate(write_tree(tmp_path / "tree"))
    backend = backend_conditions(View(read(write(tmp_path / "r", LLAVA)), small))
    assert [condition.name for condition in backend.conditions] == ["multimodal backend"]
    assert backend.conditions[0].state == "fails"


def test_linear_attention_fails(tmp_path: Path) -> None:
    text = {**QWEN, "layer_types": ["linear_attention", "full_attention"]}
    found = states(backend_conditions(View(read(write(tmp_path, {**LLAVA, "text_config": text})), tree())))
    assert found["attention interface"] == "fails"


def test_the_library_is_read_and_never_imported() -> None:
    import sys

    library = library_beside(tree().package)
    assert library.version
    assert library.find_model("LlavaForConditionalGeneration") is not None
    assert library.find_model("NobodyForConditionalGeneration") is None
    assert library.default("qwen2_vl", "vision_config.patch_size") is not None
    assert "transformers" not in sys.modules

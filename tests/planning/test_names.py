from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.errors import RepoError
from porter.planning.names import is_name, names_for, snake_case


@pytest.mark.parametrize(
    ("architecture", "stem", "module", "dist"),
    [
        ("SkylarkVLForCausalLM", "SkylarkVL", "skylark_vl", "skylark-vl-vllm"),
        ("UavVLForConditionalGeneration", "UavVL", "uav_vl", "uav-vl-vllm"),
        ("Eagle2_5_VLForConditionalGeneration", "Eagle2_5_VL", "eagle2_5_vl", "eagle2-5-vl-vllm"),
        ("Llama_Nemotron_Nano_VL", "Llama_Nemotron_Nano_VL", "llama_nemotron_nano_vl", "llama-nemotron-nano-vl-vllm"),
        ("InternVLChatModel", "InternVL", "intern_vl", "intern-vl-vllm"),
        ("TorchModel", "Torch", "torch_port", "torch-port-vllm"),
        ("Model", "Model", "model", "model-vllm"),
    ],
)
def test_names(architecture: str, stem: str, module: str, dist: str) -> None:
    names = names_for(architecture)
    assert (names.stem, names.module, names.dist) == (stem, module, dist)
    assert names.cls("Config") == f"{stem}Config"


@pytest.mark.parametrize("bad", ["", "a b", "import", "x;y", "1Model", "A-B", "Ünïcode", "../x", "None"])
def test_what_cannot_be_a_class_is_refused(bad: str) -> None:
    with pytest.raises(RepoError):
        names_for(bad)


@given(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,40}", fullmatch=True))
def test_every_class_name_gives_a_module_that_can_be_imported(architecture: str) -> None:
    if not is_name(architecture):
        return
    names = names_for(architecture)
    assert names.module.isidentifier()
    assert not keyword.iskeyword(names.module)
    assert names.module == names.module.lower()
    assert is_name(names.cls("Config"))


@given(st.text(max_size=30))
def test_snake_case_is_stable(text: str) -> None:
    assert snake_case(snake_case(text)) == snake_case(text)

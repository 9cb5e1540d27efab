"""The rungs that run on request: adapters, several processes, the server; then on ports that lack what they need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from porter.smoke.report import Rung, SmokeReport
from porter.smoke.subject import SmokeOptions
from tests.smoke.climbing import NEEDS_VLLM, climb, faulty, rung

pytestmark = NEEDS_VLLM
CLASS = "class SkylarkVLForCausalLM(InternVLChatModel):\n"
MAPPING = """
    def get_mm_mapping(self):
        from vllm.model_executor.models.module_mapping import MultiModelKeys

        return MultiModelKeys.from_string_field(
            language_model="llm", connector="mlp1", tower_model="vision_model"
        )

"""


def passed(report: SmokeReport, name: str) -> Rung:
    found = rung(report, name)
    assert found.status == "passed", found.detail
    return found


def test_adapters_reach_every_module_and_do_what_merged_weights_do(report: SmokeReport) -> None:
    detail = passed(report, "lora").detail
    count, beside = re.findall(r"adapters for (\d+) matrices.* (\d+) of them in tower and connector", detail)[0]
    assert int(count) > int(beside) > 0
    assert "no tensor name leads to" not in detail and "vLLM wraps no" not in detail
    assert "torch's own layers mlp1.1, mlp1.3" in detail
    assert float(re.findall(r"merged weights to ([\d.e-]+)", detail)[0]) < 1e-3


@pytest.mark.parametrize("name", ["tp", "pp"])
def test_two_processes_answer_as_one_does(name: str, report: SmokeReport) -> None:
    detail = passed(report, name).detail
    assert "2 processes (mp), 5 prompts as in one process" in detail
    assert float(re.findall(r"logprobs to ([\d.e+-]+)", detail)[0]) <= 1e-4


def test_the_server_counts_the_tokens_of_an_image(report: SmokeReport) -> None:
    detail = passed(report, "serve").detail
    with_image, needed, without = re.findall(r": (\d+) prompt tokens with an image of (\d+), (\d+) without", detail)[0]
    assert int(with_image) >= int(without) + int(needed) > int(without)


def test_a_mapping_that_names_no_language_model_is_caught(port: Path, tmp_path: Path) -> None:
    """Its language model would take no adapter, in silence."""
    wrong = faulty(port, tmp_path / "wrong", (CLASS, CLASS + MAPPING))
    found = rung(climb(wrong, tmp_path, SmokeOptions(rungs=("lora",))), "lora")
    assert found.status == "failed"
    assert "get_mm_mapping" in found.detail and "language_model.model.layers.0" in found.detail

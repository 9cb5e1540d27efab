"""Which weight files count, as vLLM's default loader takes them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from porter.hub.choice import HF_INDEX, MISTRAL_INDEX, choose

SHARDS = ("model-1-of-2.safetensors", "model-2-of-2.safetensors")
CASES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str | None]] = {
    "one file": (("model.safetensors",), ("model.safetensors",), None),
    "shards": ((*SHARDS, HF_INDEX), SHARDS, HF_INDEX),
    "numbers, not letters": (
        ("m-10.safetensors", "m-9.safetensors"), ("m-9.safetensors", "m-10.safetensors"), None,
    ),
    "a variant beside it": (
        ("model.safetensors", "model.fp16.safetensors"), ("model.fp16.safetensors", "model.safetensors"), None,
    ),
    "pickles beside it": (("model.safetensors", "pytorch_model.bin"), ("model.safetensors",), None),
    "pickles": (("pytorch_model.bin", "extra.pt", "optimizer.bin"), ("pytorch_model.bin",), None),
    "pt": (("model.pt", "scheduler.pt"), ("model.pt",), None),
    "consolidated beside shards": (
        (*SHARDS, HF_INDEX, "consolidated.safetensors"), ("consolidated.safetensors",), None,
    ),
    "consolidated with its index": (
        ("consolidated-1.safetensors", "consolidated-2.safetensors", MISTRAL_INDEX),
        ("consolidated-1.safetensors", "consolidated-2.safetensors"), MISTRAL_INDEX,
    ),
    "both formats whole": ((*SHARDS, HF_INDEX, "consolidated.safetensors", "params.json"), SHARDS, HF_INDEX),
    "folders": (("model.safetensors", "unet/model.safetensors", "original/consolidated.00.pth"),
                ("model.safetensors",), None),
    "an adapter beside it": (
        ("model.safetensors", "adapter_model.safetensors", "adapter_config.json"),
        ("adapter_model.safetensors", "model.safetensors"), None,
    ),
    "an adapter alone": (("adapter_model.safetensors", "adapter_config.json", "training_args.bin"), (), None),
    "gguf": (("model-q4.gguf",), (), None),
    "never loaded": (("model.ckpt", "consolidated.00.pth"), (), None),
}  # fmt: skip

VLLMS_CHOICE = """
import json, os, sys
from vllm.config.load import LoadConfig
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader
from vllm.model_executor.model_loader.weight_utils import _natural_sort_key

loader = DefaultModelLoader(LoadConfig())
found = (loader._prepare_weights(folder, None, None, True, None)[1] for folder in sys.argv[1:])
print(json.dumps([[os.path.basename(name) for name in sorted(files, key=_natural_sort_key)] for files in found]))
"""


@pytest.mark.parametrize("case", CASES)
def test_the_set_that_is_loaded(case: str) -> None:
    listing, files, index = CASES[case]
    found = choose(listing)
    assert (found.files, found.index) == (files, index)


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        (("model.gguf",), "GGUF files, not read: model.gguf"),
        (("model.safetensors", "x.bin"), "pickled weights that vLLM leaves aside: x.bin"),
        ((*SHARDS, "consolidated.safetensors"), "leaves aside for the consolidated ones: model-1"),
        (("model.safetensors", "original/consolidated.safetensors"), "--load-format safetensors"),
        ((*SHARDS, HF_INDEX, "consolidated.safetensors", "params.json"), "--config-format hf"),
        (("adapter_model.bin", "adapter_config.json"), "an adapter, not of a model: adapter_model.bin"),
        (("consolidated.00.pth",), "which vLLM does not load: consolidated.00.pth"),
        (("unet/x.safetensors",), "where vLLM does not look: unet/x.safetensors"),
    ],
)
def test_what_is_left_aside_is_named(listing: tuple[str, ...], said: str) -> None:
    assert any(said in note for note in choose(listing).notes), choose(listing).notes


def test_hostile_names() -> None:
    numbers = "9" * 5000
    assert (
        choose([f"m{numbers}.safetensors", "m1.safetensors", "m٣.safetensors", ".safetensors"]).files[0].startswith("m")
    )


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM")
def test_vllm_itself_takes_the_same(tmp_path: Path) -> None:
    """Where porter differs on purpose is left out: with both formats whole it reads the one of config.json."""
    cases = {case: value for case, value in CASES.items() if value[1] and case != "both formats whole"}
    for case, (listing, files, _) in cases.items():
        for name in listing:
            path = tmp_path / case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"weight_map": {file: file for file in files}}), encoding="utf-8")
    command = [sys.executable, "-c", VLLMS_CHOICE, *(str(tmp_path / case) for case in cases)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout.splitlines()[-1])
    assert {case: tuple(files) for case, files in zip(cases, found, strict=True)} == {
        case: files for case, (_, files, _) in cases.items()
    }

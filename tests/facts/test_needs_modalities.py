"""What a model takes: every kind with its evidence, and nothing for the leftovers of a shared tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from porter.facts import Confidence, Fact
from tests.facts.compare import read

QWEN_TOKENS = {"<|video_pad|>": 151656, "<|image_pad|>": 151655, "<|audio_bos|>": 151647}


def modalities(folder: Path, config: dict[str, Any], **files: Any) -> Fact:
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"config.json": config, **{name.replace("__", "."): value for name, value in files.items()}}
    for name, value in texts.items():
        text = value if isinstance(value, str) else json.dumps(value)
        (folder / name).write_text(text, encoding="utf-8")
    return read(folder).facts["modalities"]


VISION = {"vision_config": {"hidden_size": 8, "patch_size": 2}}
CODE = {"auto_map": {"AutoModel": "m.Model", "AutoProcessor": "p.MyProcessor"}}
MODEL = "class Model:\n    def __init__(self, config): pass\n    def forward(self, {}):\n        return {}\n"
PROCESSOR = "class MyProcessor:\n    def __call__(self, images=None, {}=None):\n        {}\n"


def test_tokens_of_a_shared_vocabulary_prove_nothing(tmp_path: Path) -> None:
    fact = modalities(tmp_path, VISION, added_tokens__json=QWEN_TOKENS)
    assert (fact.value, fact.confidence) == (["image"], Confidence.LIKELY)
    assert (fact.evidence[0].file, fact.evidence[0].where) == ("config.json", "vision_config")


def test_a_template_alone_proves_nothing(tmp_path: Path) -> None:
    template = "{% if content['type'] == 'video' %}<|video_pad|>{% endif %}"
    assert modalities(tmp_path, VISION, chat_template__jinja=template).value == ["image"]


def test_a_token_of_the_config_and_the_template_together_do(tmp_path: Path) -> None:
    template = {"chat_template": "{% if content['type'] == 'video' %}{% endif %}"}
    fact = modalities(tmp_path, {**VISION, "video_token_id": 151656}, tokenizer_config__json=template)
    assert fact.value == ["image", "video"]
    assert {(item.file, item.where) for item in fact.evidence} >= {
        ("config.json", "video_token_id"), ("tokenizer_config.json", "chat_template"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("files", "value"),
    [
        ({"processor_config__json": {"video_token": "<v>"}}, ["image", "video"]),
        ({"processor_config__json": {"video_token": None, "audio": False}}, ["image"]),
        ({"preprocessor_config__json": {"video_merge_size": 2}}, ["image", "video"]),
        ({"video_preprocessor_config__json": {"size": 3}}, ["image", "video"]),
        ({"video_preprocessor_config__json": {}}, ["image"]),
    ],
)
def test_what_processors_state(tmp_path: Path, files: dict[str, Any], value: list[str]) -> None:
    assert modalities(tmp_path, VISION, **files).value == value


@pytest.mark.parametrize(
    ("config", "value"),
    [
        ({"audio_config": {"hidden_size": 8}}, ["audio"]),
        ({"audio_config": {}}, None),
        ({"add_faster_video": False, "use_video": True}, None),
        ({"audio_config": {"patch_size": 4}}, ["audio"]),
        ({"img_processor": {"name": "clip"}}, ["image"]),
        ({"visual": {"heads": 2}}, ["image"]),
        ({"mm_vision_tower": "google/siglip"}, ["image"]),
        ({"mm_vision_tower": None}, None),
        ({"encoder": {"image_size": 4}}, ["image"]),
    ],
)
def test_what_a_config_states(tmp_path: Path, config: dict[str, Any], value: list[str] | None) -> None:
    assert modalities(tmp_path, config).value == value


@pytest.mark.parametrize(
    ("argument", "result", "value"),
    [
        ("pixel_values", "pixel_values", ["image"]),
        ("pixel_values_videos", "pixel_values_videos", ["video"]),
        ("input_audio", "input_audio", ["audio"]),
        ("pixel_values_videos", "1 if pixel_values_videos is None else 2", ["video"]),
        ("pixel_values_videos", "1", None),
        ("input_ids", "input_ids", None),
    ],
)
def test_what_the_model_takes(tmp_path: Path, argument: str, result: str, value: list[str] | None) -> None:
    assert modalities(tmp_path, CODE, m__py=MODEL.format(argument, result), p__py="").value == value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return self.frames(videos)", ["image", "video"]),
        ("pass", ["image"]),
        ("if videos is not None: raise ValueError", ["image"]),
    ],
)
def test_an_argument_that_a_processor_only_refuses_is_no_input(tmp_path: Path, body: str, value: list[str]) -> None:
    files = {"m__py": "class Model: pass\n", "p__py": PROCESSOR.format("videos", body)}
    assert modalities(tmp_path, CODE, **files).value == value


def test_an_encoder_of_another_kind_is_a_note(tmp_path: Path) -> None:
    config = {
        **VISION,
        "gene_config": {"num_hidden_layers": 2},
        "text_config": {"hidden_size": 2},
        "rope_config": {"dim": 1},
    }
    fact = modalities(tmp_path, config)
    assert (fact.value, fact.note) == (["image"], "encoders of another kind: gene_config")


def test_a_text_model_takes_nothing_else(tmp_path: Path) -> None:
    fact = modalities(tmp_path, {"architectures": ["LlamaForCausalLM"], "hidden_size": 8})
    assert (fact.value, fact.confidence) == (None, Confidence.UNKNOWN)

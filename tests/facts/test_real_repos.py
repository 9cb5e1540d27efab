"""Data files of real repos (code and weights left out): nothing crashes, and what the files state is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.facts import Confidence, RepoReading
from tests.facts.compare import differences, read

ROOT = Path(__file__).resolve().parents[3] / "shared" / "hf_repos"
FOLDERS = sorted(path for path in ROOT.iterdir() if (path / "config.json").is_file()) if ROOT.is_dir() else []
pytestmark = pytest.mark.skipif(not FOLDERS, reason="needs ../shared/hf_repos")

INTERNVL = {
    "architecture": "InternVLChatModel",
    "model_type": "internvl_chat",
    "text_config_key": "llm_config",
    "vision_config_key": "vision_config",
    "image_context_token": "<IMG_CONTEXT>",
    "image_start_token": "<img>",
    "image_end_token": "</img>",
    "image_size": 448,
    "patch_size": 14,
    "tokens_per_tile": 256,
    "downsample_ratio": 0.5,
    "pixel_shuffle": "v2",
    "feature_layer": -1,
    "min_tiles": 1,
    "max_tiles": 12,
    "use_thumbnail": True,
    "vision_tower": [{"kind": "intern_vit", "hidden_size": 1024, "layers": 24, "heads": 16, "patch_size": 14}],
    "modalities": ["image"],
}
EXPECTED: dict[str, dict[str, object]] = {
    "zylluan__ft-uav_internvl2-2B": {
        **INTERNVL,
        "image_context_token_id": 92546,
        "language_model": {
            "architecture": "InternLM2ForCausalLM", "model_type": "internlm2", "hidden_size": 2048, "layers": 24,
            "vocab_size": 92553,
        },
    },
    "zhangfaen__finetune-InternVL2": {
        **INTERNVL,
        "image_context_token_id": 151648,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "resample": "bicubic",
        "language_model": {
            "architecture": "Qwen2ForCausalLM", "model_type": "qwen2", "hidden_size": 896, "layers": 24,
            "vocab_size": 151655,
        },
    },
    "dengpingsong__gr00t": {
        "architecture": "Eagle2_5_VLForConditionalGeneration",
        "model_type": "eagle_2_5_vl",
        "text_config_key": "text_config",
        "vision_config_key": "vision_config",
        "image_context_token": "<IMG_CONTEXT>",
        "image_context_token_id": 151669,
        "image_start_token": "<img>",
        "image_end_token": "</img>",
        "image_size": 224,
        "patch_size": 14,
        "tokens_per_tile": 256,
        "downsample_ratio": 1.0,
        "min_tiles": 1,
        "max_tiles": 12,
        "use_thumbnail": True,
        "image_mean": [0.5, 0.5, 0.5],
        "rescale": True,
        "tied_embeddings": True,
        "vision_tower": [{"kind": "siglip", "hidden_size": 1152, "layers": 27, "patch_size": 14}],
        "language_model": {"architecture": "Qwen3ForCausalLM", "hidden_size": 2048, "layers": 28, "vocab_size": 151680},
    },
    "oguzaybilir__LocateAnything-3B-FineTuning": {
        "architecture": "LocateAnythingForConditionalGeneration",
        "model_type": "locateanything",
        "text_config_key": "text_config",
        "vision_config_key": "vision_config",
        "image_context_token": "<IMG_CONTEXT>",
        "image_context_token_id": 151665,
        "image_start_token": "<img>",
        "image_end_token": "</img>",
        "patch_size": 14,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "vision_tower": [{"kind": "moonvit", "hidden_size": 1152, "layers": 27, "heads": 16}],
        "language_model": {"architecture": "Qwen2ForCausalLM", "hidden_size": 2048, "layers": 36, "vocab_size": 152681},
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _empty_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Code of other repos is looked for in the Hub cache: an empty one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        yield


def reading_of(name: str) -> RepoReading:
    return read(ROOT / name)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_repo_is_read(folder: Path) -> None:
    reading = read(folder)
    json.dumps(reading.facts.to_json())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert reading.facts.value("architecture") == config["architectures"][0]
    for fact in reading.facts.values():
        assert fact.confidence is not Confidence.CERTAIN or fact.evidence, fact.name


@pytest.mark.parametrize("name", EXPECTED)
def test_what_the_files_state(name: str) -> None:
    assert differences(EXPECTED[name], reading_of(name)) == {}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_absent_code_is_named(folder: Path) -> None:
    reading = read(folder)
    entries = [entry for entry in reading.snapshot.auto_map if not entry.found]
    note = reading.facts["auto_map"].note
    assert all(entry.file in note for entry in entries)
    if any(entry.owner == "config.json" and entry.key.startswith("AutoModel") for entry in entries):
        assert any("which is not in the repo" in problem for problem in reading.problems)


@pytest.mark.parametrize("name", EXPECTED)
def test_without_code_tokens_are_not_certain(name: str) -> None:
    facts = reading_of(name).facts
    for fact in ("image_context_token", "image_start_token", "image_end_token", "connector", "feature_path"):
        assert facts[fact].confidence is not Confidence.CERTAIN


def test_code_of_another_repo_is_named() -> None:
    assert (
        "moonshotai/MoonViT-SO-400M" in reading_of("oguzaybilir__LocateAnything-3B-FineTuning").facts["auto_map"].note
    )


def test_a_flag_that_is_off_beats_the_ratio() -> None:
    """Eagle2.5 in GR00T states downsample_ratio 0.5 beside use_pixel_shuffle false."""
    fact = reading_of("dengpingsong__gr00t").facts["downsample_ratio"]
    assert fact.value == 1.0
    assert "use_pixel_shuffle" in fact.note

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.facts.model import Confidence
from porter.families.verdict import decide, rank
from tests.families.repos import EXAMPLE, needs_vllm, read, read_variant, tree

pytestmark = needs_vllm
REAL = Path(__file__).resolve().parents[3] / "shared" / "hf_repos"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real repos are not beside this checkout")


def repo(folder: Path, **changes: object) -> Path:
    """The example with other values in its config.json; None takes a key out."""
    folder.mkdir()
    for path in EXAMPLE.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = {**json.loads((EXAMPLE / "config.json").read_text()), **changes}
    text = json.dumps({key: value for key, value in config.items() if value is not None})
    (folder / "config.json").write_text(text)
    return folder


def test_the_example_is_inherited_with_its_layout_unseen() -> None:
    verdict = decide(read(EXAMPLE), tree())
    assert (verdict.level, verdict.confidence) == ("inherit", Confidence.LIKELY)
    assert "weights layout not seen" in verdict.reasons
    assert verdict.match is not None
    assert verdict.match.family == "internvl"


@pytest.mark.parametrize("name", ["heron-chat", "siskin-siglip", "lapwing-deep", "jacana-internlm"])
def test_variants_are_inherited(name: str, tmp_path: Path) -> None:
    assert decide(read_variant(name, tmp_path), tree()).level == "inherit"


def test_a_text_only_model_is_refused_with_that_reason(tmp_path: Path) -> None:
    folder = tmp_path / "text"
    folder.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "vocab_size": 100}
    (folder / "config.json").write_text(json.dumps(config))
    verdict = decide(read(folder), tree())
    assert verdict.level == "refuse"
    assert "text-only" in verdict.reasons[0]


def test_an_unknown_text_model_is_refused_too(tmp_path: Path) -> None:
    folder = tmp_path / "text"
    folder.mkdir()
    config = {"architectures": ["NobodyForCausalLM"], "model_type": "nobody", "hidden_size": 64, "vocab_size": 100}
    (folder / "config.json").write_text(json.dumps(config))
    verdict = decide(read(folder), tree())
    assert verdict.level == "refuse"
    assert "no vision part" in verdict.reasons[0]


def test_missing_code_is_named(tmp_path: Path) -> None:
    folder = repo(tmp_path / "r")
    (folder / "modeling_skylark_vl.py").unlink()
    verdict = decide(read(folder), tree())
    assert verdict.level == "refuse"
    assert any("modeling_skylark_vl.py" in reason for reason in verdict.reasons)
    assert any("InternVLChatModel" in reason for reason in verdict.reasons), "the nearest class to read is named"


def test_encoder_decoders_and_cross_attention_are_refused(tmp_path: Path) -> None:
    both = decide(read(repo(tmp_path / "a", is_encoder_decoder=True)), tree())
    assert any(reason.startswith("encoder-decoder") for reason in both.reasons)
    cross = decide(read(repo(tmp_path / "b", cross_attention_layers=[1, 3])), tree())
    assert any(reason.startswith("cross-attention") for reason in cross.reasons)


def test_a_removed_architecture_names_its_last_version(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    config = {"architectures": ["QWenLMHeadModel"], "model_type": "qwen", "visual": {"image_size": 448, "width": 1664}}
    (folder / "config.json").write_text(json.dumps(config))
    verdict = decide(read(folder), tree())
    assert verdict.level == "refuse"
    assert "the last version with it is" in verdict.reasons[0]


def test_a_name_of_the_tree_with_other_parts_is_not_supported(tmp_path: Path) -> None:
    verdict = decide(read(repo(tmp_path / "r", architectures=["InternVLChatModel"])), tree())
    assert verdict.level == "inherit"
    assert "its parts differ" in verdict.reasons[0]


def test_families_are_ranked_fitting_ones_first() -> None:
    ranked = rank(read(EXAMPLE), tree())
    assert [match.fits for match in ranked] == sorted((match.fits for match in ranked), reverse=True)


@needs_real
@pytest.mark.parametrize("name", ["zylluan__ft-uav_internvl2-2B", "zhangfaen__finetune-InternVL2"])
def test_real_internvl_repos_are_supported_with_the_layout_unseen(name: str) -> None:
    verdict = decide(read(REAL / name), tree())
    assert (verdict.level, verdict.confidence) == ("supported", Confidence.LIKELY)
    assert "weights layout not seen" in verdict.reasons


@needs_real
def test_extra_modules_under_a_known_name_are_seen() -> None:
    verdict = decide(read(REAL / "OpenBMB__Scicore-Omics"), tree())
    assert verdict.level == "refuse"
    assert any("nicheformer" in reason for reason in verdict.reasons)

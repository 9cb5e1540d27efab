"""Transformers' own RADIO as a tower: its defaults, what its class does unseen, and what is not it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from porter.facts import RepoReading, infer
from porter.facts.encoders import read_encoder
from porter.facts.radio import DEFAULTS
from porter.families.library import library_beside
from porter.hub import snapshot_of
from porter.jsontypes import JSON
from tests.variants import variant

NAME = "as-nemotron-native"


def reading(folder: Path, **vision: JSON) -> RepoReading:
    """The made repo with other values in its vision config; None takes a key out."""
    repo = variant(NAME).build(folder / "repo")
    config = json.loads((repo / "config.json").read_text(encoding="utf-8"))
    config["vision_config"] |= vision
    config["vision_config"] = {key: value for key, value in config["vision_config"].items() if value is not None}
    (repo / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return infer(snapshot_of(str(repo), revision=None, offline=True))


def test_what_the_class_does_unseen_is_in_the_path(tmp_path: Path) -> None:
    found = reading(tmp_path)
    path = found.facts.value("feature_path")
    assert isinstance(path, list)
    assert path[0] == {"op": "normalize", "mean": "norm_mean", "std": "norm_std"}
    assert path[2] == {"op": "drop_tokens", "count": 4, "from_end": 0}
    listed = found.facts.value("buffers")
    assert isinstance(listed, list)
    assert [(item["attr"], item["used"]) for item in listed if isinstance(item, dict)] == [
        ("norm_mean", True),
        ("norm_std", True),
        ("summary_idxs", False),
    ]


def test_its_settings_are_the_configs(tmp_path: Path) -> None:
    found = read_encoder(reading(tmp_path, qkv_bias=False, max_img_size=150).configs, 56)
    assert (found.rows, found.table, found.scaled) == (4, 140, False)
    assert found.settings["intermediate_size"] == 192
    assert found.settings["qkv_bias"] is False
    assert found.settings["hidden_act"] == "gelu"


def auto(folder: Path, **vision: JSON) -> RepoReading:
    """The made repo whose code leaves the tower's class to its config."""
    reading(folder, **vision)
    file = next((folder / "repo").glob("modeling_*.py"))
    text = file.read_text(encoding="utf-8")
    assert text.count("else RadioModel(") == 1
    text = text.replace("else RadioModel(", "else AutoModel.from_config(").replace("RadioModel,", "AutoModel,")
    file.write_text(text, encoding="utf-8")
    return infer(snapshot_of(str(folder / "repo"), revision=None, offline=True))


def test_a_tower_by_its_config_is_the_same(tmp_path: Path) -> None:
    named, found = reading(tmp_path / "named"), auto(tmp_path / "auto")
    assert read_encoder(found.configs, 56) == read_encoder(named.configs, 56)
    assert found.facts.value("feature_path") == named.facts.value("feature_path")


def test_a_config_that_names_code_of_its_own_is_not_the_librarys(tmp_path: Path) -> None:
    found = auto(tmp_path, auto_map={"AutoModel": "someone/tower--modeling.TowerModel"})
    assert read_encoder(found.configs, 56).unclear


def test_what_the_config_leaves_out_is_the_classs_default(tmp_path: Path) -> None:
    found = read_encoder(reading(tmp_path, num_cls_tokens=None, num_registers=None, layer_norm_eps=None).configs, 56)
    assert found.rows == 10
    assert found.settings["layer_norm_eps"] == 1e-6


@pytest.mark.parametrize("vision", [{"use_swiglu_ffn": True}, {"layerscale_value": 0.5}, {"hidden_size": "wide"}])
def test_another_form_of_it_is_not_taken(vision: dict[str, JSON], tmp_path: Path) -> None:
    assert read_encoder(reading(tmp_path, **vision).configs, 56).unclear


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="no vLLM beside this Python")
def test_the_defaults_are_those_of_the_library() -> None:
    spec = importlib.util.find_spec("vllm")
    assert spec is not None and spec.origin is not None
    library = library_beside(Path(spec.origin).parent)
    if "radio" not in library.configs:
        pytest.skip("this transformers has no RADIO")
    stated = {name: library.default("radio", name) for name in DEFAULTS}
    assert {name: found[0] for name, found in stated.items() if found is not None} == {
        name: repr(value) for name, value in DEFAULTS.items()
    }

"""Sizes, merging, native resolution, bounds and token counts: every place compared, the winner and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from porter.facts import Confidence, library_defaults
from tests.facts.compare import agrees, read
from tests.facts.models import CONFIGURATION, model, write
from tests.facts.test_feature_path import LAST, ONE_SHUFFLE, joined
from tests.facts.test_token_sources import data

VISION: dict[str, Any] = {"hidden_size": 16, "patch_size": 14, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZED = {**VISION, "image_size": 448}
TILED = {"force_image_size": 448, "downsample_ratio": 0.5, "max_dynamic_patch": 12, "vision_config": SIZED}


def test_a_clip_record_does_not_decide_the_size_of_tiles() -> None:
    record = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224, "do_center_crop": True}
    fact = data(TILED, preprocessor_config=record).facts["image_size"]
    assert (fact.value, fact.confidence) == (448, Confidence.LIKELY)
    assert "preprocessor_config.json crop_size says 224; force_image_size wins" in fact.note


def test_a_tower_of_another_size_is_noted() -> None:
    fact = data({"image_size": 448, "vision_config": {**VISION, "image_size": 980}}).facts["image_size"]
    assert (fact.value, fact.confidence) == (448, Confidence.LIKELY)
    assert "980" in fact.note


@pytest.mark.parametrize(
    ("processor", "size"),
    [
        ({"size": {"height": 56, "width": 56}}, 56),
        ({"size": {"height": 56, "width": 28}}, [56, 28]),
        ({"size": {"shortest_edge": 56}}, 56),
        ({"size": 56}, 56),
        ({"size": [56, 56]}, 56),
        ({"size": {"shortest_edge": 64}, "crop_size": {"height": 56, "width": 56}, "do_center_crop": True}, 56),
        ({"image_processor": {"size": {"height": 56, "width": 56}}, "size": {"height": 28, "width": 28}}, 56),
        ({"video_processor": {"size": {"height": 56, "width": 56}}}, None),
        ({"size": {"longest_edge": 1456}}, None),
        ({"size": {"shortest_edge": 3136, "longest_edge": 12845056}}, None),
    ],
)
def test_sizes_in_every_shape(processor: dict[str, Any], size: object) -> None:
    assert agrees(size, data({"vision_config": VISION}, preprocessor_config=processor).facts.value("image_size"))


def test_a_video_processors_file_says_nothing_about_images() -> None:
    settings = {"size": {"height": 56, "width": 56}, "image_mean": [0.1, 0.1, 0.1]}
    facts = data({"vision_config": VISION}, video_preprocessor_config=settings).facts
    assert [facts.value(name) for name in ("image_size", "image_mean")] == [None, None]


@pytest.mark.parametrize(
    ("processor", "low", "high"),
    [
        ({"min_pixels": 3136, "max_pixels": 100352}, 3136, 100352),
        ({"size": {"shortest_edge": 3136, "longest_edge": 12845056}}, 3136, 12845056),
        ({"in_token_limit": 100}, None, 100 * 14 * 14),
        ({"min_tokens": 4, "max_tokens": 100}, 4 * 28 * 28, 100 * 28 * 28),
    ],
)
def test_native_resolution_and_its_bounds(processor: dict[str, Any], low: int | None, high: int) -> None:
    facts = data({"vision_config": {**VISION, "spatial_merge_size": 2}}, preprocessor_config=processor).facts
    assert [facts.value(name) for name in ("min_pixels", "max_pixels", "merge_size")] == [low, high, 2]
    assert (facts.value("native_resolution"), facts["native_resolution"].confidence) == (True, Confidence.LIKELY)
    assert facts.value("tokens_per_tile") is None
    assert "merge_size" in str(facts.value("tokens_formula"))


def test_tiles_and_pinpoints_are_no_native_resolution() -> None:
    assert data(TILED).facts.value("native_resolution") is False
    grids = data({"vision_config": SIZED, "image_grid_pinpoints": "(1x1),...,(4x4)"}).facts
    assert grids.value("image_grid_pinpoints") == "(1x1),...,(4x4)"
    assert grids.value("native_resolution") is False


def test_nothing_tells_whether_resolution_is_native() -> None:
    assert data({"vision_config": SIZED}).facts["native_resolution"].confidence is Confidence.UNKNOWN


@pytest.mark.parametrize(("value", "merged"), [([2, 2], 2), (2, 2), ([2, 1], None), (True, None), ("2", None)])
def test_merge_sizes(value: object, merged: int | None) -> None:
    assert data({"vision_config": {**VISION, "merge_kernel_size": value}}).facts.value("merge_size") == merged


@pytest.mark.parametrize(
    ("config", "processor", "count", "formula"),
    [
        (TILED, {}, 256, "(image_size // patch_size)^2 * downsample_ratio^2"),
        (TILED, {"tokens_per_tile": 256}, 256, "(image_size // patch_size)^2 * downsample_ratio^2"),
        ({"vision_config": SIZED, "query_num": 64}, {}, 64, "query_num"),
        ({"vision_config": SIZED, "img_processor": {"num_img_tokens": 144}}, {}, 144, "img_processor.num_img_tokens"),
        ({"vision_config": SIZED}, {"image_token_length_h": 12, "image_token_length_w": 12}, 144,
         "image_token_length_h * image_token_length_w"),
        ({"vision_config": SIZED}, {}, None, None),
        ({"vision_config": SIZED, "downsample_ratio": 4}, {}, None, None),
    ],
)  # fmt: skip
def test_tokens_of_a_tile(config: dict[str, Any], processor: dict[str, Any], count: object, formula: object) -> None:
    facts = data(config, preprocessor_config=processor).facts
    assert (facts.value("tokens_per_tile"), facts.value("tokens_formula")) == (count, formula)
    assert facts["tokens_per_tile"].confidence is not Confidence.CERTAIN


def test_a_stated_count_that_the_sizes_contradict_is_noted() -> None:
    fact = data(TILED, processor_config={"tokens_per_tile": 100}).facts["tokens_per_tile"]
    assert (fact.value, fact.confidence) == (100, Confidence.LIKELY)
    assert "the sizes give 256" in fact.note


def test_unusual_keys_are_likely_and_usual_ones_certain_without_code() -> None:
    facts = data({"vision_config": SIZED}, preprocessor_config={"num_crops": 16, "image_mean": [0.1, 0.2, 0.3]}).facts
    assert facts["max_tiles"].confidence is Confidence.LIKELY
    assert facts["image_mean"].confidence is Confidence.CERTAIN


def test_the_name_of_a_towers_checkpoint_is_a_guess() -> None:
    facts = data({"vision_config": None, "img_processor": {"model_name": "x/clip-large-patch14-336"}}).facts
    assert [facts.value(name) for name in ("image_size", "patch_size")] == [336, 14]
    assert {facts[name].confidence for name in ("image_size", "patch_size")} == {Confidence.GUESS}


def test_a_tower_config_in_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    (folder / "x" / "tower").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["M"], "mm_vision_tower": "x/tower"}))
    (folder / "x" / "tower" / "config.json").write_text(json.dumps({"vision_config": SIZED}))
    fact = read(folder).facts["patch_size"]
    assert (fact.value, fact.confidence) == (14, Confidence.LIKELY)
    assert fact.evidence[0].file == "x/tower/config.json"


# what two levels say


def test_a_language_model_setting_at_two_levels() -> None:
    found = data({"vocab_size": 200, "text_config": {"model_type": "llama", "hidden_size": 24, "vocab_size": 210}})
    fact = found.resolve("text", "vocab_size")
    assert fact.value == {"path": "text_config.vocab_size", "value": 210}
    assert fact.confidence is Confidence.LIKELY
    assert "config.json vocab_size says 200; text_config.vocab_size wins" in fact.note


def test_levels_that_agree_are_certain() -> None:
    found = data({"vocab_size": 210, "text_config": {"model_type": "llama", "hidden_size": 24, "vocab_size": 210}})
    assert (found.resolve("text", "vocab_size").confidence, found.resolve("text", "vocab_size").note) == (
        Confidence.CERTAIN,
        "",
    )


def test_two_spellings_at_one_level() -> None:
    fact = data({"force_image_size": 56, "image_size": 28, "vision_config": VISION}).facts["image_size"]
    assert (fact.value, fact.confidence) == (56, Confidence.LIKELY)
    assert "config.json image_size says 28" in fact.note


PIXELS = joined(LAST, ONE_SHUFFLE, "return self.proj(x)")
CUTS = """
def cut(image, size={size}):
    return image.resize((size, size))
"""


def test_a_value_that_no_code_asks_for_says_nothing(tmp_path: Path) -> None:
    code = model(PIXELS, before=CUTS.format(size=32))
    facts = read(write(tmp_path / "repo", code, {"force_image_size": 777, "max_dynamic_patch": 44})).facts
    assert facts.value("image_size") == 32
    assert facts.value("max_tiles") != 44


def test_of_two_spellings_the_one_that_the_code_asks_for_wins(tmp_path: Path) -> None:
    before = "def pixels(config, image):\n    return image.resize((config.image_size, config.image_size))\n"
    config = {"force_image_size": 777, "image_size": 32}
    fact = read(write(tmp_path / "repo", model(PIXELS, before=before), config)).facts["image_size"]
    assert fact.value == 32


def test_tiles_that_were_not_found_in_code_are_no_single_image(tmp_path: Path) -> None:
    code = model(PIXELS, before=CUTS.format(size=32))
    facts = read(write(tmp_path / "repo", code, preprocessor_config__json=json.dumps({"max_crops": 12}))).facts
    assert facts.value("max_tiles") == 12
    assert facts["resize_scheme"].confidence is Confidence.UNKNOWN
    assert facts.value("use_thumbnail") is None


def test_settings_that_a_method_takes_from_its_config(tmp_path: Path) -> None:
    """Nothing but the call says what `centre`, `spread` and `edge` are for."""
    method = (
        "\n    def load(self, image):\n        edge = self.config.edge\n        image = image.resize((edge, edge))\n"
        "        return T.normalize(image, self.config.centre, self.config.spread)\n"
    )
    config = {"centre": [0.1, 0.2, 0.3], "spread": [0.4, 0.5, 0.6], "edge": 40}
    tower = {"vision_config": {"hidden_size": 16, "patch_size": 4, "num_hidden_layers": 5, "num_attention_heads": 2}}
    configuration = CONFIGURATION.replace("layer=-2,", "layer=-2, centre=None, spread=None, edge=8,").replace(
        "self.layer = layer", "self.layer = layer\n        self.centre, self.spread, self.edge = centre, spread, edge"
    )
    code = model(PIXELS) + method
    facts = read(write(tmp_path / "repo", code, {**config, **tower}, configuration_m__py=configuration)).facts
    assert agrees(
        [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], 40], [facts.value(n) for n in ("image_mean", "image_std", "image_size")]
    )


@pytest.mark.parametrize(
    ("call", "placeholder"),
    [("text.split('<image>')", "<image>"), ("WORD in text and text.replace(WORD, '')", "<image>"),
     (r"re.split(r'<\|image_\d+\|>', text)", None), ("text.split('</s>')", None),
     ("text.split('<image>') + text.split('<img>')", None)],
)  # fmt: skip
def test_what_code_looks_for_in_a_prompt(call: str, placeholder: str | None, tmp_path: Path) -> None:
    before = f"import re\nWORD = '<image>'\n\ndef pieces(text):\n    return {call}\n"
    fact = read(write(tmp_path / "repo", model(PIXELS, before=before))).facts["image_placeholder"]
    assert fact.value == placeholder
    assert fact.confidence is not Confidence.CERTAIN


# what a library's class defaults to


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "models" / "odd_vl"
    folder.mkdir(parents=True)
    monkeypatch.setattr(library_defaults, "_models", lambda: tmp_path / "models")
    library_defaults._defaults.cache_clear()
    yield folder
    library_defaults._defaults.cache_clear()


def test_defaults_of_a_library_class_are_a_guess_that_names_it(library: Path) -> None:
    source = (
        "class OddVLImageProcessor(Base):\n    image_mean = OPENAI_CLIP_MEAN\n"
        "    resample = PILImageResampling.LANCZOS\n"
        "    def __init__(self, do_rescale: bool = True, **kwargs): ...\n"
    )
    (library / "image_processing_odd_vl.py").write_text(source)
    facts = data(preprocessor_config={"image_processor_type": "OddVLImageProcessorFast"}).facts
    found = [facts.value(name) for name in ("image_mean", "resample", "rescale")]
    assert agrees([[0.48145466, 0.4578275, 0.40821073], "lanczos", True], found)
    assert {facts[name].confidence for name in ("image_mean", "resample", "rescale")} == {Confidence.GUESS}
    assert "OddVLImageProcessorFast" in facts["resample"].note


@pytest.mark.parametrize("name", ["../../odd_vl/x", "Nothing", "ImageProcessor", "__import__('os')", 7, None])
def test_names_that_lead_nowhere(name: object, library: Path) -> None:
    assert data(preprocessor_config={"image_processor_type": name}).facts.value("resample") is None

"""Styles of remote code that hide a fact: settings kept by callers, optional inputs, layers that state what no
config does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.facts import Confidence, RepoReading
from tests.facts.compare import agrees, read
from tests.facts.models import model, write
from tests.facts.test_feature_path import LAST, ONE_SHUFFLE, joined

FORWARD = joined(LAST, ONE_SHUFFLE, "return self.proj(x)")
GRIDS = """
def split(image, low, high, size, small):
    grids = [(i, j) for n in range(low, high + 1) for i in range(1, n + 1) for j in range(1, n + 1)
             if low <= i * j <= high]
    tiles = [image.crop((0, 0, size, size)) for grid in grids]
    if {test}:
        tiles.append(image.resize((size, size)))
    return tiles


def load(path, config):
    return split(path, config.few, high=config.many, size=32, small=config.whole)

"""


def reading(folder: Path, extra: str = "", **files: str) -> RepoReading:
    return read(write(folder, model(FORWARD) + extra, **files))


@pytest.mark.parametrize(
    ("test", "stated", "expected"),
    [
        ("small and len(tiles) != 1", False, False),
        ("small and len(tiles) > 1", True, True),
        ("len(tiles) > 1", False, True),
    ],
)
def test_tiling_settings_come_from_the_callers(test: str, stated: bool, expected: bool, tmp_path: Path) -> None:
    code = model(FORWARD, before=GRIDS.format(test=test)) + "\n    def chat(self, x):\n        load(x, self.config)\n"
    facts = read(write(tmp_path, code, config={"few": 2, "many": 7, "whole": stated})).facts
    names = ("min_tiles", "max_tiles", "use_thumbnail")
    assert [facts.value(name) for name in names] == [2, 7, expected]


def test_crops_without_any_resized_one_have_no_thumbnail(tmp_path: Path) -> None:
    code = "def cut(image, size):\n    return [image.crop((0, 0, size, size))]\n"
    assert reading(tmp_path, code).facts.value("use_thumbnail") is False


def test_optional_images_do_not_hide_the_tokens(tmp_path: Path) -> None:
    code = (
        "class P:\n    def __call__(self, text, images=None):\n        for image in images or []:\n"
        "            text = text.replace('<image>', '\\n' + '<ctx>' * image.count + '\\n')\n        return text\n"
    )
    folder = write(tmp_path, model(FORWARD) + code)
    (folder / "added_tokens.json").write_text(json.dumps({"<image>": 90, "<ctx>": 91}))
    facts = read(folder).facts
    names = ("image_context_token", "image_start_token", "image_end_token", "image_placeholder")
    assert [facts.value(name) for name in names] == ["<ctx>", "\n", "\n", "<image>"]


@pytest.mark.parametrize(
    ("act", "op", "approximate"),
    [("gelu", "GELU", "none"), ("gelu_pytorch_tanh", "GELU", "tanh"), ("silu", "SiLU", "none"), ("mish", "mish", None)],
)
def test_an_activation_by_name_is_a_layer_of_the_connector(
    act: str, op: str, approximate: str | None, tmp_path: Path
) -> None:
    build = f"""
from transformers.activations import ACT2FN
self.first = nn.Linear(64, 24)
self.act = ACT2FN["{act}"]
self.second = nn.Linear(24, 24)
"""
    code = joined(LAST, ONE_SHUFFLE, "return self.second(self.act(self.first(x)))")
    connector = read(write(tmp_path, model(code, build))).facts.value("connector")
    assert isinstance(connector, dict)
    layers = connector["layers"]
    assert isinstance(layers, list)
    assert agrees([{"op": "Linear"}, {"op": op}, {"op": "Linear"}], layers)
    assert approximate is None or agrees({"approximate": approximate}, layers[1])


@pytest.mark.parametrize(
    ("code", "mean"),
    [
        ("from transformers.image_utils import OPENAI_CLIP_MEAN as M", [0.48145466, 0.4578275, 0.40821073]),
        ("from timm.data.constants import IMAGENET_INCEPTION_MEAN as M", [0.5, 0.5, 0.5]),
        ("from transformers import image_utils\nM = image_utils.IMAGENET_DEFAULT_MEAN", [0.485, 0.456, 0.406]),
    ],
)
def test_imported_means_are_numbers(code: str, mean: list[float], tmp_path: Path) -> None:
    use = f"\n{code}\n\ndef load(image):\n    return T.Normalize(M, M)(image)\n"
    assert agrees(mean, reading(tmp_path, use).facts.value("image_mean"))


def test_a_library_processor_of_one_square_is_one_tile(tmp_path: Path) -> None:
    square = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 32, "width": 32}}
    facts = reading(tmp_path, preprocessor_config__json=json.dumps(square)).facts
    assert [facts.value(name) for name in ("resize_scheme", "max_tiles")] == ["single", 1]
    cropped = {**square, "do_center_crop": True}
    again = reading(tmp_path / "cropped", preprocessor_config__json=json.dumps(cropped))
    assert again.facts.value("resize_scheme") is None


TOWER = """
class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm1 = nn.LayerNorm(c.hidden_size, eps=1e-3)
        self.qkv = nn.Linear(c.hidden_size, 3 * c.hidden_size, bias=False)
        self.fc1 = nn.Linear(c.hidden_size, int(c.hidden_size * c.mlp_ratio))
        self.act = nn.GELU()
        self.fc2 = nn.Linear(int(c.hidden_size * c.mlp_ratio), c.hidden_size)

    def forward(self, x):
        return x + self.fc2(self.act(self.fc1(self.norm1(x))))


class Tower(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.config = c
        self.patch = nn.Conv2d(3, c.hidden_size, c.patch_size, c.patch_size)
        self.blocks = nn.ModuleList([Block(c) for _ in range(c.num_hidden_layers)])

    def forward(self, pixels):
        x = self.patch(pixels).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return x
"""


def test_settings_of_an_own_tower_come_from_its_layers(tmp_path: Path) -> None:
    code = model(FORWARD.replace(".last_hidden_state", ""), tower="Tower") + TOWER
    found = read(write(tmp_path, code, config={"vision_config": {**VISION, "mlp_ratio": 2.5}}))
    values = {name: found.resolve("vision", name).value for name in SETTINGS}
    assert {name: value["value"] for name, value in values.items() if isinstance(value, dict)} == SETTINGS


VISION = {"hidden_size": 16, "image_size": 32, "patch_size": 4, "num_hidden_layers": 3, "num_attention_heads": 2}
SETTINGS = {
    "layer_norm_eps": 1e-3,
    "hidden_act": "gelu",
    "intermediate_size": 40,
    "norm_type": "layer_norm",
    "qk_normalization": False,
    "qkv_bias": False,
}


def test_a_connector_that_is_lost_on_the_way_is_said_to_be(tmp_path: Path) -> None:
    build = "self.first = nn.Linear(64, 24)\nself.second = nn.Linear(24, 24)\n"
    code = joined(LAST, ONE_SHUFFLE, "return self.second(F.normalize(self.first(x), dim=-1))")
    facts = read(write(tmp_path, model(code, build))).facts
    assert agrees({"lost": "second"}, facts.value("connector"))
    assert facts["feature_path"].confidence is Confidence.GUESS

"""Paths that pool, convolve, ask by queries, join several states, or end where nothing sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from porter.facts import Confidence, RepoReading
from tests.facts.compare import read
from tests.facts.models import SEQUENTIAL, model, write

LAST = "x = self.tower(pixel_values).last_hidden_state\n"
GRID = "x = x.transpose(1, 2).reshape(1, 16, 8, 8)\n"
ROWS = "x = x.flatten(2).transpose(1, 2)\n"
ONE = "self.proj = nn.Linear(16, 24)"


def reading_of(tmp_path: Path, body: str, build: str = SEQUENTIAL, before: str = "") -> RepoReading:
    return read(write(tmp_path / "repo", model(body, build, before=before)))


def ops(reading: RepoReading) -> list[dict[str, Any]]:
    value = reading.facts.value("feature_path")
    assert isinstance(value, list)
    return value  # type: ignore[return-value]


@pytest.mark.parametrize(
    "pool",
    [
        "x = F.avg_pool2d(x, 2)\n",
        "x = F.adaptive_avg_pool2d(x, (4, 4))\n",
        "x = F.interpolate(x, size=(4, 4), mode='bilinear')\n",
        "x = F.interpolate(x, scale_factor=0.5)\n",
        "x = nn.AvgPool2d(kernel_size=2, stride=2)(x)\n",
        "x = F.max_pool2d(x, 3, stride=2, padding=1)\n",
    ],
)
def test_pooling_is_a_step_and_counts_tokens(pool: str, tmp_path: Path) -> None:
    reading = reading_of(tmp_path, LAST + GRID + pool + ROWS + "return self.proj(x)", ONE)
    assert [op["op"] for op in ops(reading)] == ["tower", "pool", "connector"]
    assert reading.facts.value("tokens_per_tile") == 16
    assert reading.facts.value("downsample_ratio") == 0.5
    assert reading.facts["pixel_shuffle"].value is None


@pytest.mark.parametrize(
    "cut",
    ["x = F.unfold(x, 2, stride=2).transpose(1, 2)\n", "x = nn.PixelUnshuffle(2)(x)\n" + ROWS],
)
def test_unfolding_by_channels_is_no_pixel_shuffle(cut: str, tmp_path: Path) -> None:
    reading = reading_of(tmp_path, LAST + GRID + cut + "return self.proj(x)")
    assert reading.facts.value("tokens_per_tile") == 16
    assert reading.facts["pixel_shuffle"].value is None


def test_stacked_slices_are_pixel_shuffle_v2(tmp_path: Path) -> None:
    body = LAST + (
        "g = x.reshape(1, 8, 8, 16)\n"
        "x = torch.stack([g[:, i::2, j::2] for i in range(2) for j in range(2)], dim=3)\n"
        "return self.proj(x.reshape(1, 16, 64))"
    )
    assert reading_of(tmp_path, body).facts.value("pixel_shuffle") == "v2"


def test_a_convolution_in_the_connector_is_a_layer(tmp_path: Path) -> None:
    build = "self.squeeze = nn.Conv2d(16, 16, 2, 2)\nself.proj = nn.Linear(16, 24)"
    reading = reading_of(tmp_path, LAST + GRID + "x = self.squeeze(x)\n" + ROWS + "return self.proj(x)", build)
    layers = reading.facts.value("connector")["layers"]  # type: ignore[index,call-overload]
    assert [layer["op"] for layer in layers] == ["Conv2d", "Linear"]
    assert reading.facts.value("tokens_per_tile") == 16


def test_learnt_queries_say_how_many_tokens(tmp_path: Path) -> None:
    before = """
    class Ask(nn.Module):
        def __init__(self):
            super().__init__()
            self.query = nn.Parameter(torch.zeros(9, 24))
            self.kv = nn.Linear(16, 24)
            self.attn = nn.MultiheadAttention(24, 4, batch_first=True)
        def forward(self, x):
            kv = self.kv(x)
            q = self.query[None].repeat(x.shape[0], 1, 1)
            return q + self.attn(q, kv, kv)[0]
    """
    reading = reading_of(tmp_path, LAST + "return self.proj(x)", "self.proj = Ask()", before)
    assert reading.facts.value("tokens_per_tile") == 9
    assert reading.facts.value("downsample_ratio") is None


def test_several_states_side_by_side(tmp_path: Path) -> None:
    body = "s = self.tower(pixel_values, output_hidden_states=True).hidden_states\n" + (
        "return self.proj(torch.cat([s[i] for i in (-3, -1)], dim=-1))"
    )
    reading = reading_of(tmp_path, body, "self.proj = nn.Linear(32, 24)")
    assert reading.facts.value("feature_layer") == [-3, -1]


def test_two_towers_side_by_side(tmp_path: Path) -> None:
    build = "self.second = CLIPVisionModel(config.vision_config)\nself.proj = nn.Linear(32, 24)"
    body = LAST + (
        "y = self.second(pixel_values).last_hidden_state[:, 1:]\nreturn self.proj(torch.cat((x, y), dim=-1))"
    )
    towers = reading_of(tmp_path, body, build).facts.value("vision_tower")
    assert isinstance(towers, list)
    assert [tower["class"] for tower in towers] == ["SiglipVisionModel", "CLIPVisionModel"]  # type: ignore[index,call-overload]


def test_both_ways_of_a_residual_are_seen(tmp_path: Path) -> None:
    build = "self.enter = nn.Linear(16, 24)\nself.more = nn.Linear(24, 24)"
    body = LAST + "x = self.enter(x)\nreturn x + self.more(x)"
    layers = reading_of(tmp_path, body, build).facts.value("connector")["layers"]  # type: ignore[index,call-overload]
    assert [layer["op"] for layer in layers] == ["Linear", "Linear", "arithmetic"]


def test_a_path_that_ends_at_another_width_is_not_certain(tmp_path: Path) -> None:
    facts = reading_of(tmp_path, LAST + "return x", ONE).facts
    assert facts["feature_path"].confidence is Confidence.GUESS
    assert facts["tokens_per_tile"].confidence is not Confidence.CERTAIN
    assert facts["downsample_ratio"].confidence is not Confidence.CERTAIN


def test_one_layer_is_the_connector_itself(tmp_path: Path) -> None:
    value = reading_of(tmp_path, LAST + "return self.proj(x)", ONE).facts.value("connector")
    assert isinstance(value, dict)
    assert (value["prefix"], value["layers"][0]["name"]) == ("proj", "")  # type: ignore[index,call-overload]

# ruff: noqa: E501 (programs stand on one line each)
"""The path from pixels to the connector, whatever way it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from porter.facts import Confidence, RepoReading
from tests.facts.compare import agrees, read
from tests.facts.models import SEQUENTIAL, model, write

LAST = "x = self.tower(pixel_values).last_hidden_state\n"
SHUFFLES: dict[str, tuple[str, str]] = {
    "views, v2": ("v2", """
        n, l, c = x.shape
        h = w = int(l ** 0.5)
        x = x.view(n, w, h // 2, c * 2).permute(0, 2, 1, 3).contiguous()
        x = x.view(n, h // 2, w // 2, c * 4).permute(0, 2, 1, 3).contiguous()
        x = x.reshape(n, -1, x.shape[-1])
    """),
    "views, v1": ("v1", """
        n, l, c = x.size()
        h = w = int(l ** 0.5)
        x = x.view(n, w, int(h * 0.5), int(c / 0.5))
        x = x.permute(0, 2, 1, 3).contiguous()
        x = x.view(n, int(h * 0.5), int(w * 0.5), int(c / 0.25))
        x = x.flatten(1, 2)
    """),
    "transposes": ("v2", """
        x = x.unflatten(1, (8, 4, 2)).transpose(1, 2)
        x = x.reshape(1, 4, 4, 2, 32).transpose(1, 2).reshape(1, 16, 64)
    """),
    "six axes": ("v2", """
        b, l, c = x.shape
        x = x.view(b, 4, 2, 4, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(b, 16, 4 * c)
    """),
    "six axes, columns first": ("v1", """
        b, l, c = x.shape
        x = x.view(b, 4, 2, 4, 2, c).permute(0, 3, 1, 2, 4, 5).reshape(b, 16, 4 * c)
    """),
    "six axes, channels first": ("other", """
        b, l, c = x.shape
        x = x.view(b, 4, 2, 4, 2, c).permute(0, 1, 3, 5, 2, 4).reshape(b, 16, 4 * c)
    """),
    "einops": ("v2", "x = rearrange(x, 'b (h i w j) c -> b (h w) (i j c)', h=4, i=2, w=4, j=2)"),
    "einops, columns first": ("v1", "x = rearrange(x, 'b (h i w j) c -> b (w h) (i j c)', h=4, i=2, w=4, j=2)"),
    "strided slices": ("v2", """
        x = x.reshape(1, 8, 8, 16)
        x = torch.cat([x[:, 0::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 0::2], x[:, 1::2, 1::2]], dim=-1)
        x = x.reshape(1, 16, 64)
    """),
    "strided slices in the order of Swin": ("other", """
        x = x.reshape(1, 8, 8, 16)
        x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        x = x.reshape(1, 16, 64)
    """),
    "pixel_unshuffle": ("other", """
        x = x.transpose(1, 2).reshape(1, 16, 8, 8)
        x = F.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2)
    """),
}  # fmt: skip
TAPS: dict[str, tuple[str, str, int, str]] = {
    "attribute": ("SiglipVisionModel", "x = self.tower(pixel_values).last_hidden_state", -1, "last_hidden_state"),
    "first of a tuple": ("SiglipVisionModel", "x = self.tower(pixel_values, return_dict=False)[0]", -1, "last_hidden_state"),
    "from the end": ("SiglipVisionModel", "x = self.tower(pixel_values, output_hidden_states=True).hidden_states[-2]", -2, "hidden_states"),
    "the last by index": ("SiglipVisionModel", "x = self.tower(pixel_values, output_hidden_states=True).hidden_states[-1]", -1, "hidden_states"),
    "from the front": ("SiglipVisionModel", "x = self.tower(pixel_values, output_hidden_states=True).hidden_states[4]", -2, "hidden_states"),
    "the last from the front": ("SiglipVisionModel", "x = self.tower(pixel_values, output_hidden_states=True).hidden_states[5]", -1, "hidden_states"),
    "by the config": ("SiglipVisionModel", "x = self.tower(pixel_values, output_hidden_states=True).hidden_states[self.config.layer]", -3, "hidden_states"),
    "in two lines": ("SiglipVisionModel", "out = self.tower(pixel_values, output_hidden_states=True)\nstates = out.hidden_states\nx = states[-2]", -2, "hidden_states"),
    "by a branch": ("SiglipVisionModel", "out = self.tower(pixel_values, output_hidden_states=True)\nx = out.last_hidden_state if self.config.layer == -1 else out.hidden_states[self.config.layer]", -3, "hidden_states"),
}  # fmt: skip
ONE_SHUFFLE = SHUFFLES["six axes"][1]


def following(
    tmp_path: Path, body: str, build: str = SEQUENTIAL, config: dict[str, Any] | None = None, **options: str
) -> RepoReading:
    return read(write(tmp_path / "repo", model(body, build, **options), config))  # type: ignore[arg-type]


def joined(*parts: str) -> str:
    from tests.facts.models import indented

    return "\n".join(indented(part, 0) for part in parts)


def ops(reading: RepoReading) -> list[dict[str, Any]]:
    value = reading.facts.value("feature_path")
    assert isinstance(value, list), reading.facts["feature_path"]
    return value  # type: ignore[return-value]


@pytest.mark.parametrize("name", SHUFFLES)
def test_spellings_of_the_merge(name: str, tmp_path: Path) -> None:
    version, code = SHUFFLES[name]
    reading = following(tmp_path, joined(LAST, code, "return self.proj(x)"))
    expected = [
        {"op": "tower", "attr": "tower", "layer": -1, "output": "last_hidden_state"},
        {"op": "pixel_shuffle", "version": version, "ratio": 0.5},
        {"op": "connector", "attr": "proj"},
    ]
    assert agrees(expected, ops(reading)), ops(reading)
    assert reading.facts.value("pixel_shuffle") == (version if version != "other" else None)
    assert reading.facts.value("downsample_ratio") == 0.5
    assert reading.facts.value("tokens_per_tile") == 16


@pytest.mark.parametrize("name", TAPS)
def test_spellings_of_the_layer(name: str, tmp_path: Path) -> None:
    tower, code, layer, output = TAPS[name]
    reading = following(tmp_path, joined(code, ONE_SHUFFLE, "return self.proj(x)"), config={"layer": -3}, tower=tower)
    assert agrees({"op": "tower", "attr": "tower", "layer": layer, "output": output}, ops(reading)[0]), ops(reading)
    assert reading.facts.value("feature_layer") == layer


@pytest.mark.parametrize(
    ("cut", "count"),
    [
        ("x = x[:, 1:]", 1),
        ("x = x[:, 1:, :]", 1),
        ("x = x[:, 1:, ...]", 1),
        ("", 0),
        ("x = x[:, -64:]", 1),
        ("x = x[:, -64:, :]", 1),
    ],
)
def test_class_token(cut: str, count: int, tmp_path: Path) -> None:
    config = {
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": 16,
            "image_size": 32,
            "patch_size": 4,
            "num_hidden_layers": 5,
            "num_attention_heads": 2,
        }
    }
    tail = joined(cut, ONE_SHUFFLE) if count else ""
    build = SEQUENTIAL if count else "self.proj = nn.Linear(16, 24)"
    reading = following(tmp_path, joined(LAST, tail, "return self.proj(x)"), build, config, tower="CLIPVisionModel")
    dropped = [op for op in ops(reading) if op["op"] == "drop_tokens"]
    assert [op["count"] for op in dropped] == ([1] if count else [])
    assert reading.facts.value("tokens_per_tile") == (16 if count else 65)


CONNECTORS: dict[str, tuple[str, str, str]] = {
    "sequential": ("", SEQUENTIAL, "return self.proj(x)"),
    "ordered dict": (
        "from collections import OrderedDict",
        "self.proj = nn.Sequential(OrderedDict([('norm', nn.LayerNorm(64)), ('up', nn.Linear(64, 24)), ('act', nn.GELU()), ('down', nn.Linear(24, 24))]))",
        "return self.proj(x)",
    ),
    "own module": (
        """
        class Projector(nn.Module):
            def __init__(self, wide, width):
                super().__init__()
                self.norm = nn.LayerNorm(wide)
                self.up = nn.Linear(wide, width)
                self.act = nn.GELU()
                self.down = nn.Linear(width, width)

            def forward(self, x):
                return self.down(self.act(self.up(self.norm(x))))
        """,
        "self.proj = Projector(config.vision_config.hidden_size * 4, config.text_config.hidden_size)",
        "return self.proj(x)",
    ),
    "functional": (
        """
        class Projector(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm = nn.LayerNorm(64)
                self.up = nn.Linear(64, 24)
                self.down = nn.Linear(24, 24)

            def forward(self, x):
                x = F.gelu(self.up(self.norm(x)))
                return self.down(x)
        """,
        "self.proj = Projector()",
        "return self.proj(x)",
    ),
    "list in a loop": (
        "",
        "self.proj = nn.ModuleList([nn.LayerNorm(64), nn.Linear(64, 24), nn.GELU(), nn.Linear(24, 24)])",
        "for layer in self.proj:\n    x = layer(x)\nreturn x",
    ),
    "built by a helper": (
        """
        def mlp(wide, width, depth=2):
            layers = [nn.LayerNorm(wide), nn.Linear(wide, width)]
            for _ in range(1, depth):
                layers.append(nn.GELU())
                layers.append(nn.Linear(width, width))
            return nn.Sequential(*layers)
        """,
        "self.proj = mlp(64, 24)",
        "return self.proj(x)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONNECTORS)
def test_spellings_of_the_connector(name: str, tmp_path: Path) -> None:
    before, build, end = CONNECTORS[name]
    reading = following(tmp_path, joined(LAST, ONE_SHUFFLE, end), build, before=before)
    connector = reading.facts.value("connector")
    layers = [
        {"op": "LayerNorm", "in": 64, "out": 64, "eps": 1e-5}, {"op": "Linear", "in": 64, "out": 24, "bias": True},
        {"op": "GELU"}, {"op": "Linear", "in": 24, "out": 24, "bias": True},
    ]  # fmt: skip
    assert agrees({"attr": "proj", "layers": layers}, connector), connector


def test_connector_before_the_merge_stays_before_it(tmp_path: Path) -> None:
    build = "self.proj = nn.Linear(16, 6)"
    reading = following(tmp_path, joined(LAST, "x = self.proj(x)", ONE_SHUFFLE, "return x"), build)
    assert [op["op"] for op in ops(reading)] == ["tower", "connector", "pixel_shuffle"]


def test_no_merge_is_absent_and_not_unknown(tmp_path: Path) -> None:
    reading = following(tmp_path, joined(LAST, "return self.proj(x)"), "self.proj = nn.Linear(16, 24)")
    assert [op["op"] for op in ops(reading)] == ["tower", "connector"]
    assert reading.facts["pixel_shuffle"].confidence is Confidence.ABSENT
    assert reading.facts.value("downsample_ratio") == 1.0
    assert reading.facts.value("tokens_per_tile") == 64


@pytest.mark.parametrize(
    "code",
    [
        "pixel_values = (pixel_values - self.mean) / self.std",
        "pixel_values = pixel_values.sub(self.mean).div(self.std)",
        "pixel_values = pixel_values.float()\npixel_values -= self.mean\npixel_values /= self.std",
        "pixel_values = self.normalised(pixel_values)",
    ],
)
def test_buffers_that_normalise_pixels(code: str, tmp_path: Path) -> None:
    build = SEQUENTIAL + (
        "self.register_buffer('mean', torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1))\n"
        "self.register_buffer('std', torch.tensor([0.2, 0.2, 0.1]).view(1, 3, 1, 1))\n"
    )
    helper = "def normalised(self, x):\n    return (x - self.mean) / self.std\n"
    text = model(joined(code, LAST, ONE_SHUFFLE, "return self.proj(x)"), build)
    from tests.facts.models import indented

    reading = read(write(tmp_path / "repo", f"{text}\n{indented(helper, 1)}\n"))
    assert agrees({"op": "normalize", "mean": "mean", "std": "std"}, ops(reading)[0]), ops(reading)
    buffers = reading.facts.value("buffers")
    assert agrees(
        [{"name": "mean", "shape": [1, 3, 1, 1], "persistent": True, "values": [0.5, 0.4, 0.3]}, {"name": "std"}],
        buffers,
    )


def test_other_pixel_arithmetic_is_no_normalisation(tmp_path: Path) -> None:
    reading = following(
        tmp_path, joined("pixel_values = pixel_values * 2 - 1", LAST, ONE_SHUFFLE, "return self.proj(x)")
    )
    assert ops(reading)[0]["op"] == "pixel_arithmetic"


def test_an_operator_that_cannot_be_followed_is_not_skipped(tmp_path: Path) -> None:
    """Silently leaving a step out would give a port with other numbers."""
    reading = following(tmp_path, joined(LAST, ONE_SHUFFLE, "x = torch.roll(x, 3, dims=1)", "return self.proj(x)"))
    found = reading.facts["feature_path"]
    assert found.confidence is not Confidence.CERTAIN or not agrees(
        [{"op": "tower"}, {"op": "pixel_shuffle"}, {"op": "connector"}], found.value
    )


def test_arithmetic_on_features_is_a_step(tmp_path: Path) -> None:
    reading = following(tmp_path, joined(LAST, "x = x * 0.5", ONE_SHUFFLE, "return self.proj(x)"))
    assert "arithmetic" in str(ops(reading))

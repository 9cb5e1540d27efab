"""A repo that no family fits whole, in parts: which the tree has, which are the repo's own, which must be rewritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from porter.commands.new_model import NewModelRequest, new_model
from porter.commands.session import Settings
from porter.errors import Refused, UsageError
from porter.families.base import Verdict
from porter.families.verdict import Wish, decide
from tests.facts.odd_repos import QWEN
from tests.families.repos import EXAMPLE, needs_vllm, read, tree

pytestmark = needs_vllm
CODE = """
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, Qwen2Config, {causal}


class WallabyConfig(PretrainedConfig):
    model_type = "wallaby"

    def __init__(self, text_config=None, width=16, **kwargs):
        self.text_config = Qwen2Config(**(text_config or {{}}))
        self.width = width
        super().__init__(**kwargs)


class Mixer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.rows = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)

    def forward(self, x):
        return self.rows(x) * self.gate(x)


class WallabyEye(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.stem = nn.Conv2d(3, config.width, kernel_size=14, stride=14)
        self.mixers = nn.ModuleList([Mixer(config.width) for _ in range(2)])

    def forward(self, pixel_values):
        x = self.stem(pixel_values).flatten(2).transpose(1, 2)
        for mixer in self.mixers:
            x = mixer(x)
        return x


class Wallaby(PreTrainedModel):
    config_class = WallabyConfig

    def __init__(self, config):
        super().__init__(config)
        self.eye = WallabyEye(config)
        self.language_model = {causal}(config.text_config)
        self.bridge = nn.Sequential(nn.Linear(config.width, 24), {middle}, nn.Linear(24, 24))

    def get_image_features(self, pixel_values):
        return self.bridge(self.eye(pixel_values))

    def forward(self, input_ids, pixel_values=None, **kwargs):
        embeds = self.language_model.get_input_embeddings()(input_ids)
        features = self.get_image_features(pixel_values)
        {scatter}
        return self.language_model(inputs_embeds=embeds, **kwargs)
"""
PARTS = {
    "causal": "Qwen2ForCausalLM",
    "middle": "nn.GELU()",
    "scatter": "embeds[input_ids == self.config.image_token_id] = features.flatten(0, 1)",
}


def wallaby(folder: Path, **changes: str) -> Path:
    folder.mkdir(exist_ok=True)
    config = {
        "architectures": ["Wallaby"],
        "model_type": "wallaby",
        "width": 16,
        "image_size": 28,
        "patch_size": 14,
        "image_token_id": 7,
        "text_config": QWEN,
        "auto_map": {"AutoConfig": "modeling_wallaby.WallabyConfig", "AutoModel": "modeling_wallaby.Wallaby"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_wallaby.py").write_text(CODE.format(**{**PARTS, **changes}))
    return folder


def verdict(folder: Path, **changes: str) -> Verdict:
    return decide(read(wallaby(folder, **changes)), tree())


def test_a_repo_of_known_parts_is_composed(tmp_path: Path) -> None:
    found = verdict(tmp_path / "w")
    assert found.level == "compose", found.reasons
    lines = {line.partition(":")[0]: line for line in found.reasons}
    assert "own, WallabyEye" in lines["vision tower"]
    assert "lifted, Linear -> GELU -> Linear" in lines["connector"]
    assert "native, Qwen2ForCausalLM" in lines["language model"]
    assert "modeling_wallaby.py" in lines["scatter"]
    assert any("does not fit" in reason for reason in found.reasons), "why no family fits is said"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"scatter": "pass"}, "scatter"),
        ({"middle": "nn.Bilinear(24, 24, 24)"}, "connector"),
        ({"causal": "GPTNeoXJapaneseForCausalLM"}, "language model"),
    ],
)
def test_a_part_that_is_not_known_is_a_refusal_that_names_it(
    changes: dict[str, str], named: str, tmp_path: Path
) -> None:
    found = verdict(tmp_path / "w", **changes)
    assert found.level == "refuse"
    assert any(reason.startswith(named) for reason in found.reasons), found.reasons


def test_new_model_says_in_one_line_that_it_does_not_compose(tmp_path: Path) -> None:
    settings = Settings(offline=True)
    done = new_model(NewModelRequest(str(wallaby(tmp_path / "w")), settings, plugin=tmp_path / "out", yes=True))
    assert isinstance(done.error, Refused)
    assert "verdict compose" in str(done.error)
    assert done.verdict is not None
    assert done.verdict.level == "compose"
    assert not (tmp_path / "out").exists()


def test_an_unknown_family_or_level_is_a_usage_error_with_the_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="internvl"):
        Wish.of(None, "kangaroo")
    with pytest.raises(UsageError, match="inherit, compose"):
        Wish.of("supported", None)
    with pytest.raises(UsageError, match="kangaroo"):
        new_model(NewModelRequest(str(EXAMPLE), Settings(offline=True), family="kangaroo"))


def test_a_level_that_was_asked_for_is_never_over_a_refusal(tmp_path: Path) -> None:
    reading = read(wallaby(tmp_path / "w", scatter="pass"))
    assert decide(reading, tree(), wish=Wish.of("compose", None)).level == "refuse"


def test_compose_over_inherit_and_inherit_over_compose(tmp_path: Path) -> None:
    example = decide(read(EXAMPLE), tree(), wish=Wish.of("compose", "internvl"))
    assert (example.level, example.overruled) == ("compose", "inherit")
    other = decide(read(wallaby(tmp_path / "w")), tree(), wish=Wish.of("inherit", None))
    assert (other.level, other.overruled) == ("refuse", "compose")
    assert "inherit was asked for and does not fit" in other.reasons[0]


def test_what_the_verdict_already_is_overrules_nothing() -> None:
    found = decide(read(EXAMPLE), tree(), wish=Wish.of("inherit", "internvl"))
    assert (found.level, found.overruled) == ("inherit", None)

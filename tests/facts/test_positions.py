"""Positions that are stored for one image size and fitted to another: only as InternViT's own code does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.facts import RepoReading, infer
from porter.facts.positions import fits_positions
from porter.families import FAMILIES
from porter.families.verdict import decide
from porter.hub import snapshot_of
from tests.families.repos import needs_vllm, tree
from tests.variants import variant

NAME = "as-internvl-forced"
RESIZED = "size=(rows, cols), mode='bicubic', align_corners=False"
WHOLE = "return embeddings + torch.cat([table[:, :1, :], fitted], dim=1)"


def reading(folder: Path, old: str = "", new: str = "") -> RepoReading:
    repo = variant(NAME).build(folder / "repo")
    path = next(repo.glob("vision_*.py"))
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1 or not old, old
    path.write_text(text.replace(old, new) if old else text, encoding="utf-8")
    return infer(snapshot_of(str(repo), revision=None, offline=True))


def test_a_table_that_is_fitted_is_seen(tmp_path: Path) -> None:
    found = reading(tmp_path)
    assert fits_positions(found.configs, 56) == ""
    assert (found.facts.value("image_size"), found.facts.value("tokens_per_tile")) == (56, 4)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fitted = picture.flatten(2).transpose(1, 2)", "fitted = picture.permute(0, 2, 3, 1).flatten(1, 2)"),
        (WHOLE, "return torch.cat([table[:, :1], fitted], 1) + embeddings"),
        (".float().view(1, side, side, -1)", ".unflatten(1, (side, side))"),
    ],
)
def test_another_spelling_is_the_same(old: str, new: str, tmp_path: Path) -> None:
    assert fits_positions(reading(tmp_path, old, new).configs, 56) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (RESIZED, RESIZED.replace("bicubic", "bilinear")),
        (RESIZED, RESIZED.replace("False", "True")),
        (RESIZED, RESIZED + ", antialias=True"),
        (RESIZED, "scale_factor=2 / 3, mode='bicubic', align_corners=False"),
        (".permute(0, 3, 1, 2)\n        picture", ".permute(0, 3, 2, 1)\n        picture"),
        ("table[:, 1:, :]", "table[:, :-1, :]"),
        (WHOLE, WHOLE.replace("[table[:, :1, :], fitted]", "[fitted, table[:, :1, :]]")),
        (WHOLE, WHOLE.replace("embeddings +", "embeddings *")),
        (WHOLE, "return embeddings + torch.cat([table[:, :1, :], 2 * fitted], dim=1)"),
    ],
)
def test_one_other_operator_is_seen(old: str, new: str, tmp_path: Path) -> None:
    assert fits_positions(reading(tmp_path, old, new).configs, 56)


@needs_vllm
def test_the_port_builds_its_tower_for_the_stored_size(tmp_path: Path) -> None:
    found, family = reading(tmp_path), FAMILIES["internvl"]
    assert decide(found, tree()).level == "inherit"
    spec = family.spec(family.match(found, tree()), found, tree())
    text = family.model_file(spec, relative=True, own_config=True)
    assert "config.vision_config.image_size = config.vision_config.table_image_size" in text
    config = family.config_file(spec)
    assert '{"table_image_size": kwargs.get("image_size"), **kwargs}' in config
    assert 'self.vision_config.image_size = kwargs.get("force_image_size", 56)' in config


@needs_vllm
def test_any_other_way_is_a_blocker(tmp_path: Path) -> None:
    found = reading(tmp_path, RESIZED, RESIZED.replace("bicubic", "bilinear"))
    match = FAMILIES["internvl"].match(found, tree())
    assert [item.what for item in match.blockers] == ["image size"]
    assert decide(found, tree()).level == "compose"

"""Repos that differ from a shape that porter ports in one operator: never ported as if they matched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from porter.facts import RepoReading
from porter.families import FAMILIES
from porter.families.internvl import InternVL
from porter.families.verdict import decide
from tests.families.repos import needs_vllm, read, tree
from tests.variants import descendants, variant
from tests.variants.recipe import Recipe, Tokens
from tests.variants.render import write_repo

pytestmark = needs_vllm
FAMILY = FAMILIES["internvl"]
LAST = "        return self.mlp1(features)"


def changed(folder: Path, name: str, old: str, new: str) -> RepoReading:
    """The repo of a variant with one place of its modeling file written otherwise."""
    variant(name).build(folder)
    file = next(folder.glob("modeling_*.py"))
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), encoding="utf-8")
    return read(folder)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (LAST, "        return self.mlp1(features) * 0.5", {"feature path", "connector"}),
        (LAST, "        return features.mean(1, keepdim=True) + self.mlp1(features)", {"feature path", "connector"}),
        (LAST, "        return self.mlp1(torch.nn.functional.normalize(features, dim=-1))", {"connector"}),
        ("features[:, 1:, :]", "features[:, 2:, :]", {"vision tower", "connector"}),
        ("nn.GELU()", "nn.Softplus()", {"connector"}),
        ("distance = abs(aspect - ratio[0] / ratio[1])", "distance = (aspect - ratio[0] / ratio[1]) ** 2", {"tiles"}),
        ("> 0.5 * image_size", "> 0.7 * image_size", {"tiles"}),
        ("> 0.5 * image_size", ">= 0.5 * image_size", {"tiles"}),
        ("if distance < gap:", "if distance <= gap:", {"tiles"}),
        ("pick_ratio(width / height,", "pick_ratio(height / width,", {"tiles"}),
        ("if min_num <= i * j <= max_num:", "if min_num <= i * j <= max_num and i % 2:", {"tiles"}),
    ],
)
def test_one_other_operator_is_a_blocker(old: str, new: str, what: set[str], tmp_path: Path) -> None:
    reading = changed(tmp_path / "repo", "heron-chat", old, new)
    match = FAMILY.match(reading, tree())
    assert {item.what for item in match.blockers} & what
    assert decide(reading, tree()).level in ("compose", "refuse")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("nn.GELU()", "nn.ReLU()", "nn.ReLU()"),
        ("nn.GELU()", "nn.GELU('tanh')", 'nn.GELU(approximate="tanh")'),
        ("nn.LayerNorm(merged)", "nn.LayerNorm(merged, eps=1e-3)", "nn.LayerNorm(merged_size, eps=0.001)"),
    ],
)
def test_another_operator_that_can_be_written_is(old: str, new: str, line: str, tmp_path: Path) -> None:
    reading = changed(tmp_path / "repo", "heron-chat", old, new)
    spec = FAMILY.spec(FAMILY.match(reading, tree()), reading, tree())
    assert line in spec.connector  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("F.gelu(self.fc1(x))", "F.softplus(self.fc1(x))", "vision tower"),
        ("x = x + self.attn(self.norm1(x))", "x = self.norm1(x + self.attn(x))", "vision tower"),
        ("return (x - self.norm_mean) / self.norm_std", "return (x + self.norm_mean) / self.norm_std", "feature path"),
        ("features=tokens[:, self.skip :]", "features=tokens[:, self.skip :] * 2", "feature path"),
    ],
)
def test_one_other_operator_in_a_radio_is_a_blocker(old: str, new: str, what: str, tmp_path: Path) -> None:
    repo = variant("as-nemotron-nano-vl").build(tmp_path / "repo")
    file = next(repo.glob("vision_*.py"))
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), encoding="utf-8")
    reading = read(repo)
    assert what in {item.what for item in FAMILY.match(reading, tree()).blockers}
    assert decide(reading, tree()).level in ("compose", "refuse")


def model_file(recipe: Recipe, folder: Path) -> str:
    reading = read(write_repo(recipe, folder))
    family = InternVL()
    return family.model_file(
        family.spec(family.match(reading, tree()), reading, tree()), relative=True, own_config=True
    )


def test_tags_of_tiles_are_written_as_the_code_numbers_them(tmp_path: Path) -> None:
    recipe = variant("as-nvlm-d").recipe
    text = model_file(recipe, tmp_path / "a")
    assert 'tags = [f"<tile_{i}>" for i in range(1, num_patches)]' in text
    assert 'tags.append("<tile_global_thumbnail>")' in text
    plain = model_file(replace(recipe, tokens=replace(recipe.tokens, tags=None)), tmp_path / "b")
    assert "get_image_repl" not in plain


def test_separators_of_another_kind_are_a_blocker(tmp_path: Path) -> None:
    recipe = variant("heron-chat").recipe
    repo = write_repo(replace(recipe, tokens=Tokens(after=("<im_row_sep>",))), tmp_path / "repo")
    file = next(repo.glob("modeling_*.py"))
    file.write_text(file.read_text().replace("query += image_tokens", "query += '<im_row_sep>' + image_tokens"))
    assert "image separators" in {item.what for item in FAMILY.match(read(repo), tree()).blockers}


BLOCKED = {"as-h2ovl": {"tiles"}}


@pytest.mark.parametrize("name", [one.name for one in descendants()])
def test_descendants_are_judged_by_their_own_parts(name: str, tmp_path: Path) -> None:
    match = FAMILY.match(read(variant(name).build(tmp_path / name)), tree())
    assert {item.what for item in match.blockers} == BLOCKED.get(name, set())

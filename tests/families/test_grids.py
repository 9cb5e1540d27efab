"""Tiles cut from tensors, by a grid of another rule, in prompts whose images are numbered: ported where the tree has
that rule, and not where one operator differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from porter.facts.cutting import cutting
from porter.families.internvl import InternVL
from porter.families.internvl.grids import grids
from porter.families.verdict import decide
from tests.families.repos import needs_vllm, read, tree
from tests.variants import variant
from tests.variants.recipe import Recipe
from tests.variants.render import write_repo

pytestmark = needs_vllm
FAMILY = InternVL()
RECIPE = variant("as-eagle2-5-vl-tensors").recipe
IMAGES, PROCESSOR = "image_processing_eagle2_5_vl.py", "processing_eagle2_5_vl.py"


def written(folder: Path, recipe: Recipe = RECIPE, file: str = IMAGES, old: str = "", new: str = "") -> Path:
    write_repo(recipe, folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text, old
    (folder / file).write_text(text.replace(old, new) if old else text, encoding="utf-8")
    return folder


def blockers(folder: Path) -> dict[str, str]:
    return {item.what: item.why for item in FAMILY.match(read(folder), tree()).blockers}


def model_file(folder: Path) -> str:
    reading = read(folder)
    spec = FAMILY.spec(FAMILY.match(reading, tree()), reading, tree())
    return FAMILY.model_file(spec, relative=True, own_config=True)


def test_the_port_calls_the_trees_own_function_of_that_rule(tmp_path: Path) -> None:
    text = model_file(written(tmp_path / "repo"))
    base, other = grids(tree(), FAMILY.anchors(tree()))
    assert base.rule != other.rule and base.function not in text
    assert text.count(f"{other.function}(") == 2 and f"from {other.module} import {other.function}" in text
    assert "from torchvision.transforms.v2.functional import resize" in text
    assert "partial(resize, interpolation=InterpolationMode.BICUBIC)" in text
    assert "normalize(torch.stack(cut(pil_to_tensor(image))).float() / 255)" in text


def test_numbered_images_are_written_as_the_code_writes_them(tmp_path: Path) -> None:
    text = model_file(written(tmp_path / "repo"))
    assert 'return f"<image-{i}>"' in text
    assert 'f"<image-{i + 1}>" for i in range(mm_counts.get("image", 0))' in text
    assert r'r"<image \g<1>><img><IMG_CONTEXT></img>"' in text
    other = replace(RECIPE, tokens=replace(RECIPE.tokens, placeholder="<{}|pic>", label="Picture {}: "))
    text = model_file(written(tmp_path / "other", other))
    assert 'f"<{i}|pic>"' in text and r'r"<(\d+)\|pic>"' in text
    assert r'r"Picture \g<1>: <img><IMG_CONTEXT></img>"' in text


def test_what_tests_expect_names_the_first_image(tmp_path: Path) -> None:
    reading = read(written(tmp_path / "repo"))
    found = FAMILY.prompt(FAMILY.spec(FAMILY.match(reading, tree()), reading, tree()), 28)
    assert (found.placeholder, found.start, found.end) == ("<image-1>", "<image 1><img>", "</img>")


def test_the_older_functions_of_torchvision_are_kept(tmp_path: Path) -> None:
    folder = written(tmp_path / "repo", old="torchvision.transforms.v2 import", new="torchvision.transforms import")
    assert "from torchvision.transforms.functional import pil_to_tensor, resize" in model_file(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fit > most", "fit >= most"),
        ("0.6)", "0.5)"),
        ("min(grid[0] * grid[1]", "max(grid[0] * grid[1]"),
        ("covered * min(", "covered + min("),
        ("min(shape / aspect_ratio, aspect_ratio / shape)", "min(shape / aspect_ratio, aspect_ratio)"),
        ("grid[0] / grid[1]", "grid[1] / grid[0]"),
        ('float("-inf")', "0.1"),
    ],
)
def test_one_other_operator_is_no_rule_of_the_tree(old: str, new: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "repo", old=old, new=new)
    assert set(blockers(folder)) == {"tiles"}
    assert decide(read(folder), tree()).level == "compose"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("best_grid(width / height", "best_grid(height / width", "width over height"),
        ("tv.resize(image, (down", "tv.resize(tv.pad(image, [4, 4]), (down", "padded"),
        ("interpolation=mode)\n        tiles", "interpolation=mode, antialias=False)\n        tiles", "antialias"),
        ("for grid in grids:", "for grid in reversed(grids):", "rule of its own"),
    ],
)
def test_what_is_not_followed_is_a_blocker(old: str, new: str, why: str, tmp_path: Path) -> None:
    assert why in blockers(written(tmp_path / "repo", old=old, new=new))["tiles"]


def test_padding_that_a_setting_turns_off_is_none(tmp_path: Path) -> None:
    old = "        tiles = [\n"
    new = "        if self.pad_tiles:\n            whole = tv.pad(whole, [2, 2])\n        tiles = [\n"
    for setting, expected in (("False", set()), ("True", {"tiles"})):
        folder = written(tmp_path / setting, old=old, new=new)
        text = (folder / IMAGES).read_text(encoding="utf-8")
        (folder / IMAGES).write_text(text.replace("    resample =", f"    pad_tiles = {setting}\n    resample ="))
        assert set(blockers(folder)) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{index + 1}", "{index + 2}"),
        ("{index + 1}", "{total}"),
        ("int(found.group(1)) - 1", "int(found.group(1)) // 2"),
        ("{self.image_end_token}", "{self.image_end_token}."),
        ("{self.image_start_token}", "{self.image_end_token}"),
    ],
)
def test_a_number_that_was_not_followed_leaves_the_placeholder_open(old: str, new: str, tmp_path: Path) -> None:
    facts = read(written(tmp_path / "repo", file=PROCESSOR, old=old, new=new)).facts
    assert facts.value("image_placeholder") is None
    assert facts["image_placeholder"].note.startswith("the template numbers its images")


def test_numbers_without_a_text_of_their_own(tmp_path: Path) -> None:
    folder = written(tmp_path / "repo", file=PROCESSOR, old="<image {index + 1}>", new="")
    assert r'r"<img><IMG_CONTEXT></img>"' in model_file(folder)


def test_a_tree_without_the_step_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anchors = FAMILY.anchors(tree())
    assert anchors.prompt_hook
    monkeypatch.setattr(InternVL, "anchors", lambda *_: replace(anchors, prompt_hook=False))
    assert "no step that rewrites a prompt" in blockers(written(tmp_path / "repo"))["image placeholder"]


def test_a_tree_without_that_rule_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own: Callable[..., object] = lambda *_: grids(tree(), FAMILY.anchors(tree()))[:1]  # noqa: E731
    monkeypatch.setattr("porter.families.internvl.grids.grids", own)
    assert "no processor of this vLLM has" in blockers(written(tmp_path / "repo"))["tiles"]


def test_a_class_that_is_no_processor_cuts_its_tiles_itself(tmp_path: Path) -> None:
    folder = variant("heron-chat").build(tmp_path / "repo")
    file = next(folder.glob("modeling_*.py"))
    text = file.read_text(encoding="utf-8")
    start, end = text.index("def pick_ratio("), text.index("def load_image(")
    lines = (
        text[start:end]
        .replace("(aspect, ratios", "(self, aspect, ratios")
        .replace("(image, min_num", "(self, image, min_num")
    )
    inside = "".join(
        f"    {line}\n" if line else "\n"
        for line in lines.replace("pick_ratio(width", "self.pick_ratio(width").splitlines()
    )
    text = text[:start] + "class Cutter:\n" + inside + text[end:].replace("dynamic_tiles(", "Cutter().dynamic_tiles(")
    file.write_text(text, encoding="utf-8")
    found = cutting(read(folder).configs)
    assert found is not None and not found.unclear


def test_the_cut_of_other_variants_is_not_taken_for_this(tmp_path: Path) -> None:
    found = cutting(read(variant("heron-chat").build(tmp_path / "repo")).configs)
    assert found is not None and found.tensors == "" and not found.unclear
    assert found.rule == grids(tree(), FAMILY.anchors(tree()))[0].rule

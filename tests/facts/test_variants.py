"""Every generated repo: what porter reads is what the recipe says, and nothing that is called certain is wrong."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from porter.facts import Confidence
from tests.facts.compare import differences, read
from tests.variants import Variant, descendants, variant, variants
from tests.variants.recipe import Images, Language, Recipe, Tokens
from tests.variants.render import write_repo
from tests.variants.truth import truth_of

EVERY = [*variants(), *descendants()]
by_name = pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
SLOW = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))

words = st.from_regex(r"[a-z]{2,6}(_[a-z]{2,6})?", fullmatch=True).map(lambda word: f"k_{word}")
marks = st.from_regex(r"[<\[][|/]?[A-Za-z]{3,9}(_[A-Z]{2,6})?[|]?[>\]]", fullmatch=True)


@by_name
def test_facts_are_the_truth(one: Variant, tmp_path: Path) -> None:
    reading = read(one.build(tmp_path / one.name))
    assert differences(dict(one.truth), reading) == {}
    assert reading.problems == ()


@by_name
def test_what_is_certain_shows_where_it_stands(one: Variant, tmp_path: Path) -> None:
    folder = one.build(tmp_path / one.name)
    reading = read(folder)
    for fact in reading.facts.values():
        assert fact.confidence is not Confidence.CERTAIN or fact.evidence, fact.name
        for shown in fact.evidence:
            assert all((folder / name).is_file() for name in shown.file.split(" or ")[:1]), (fact.name, shown)


@by_name
def test_lines_of_evidence_exist(one: Variant, tmp_path: Path) -> None:
    folder = one.build(tmp_path / one.name)
    for fact in read(folder).facts.values():
        for shown in fact.evidence:
            if shown.file.endswith(".py"):
                line = int(shown.where.removeprefix("line "))
                text = (folder / shown.file).read_text(encoding="utf-8").splitlines()[line - 1]
                assert text.strip(), (fact.name, shown)


def check(recipe: Recipe) -> None:
    """Builds the repo of a recipe and compares every fact."""
    with tempfile.TemporaryDirectory() as scratch:
        reading = read(write_repo(recipe, Path(scratch) / "repo"))
        assert differences(truth_of(recipe), reading) == {}


@st.composite
def tokens_of(draw: st.DrawFn, style: str) -> Tokens:
    """Four strings, all different, at random places of the vocabulary."""
    start, end, context, placeholder = draw(st.lists(marks, min_size=4, max_size=4, unique_by=str.lower))
    chatter = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    if {start, end, context, placeholder} & {*chatter, "<s>", "</s>"}:
        return Tokens()
    after = tuple(f"<extra_{index}>" for index in range(draw(st.integers(0, 4))))
    same = draw(st.booleans())
    return Tokens(
        start, end, context, context if same else placeholder, style=style, merges=draw(st.integers(0, 24)), after=after
    )  # type: ignore[arg-type]


@SLOW
@given(st.data())
@pytest.mark.parametrize("base", ["heron-chat", "jacana-internlm", "plover-image-token"])
def test_token_strings_and_ids_follow(base: str, data: st.DataObject) -> None:
    recipe = variant(base).recipe
    tokens = data.draw(tokens_of(recipe.tokens.style))
    check(replace(recipe, tokens=replace(tokens, names=recipe.tokens.names, before=recipe.tokens.before)))


@SLOW
@given(st.data())
@pytest.mark.parametrize("base", ["heron-chat", "snipe-internlm-tied", "osprey-prefixed"])
def test_config_keys_follow(base: str, data: st.DataObject) -> None:
    """The settings that change the arithmetic may be called anything: the code that reads them tells."""
    recipe = variant(base).recipe
    names = data.draw(st.lists(words, min_size=5, max_size=5, unique=True))
    text, vision, layer, ratio, version = names
    keys = {**recipe.names.keys, "select_layer": layer, "downsample_ratio": ratio, "ps_version": version}
    check(replace(recipe, names=replace(recipe.names, keys=keys, text_key=text, vision_key=vision)))


@SLOW
@given(
    modules=st.lists(words, min_size=3, max_size=3, unique=True),
    extract=st.sampled_from(["extract_feature", "encode_images", "get_image_features", "k_pixels_to_features"]),
    base=st.sampled_from(["heron-chat", "avocet-wide", "knot-single"]),
)
def test_module_names_follow(modules: list[str], extract: str, base: str) -> None:
    recipe = variant(base).recipe
    tower, connector, llm = modules
    check(replace(recipe, names=replace(recipe.names, tower=tower, connector=connector, llm=llm, extract=extract)))


@SLOW
@given(st.data())
def test_sizes_follow(data: st.DataObject) -> None:
    recipe = variant("heron-chat").recipe
    grid, patch = data.draw(st.sampled_from([(4, 7), (6, 14), (8, 16), (16, 4), (32, 14)]))
    heads = data.draw(st.sampled_from([1, 2, 4]))
    tower = replace(
        recipe.tower, image_size=grid * patch, patch_size=patch, num_attention_heads=heads,
        hidden_size=16 * heads * data.draw(st.integers(1, 5)), num_hidden_layers=data.draw(st.integers(2, 6)),
    )  # fmt: skip
    images = Images(
        source="functions", max_tiles=data.draw(st.integers(2, 30)), use_thumbnail=data.draw(st.booleans()),
        resample=data.draw(st.sampled_from(["bicubic", "bilinear", "lanczos"])),
    )  # fmt: skip
    llm = Language(data.draw(st.sampled_from(["qwen2", "qwen3", "llama"])), tied=data.draw(st.booleans()))
    check(
        replace(
            recipe, tower=tower, images=images, llm=llm, ratio=0.5, version=data.draw(st.sampled_from(["v1", "v2"])),
            select_layer=data.draw(st.sampled_from([-1, -2])),
        )
    )  # fmt: skip

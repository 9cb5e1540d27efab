from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.errors import UsageError
from porter.facts.model import Confidence, Evidence, Fact, ModelFacts
from porter.facts.plausible import fault
from porter.hub.snapshot import RepoRef, Snapshot
from porter.jsontypes import JSON
from porter.overrides import KINDS, facts_toml, load_facts, parse_set, save_facts, with_given

SNAPSHOT = Snapshot(
    RepoRef("org/name", "0" * 40, local=False),
    json={"added_tokens.json": {"<image>": 7, "<ctx>": 9}},
)


def facts_of(**values: JSON) -> ModelFacts:
    return ModelFacts({name: Fact(name, value, Confidence.CERTAIN) for name, value in values.items()})


@pytest.mark.parametrize(
    ("option", "name", "value"),
    [
        ("image_size=448", "image_size", 448),
        ("image_size=[448, 336]", "image_size", [448, 336]),
        ("image_context_token=448", "image_context_token", "448"),
        ("image_context_token=a=b", "image_context_token", "a=b"),
        ("use_thumbnail=true", "use_thumbnail", True),
        ("downsample_ratio=0.5", "downsample_ratio", 0.5),
        ("resample=bicubic", "resample", "bicubic"),
        ("resample=3", "resample", 3),
        ("min_tiles=null", "min_tiles", None),
    ],
)
def test_set_is_json_unless_the_fact_is_text(option: str, name: str, value: JSON) -> None:
    assert parse_set([option]) == {name: value}


@pytest.mark.parametrize(
    "option",
    ["image_sise=448", "image_size", "image_size=4x4", "use_thumbnail=1", "min_tiles=true", "patch_size=NaN", "=1"],
)
def test_a_set_that_cannot_be_meant_is_a_usage_error(option: str) -> None:
    with pytest.raises(UsageError):
        parse_set([option])


def test_an_unknown_fact_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean image_size"):
        parse_set(["image_sise=448"])


def test_what_a_person_says_is_certain_and_the_contradiction_is_shown() -> None:
    facts = with_given(facts_of(image_size=448), SNAPSHOT, {"image_size": 336}, "--set")
    assert facts["image_size"].confidence is Confidence.CERTAIN
    assert facts["image_size"].evidence[0].file == "--set"
    assert "448" in facts["image_size"].note


def test_derived_facts_follow_and_a_given_one_stays() -> None:
    facts = facts_of(image_size=448, patch_size=14, downsample_ratio=0.5, tokens_per_tile=256, image_context_token_id=7)
    changed = with_given(facts, SNAPSHOT, {"image_size": 224, "image_context_token": "<ctx>"}, "--set")
    assert changed.value("tokens_per_tile") == 64
    assert changed.value("image_context_token_id") == 9
    kept = with_given(facts, SNAPSHOT, {"image_size": 224, "tokens_per_tile": 99}, "--set")
    assert kept.value("tokens_per_tile") == 99


def test_saved_facts_come_back_as_they_were(tmp_path: Path) -> None:
    tower: JSON = [{"kind": "clip", "prefix": "vit", "native": None, "sizes": [1, 2]}]
    facts = facts_of(
        architecture='a"\n\x1b', vision_tower=tower, connector={"kind": "mlp", "bias": None}, patch_size=14
    )
    path = tmp_path / "facts.toml"
    save_facts(facts, path, "org/name")
    assert load_facts(path, facts) == {}
    others = facts_of(**dict.fromkeys(facts, "other"))
    assert load_facts(path, others).keys() == facts.keys()
    assert load_facts(path, others)["architecture"] == 'a"\n\x1b'


def test_a_guess_that_stays_in_the_file_is_confirmed(tmp_path: Path) -> None:
    facts = ModelFacts({"patch_size": Fact("patch_size", 14, Confidence.GUESS)})
    path = tmp_path / "facts.toml"
    save_facts(facts, path, "org/name")
    assert load_facts(path, facts) == {"patch_size": 14}


def test_an_unknown_fact_is_a_commented_line() -> None:
    fact = Fact("image_size", None, Confidence.UNKNOWN, note="two sizes\nimage_size = 3")
    text = facts_toml(ModelFacts({"image_size": fact}), "org/name\nx = 1")
    assert all(not line or line.startswith("#") for line in text.splitlines())
    assert any(line.startswith("# image_size =") for line in text.splitlines())


@given(st.text(), st.text(), st.text())
def test_no_text_of_a_repo_breaks_the_file(value: str, note: str, file: str) -> None:
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    value = value.encode("utf-8", "ignore").decode()
    fact = Fact("model_type", value, Confidence.LIKELY, (Evidence(file, file, file),), note=note)
    text = facts_toml(ModelFacts({"model_type": fact}), note)
    assert tomllib.loads(text) == {"model_type": value}


@pytest.mark.parametrize("text", ["image_size = ", "nonsense = 1", "image_size = 1979-05-27", "image_size = nan"])
def test_a_facts_file_that_cannot_be_used_names_itself(tmp_path: Path, text: str) -> None:
    path = tmp_path / "facts.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"facts\.toml"):
        load_facts(path, ModelFacts())


def test_every_kind_has_a_json_type() -> None:
    assert all(isinstance(json.loads(json.dumps(name)), str) and kinds for name, kinds in KINDS.items())


def test_what_a_file_gave_is_not_recomputed_for_what_an_option_gives() -> None:
    facts = facts_of(image_size=448, patch_size=14, downsample_ratio=0.5, tokens_per_tile=256)
    given = with_given(facts, SNAPSHOT, {"tokens_per_tile": 99}, "--facts facts.toml")
    assert with_given(given, SNAPSHOT, {"image_size": 224}, "--set").value("tokens_per_tile") == 99


def test_an_option_over_a_file_says_what_it_overrules() -> None:
    given = with_given(facts_of(image_size=448), SNAPSHOT, {"image_size": 336}, "--facts config.json")
    fact = with_given(given, SNAPSHOT, {"image_size": 224}, "--set")["image_size"]
    assert fact.given
    assert fact.note == "overrules --facts config.json: 336; contradicts the repo: 448 (certain)"


def test_a_file_of_the_repo_is_no_word_of_a_person() -> None:
    assert not Fact("image_size", 1, Confidence.CERTAIN, (Evidence("--facts x", "image_size", "1"),)).given
    assert with_given(ModelFacts(), SNAPSHOT, {"image_size": 1}, "config.json")["image_size"].given


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True, allow_infinity=True), st.text(max_size=8)
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), inner, max_size=4),
    ),
    max_leaves=12,
)
OF_KIND = {
    str: st.text(max_size=8),
    int: st.integers(),
    float: st.floats(),
    bool: st.booleans(),
    list: st.lists(TREES, max_size=4),
    dict: st.dictionaries(st.text(max_size=4), TREES, max_size=4),
}
VALUES = (
    st.sampled_from(sorted(KINDS))
    .flatmap(lambda name: st.tuples(st.just(name), st.one_of(*(OF_KIND[kind] for kind in KINDS[name]))))
    .filter(lambda pair: not fault(*pair))
)


@given(st.lists(VALUES, max_size=6), st.data())
def test_saved_facts_of_every_kind_come_back(values: list[tuple[str, JSON]], data: st.DataObject) -> None:
    """Nothing is changed by saving and loading; on other facts the file gives what was saved, nulls apart."""
    sure = data.draw(st.sampled_from([one for one in Confidence if one is not Confidence.GUESS]))
    facts = ModelFacts({name: Fact(name, value, sure) for name, value in values})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.toml"
        save_facts(facts, path, "org/name")
        assert load_facts(path, facts) == {}
        loaded = load_facts(path, ModelFacts())
    for name, value in loaded.items():
        assert value == without_nulls(facts.value(name))
    assert {name for name in facts if is_plain(facts.value(name))} <= loaded.keys()


def without_nulls(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value if item is not None] if isinstance(value, list) else value


def is_plain(value: JSON) -> bool:
    """What TOML can hold: no surrogate, no number that is none."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        return False
    return value is not None


@pytest.mark.parametrize("depth", [70, 5000])
def test_values_nested_too_deep_are_a_usage_error(depth: int, tmp_path: Path) -> None:
    text = "[" * depth + "]" * depth
    path = tmp_path / "facts.toml"
    path.write_text(f"image_mean = {text}")
    with pytest.raises(UsageError):
        parse_set([f"image_mean={text}"])
    with pytest.raises(UsageError, match=r"facts\.toml"):
        load_facts(path, ModelFacts())

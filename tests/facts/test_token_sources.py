"""Image tokens from files alone: every source, what wins where two disagree, and what no source tells."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from porter.facts import Confidence, RepoReading, infer
from porter.hub.snapshot import RepoRef, Snapshot

CONFIG: dict[str, Any] = {
    "architectures": ["Model"],
    "vision_config": {"hidden_size": 16, "image_size": 32, "patch_size": 4, "num_hidden_layers": 2},
    "text_config": {"model_type": "llama", "hidden_size": 24, "vocab_size": 200},
}
IDS = {"<img>": 91, "</img>": 92, "<ctx>": 93, "<image>": 94, "</image>": 95, "<unk>": 0}
FACTS = [f"image_{part}_token" for part in ("start", "context", "end")]


def decoder(ids: dict[str, int]) -> dict[str, Any]:
    return {"added_tokens_decoder": {str(index): {"content": token} for token, index in ids.items()}}


def data(config: dict[str, Any] | None = None, ids: dict[str, int] | None = None, **files: Any) -> RepoReading:
    """A repo without code: `files` by name, `__` for the dot."""
    json = {"config.json": {**CONFIG, **(config or {})}, "tokenizer_config.json": decoder(IDS if ids is None else ids)}
    for name, content in files.items():
        file = f"{name}.json"
        json[file] = {**json.get(file, {}), **content}
    return infer(Snapshot(RepoRef("a/b", None, local=False), json=json))


def values(found: RepoReading) -> list[object]:
    return [found.facts.value(name) for name in FACTS]


STATED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ids of the config": ({"image_token_id": 93, "vision_start_token_id": 91, "vision_end_token_id": 92}, {}),
    "index of the config": ({"image_token_index": 93, "boi_token_index": 91, "eoi_token_index": 92}, {}),
    "ids one level down": ({"projector": {"img_context_token_id": 93, "boi_token_id": 91, "eoi_token_id": 92}}, {}),
    "processor_config": (
        {},
        {"processor_config": {"image_token": "<ctx>", "image_start_token": "<img>", "image_end_token": "</img>"}},
    ),
    "preprocessor_config": (
        {},
        {"preprocessor_config": {"image_token": "<ctx>", "im_start": "<img>", "im_end": "</img>"}},
    ),
    "tokenizer_config": (
        {},
        {"tokenizer_config": {"image_token": "<ctx>", "boi_token": {"content": "<img>"}, "eoi_token": "</img>"}},
    ),
    "extra_special_tokens": (
        {},
        {
            "tokenizer_config": {
                "extra_special_tokens": {"image_token": "<ctx>", "image_start": "<img>", "image_end": "</img>"}
            }
        },
    ),
    "special_tokens_map": (
        {},
        {"special_tokens_map": {"image_token": {"content": "<ctx>"}, "boi_token": "<img>", "eoi_token": "</img>"}},
    ),
}


@pytest.mark.parametrize("name", STATED)
def test_every_source(name: str) -> None:
    config, files = STATED[name]
    found = data(config, **files)
    assert values(found) == ["<img>", "<ctx>", "</img>"]
    assert found.facts.value("image_context_token_id") == 93
    assert {found.facts[fact].confidence for fact in FACTS} == {Confidence.LIKELY}


@pytest.mark.parametrize("file", ["added_tokens", "tokenizer"])
def test_ids_of_any_tokenizer_file(file: str) -> None:
    listed = {"added_tokens": [{"id": 93, "content": "<ctx>"}]} if file == "tokenizer" else {"<ctx>": 93}
    found = data({"image_token_id": 93}, ids={}, **{file: listed})
    assert found.facts.value("image_context_token") == "<ctx>"
    assert found.facts["image_context_token"].evidence[-1].file == f"{file}.json"


def test_a_stated_id_wins_over_a_stated_string() -> None:
    fact = data({"image_token_id": 93}, processor_config={"image_token": "<image>"}).facts["image_context_token"]
    assert (fact.value, fact.confidence) == ("<ctx>", Confidence.LIKELY)
    assert "processor_config.json image_token says <image>" in fact.note


def test_two_ids_of_the_config_that_disagree_are_shown() -> None:
    fact = data({"image_token_id": 93, "text_config": {"image_token_index": 94}}).facts["image_context_token"]
    assert fact.value == "<ctx>"
    assert "text_config.image_token_index says 94 (<image>)" in fact.note


def test_a_second_id_for_vision_in_general_is_no_disagreement() -> None:
    """Qwen2-VL has a vision_token_id beside its image_token_id."""
    fact = data({"vision_token_id": 94, "image_token_id": 93}).facts["image_context_token"]
    assert (fact.value, fact.note) == ("<ctx>", "")


def test_an_id_that_no_tokenizer_file_lists_keeps_no_name() -> None:
    facts = data({"image_token_id": 150}).facts
    assert facts.value("image_context_token_id") == 150
    assert facts["image_context_token"].confidence in (Confidence.GUESS, Confidence.UNKNOWN)
    assert "no tokenizer file" in facts["image_context_token_id"].note


def test_an_id_beyond_the_vocabulary_says_so() -> None:
    fact = data({"image_token_id": 300}, ids={"<ctx>": 300}).facts["image_context_token_id"]
    assert fact.value == 300
    assert "vocab_size 200" in fact.note


def test_an_id_that_another_family_uses_is_the_repos_own_token() -> None:
    fact = data({"image_token_id": 151646}, ids={"<image>": 151646}).facts["image_context_token_id"]
    assert (fact.value, fact.confidence) == (151646, Confidence.LIKELY)
    assert "<|object_ref_start|>" in fact.note


def test_stock_tokens_of_a_text_model_say_nothing() -> None:
    stock = {"<|vision_start|>": 151652, "<|vision_end|>": 151653, "<|image_pad|>": 151655}
    facts = data(ids=stock).facts
    assert [facts[name].confidence for name in FACTS] == [Confidence.UNKNOWN] * 3
    assert "every tokenizer" in facts["image_context_token"].note


def test_stock_tokens_that_the_config_names_are_used() -> None:
    facts = data({"image_token_id": 151655}, ids={"<|image_pad|>": 151655}).facts
    assert facts.value("image_context_token") == "<|image_pad|>"


def test_a_token_with_a_closing_partner_is_a_tag_and_not_the_context() -> None:
    found = data(ids={"<image>": 1, "</image>": 2})
    assert values(found) == ["<image>", None, "</image>"]
    assert found.facts["image_start_token"].confidence is Confidence.GUESS


def test_a_filler_without_code_is_a_guess() -> None:
    found = data(preprocessor_config={"im_start": "<image>", "im_end": "</image>", "unk": "<unk>"})
    assert values(found) == ["<image>", "<unk>", "</image>"]
    assert found.facts["image_context_token"].confidence is Confidence.GUESS


def test_every_candidate_by_name_is_named() -> None:
    fact = data(ids={"<im_patch>": 7, "<|image|>": 8}).facts["image_context_token"]
    assert (fact.value, fact.confidence) == ("<im_patch>", Confidence.GUESS)
    assert "<|image|>" in fact.note


def test_tags_that_the_config_switches_off_are_absent() -> None:
    facts = data({"mm_use_im_start_end": False}).facts
    assert facts["image_start_token"].confidence is Confidence.ABSENT
    assert facts["image_end_token"].confidence is Confidence.ABSENT


def test_chat_tokens_are_no_image_tags() -> None:
    config = {"im_start": "<|im_start|>", "im_end": "<|im_end|>"}
    facts = data(ids={"<|im_start|>": 1, "<|im_end|>": 2}, tokenizer_config=config).facts
    assert facts["image_start_token"].value is None


def test_separators_by_key_and_by_name() -> None:
    ids = {**IDS, "<slice>": 101, "</slice>": 102, "<im_col>": 103, "<|tool_sep|>": 104, "<td>": 105}
    fact = data(ids=ids, preprocessor_config={"slice_start": "<slice>", "slice_end": "</slice>"}).facts[
        "image_separators"
    ]
    assert fact.value == [
        {"token": "<slice>", "id": 101, "role": "slice_start"},
        {"token": "</slice>", "id": 102, "role": "slice_end"},
        {"token": "<im_col>", "id": 103, "role": "column"},
    ]
    assert fact.confidence is Confidence.GUESS


def test_a_part_of_a_placeholder_is_no_placeholder() -> None:
    assert data(processor_config={"image_placeholder": "image"}).facts.value("image_placeholder") is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-300, 300) | st.floats() | st.text(max_size=6) | st.sampled_from([*IDS]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["image_token_id", "image_token", "im_start", "content", "id", "93", "added_tokens", "size", "unk"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KEYS = (
    *("image_token_id", "image_token", "added_tokens_decoder", "added_tokens", "additional_special_tokens", "size"),
    *("extra_special_tokens", "chat_template", "image_processor", "vision_config", "text_config", "min_pixels"),
    *("patch_size", "merge_size", "image_grid_pinpoints", "max_dynamic_patch", "query_num", "image_mean", "resample"),
)  # fmt: skip
objects = st.dictionaries(st.sampled_from(KEYS), anything, max_size=6)
FILES = (
    *("config.json", "tokenizer_config.json", "added_tokens.json", "tokenizer.json", "special_tokens_map.json"),
    *("processor_config.json", "preprocessor_config.json", "chat_template.json", "google/tower/config.json"),
)
snapshots = st.dictionaries(st.sampled_from(FILES), objects, min_size=1)


def facts_of(json: dict[str, Any]) -> dict[str, tuple[object, str]]:
    reading = infer(Snapshot(RepoRef("a/b", None, local=False), json=json))
    return {name: (repr(fact.value), fact.confidence.value) for name, fact in reading.facts.items()}


@settings(max_examples=60, deadline=None)
@given(snapshots, st.randoms(use_true_random=False))
def test_any_value_anywhere_is_read_and_order_never_matters(json: dict[str, Any], chance: random.Random) -> None:
    files = list(json)
    chance.shuffle(files)
    shuffled = {}
    for name in files:
        keys = list(json[name])
        chance.shuffle(keys)
        shuffled[name] = {key: json[name][key] for key in keys}
    assert facts_of(json) == facts_of(shuffled)

"""Memory estimates against configs computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from porter.facts import infer
from porter.hub.snapshot import RepoRef, Snapshot, TensorInfo, TensorTable
from porter.jsontypes import JSONObject
from porter.smoke.estimate import GIB, Load, Sizes, estimate, proposals, sizes_of, weights_of

# 28 layers, 28 heads over 4 KV heads of 128: 2 * 4 * 128 elements of cache per token and layer.
SEVEN_B = Sizes(
    weights=16_089_489_888,
    layers=28,
    hidden=3584,
    intermediate=18944,
    vocab=152064,
    heads=28,
    kv_width=1024,
    kv_split=4,
    tower_hidden=1152,
    tower_intermediate=4304,
    patches=5350,
)
LONG = Load(length=32768, batch_tokens=8192, device="cuda")


def test_a_grouped_cache_by_hand() -> None:
    assert estimate(SEVEN_B, LONG).cache == 32768 * 28 * 1024 * 2
    assert estimate(SEVEN_B, replace(LONG, length=1)).cache == 128 * 28 * 1024 * 2
    assert estimate(SEVEN_B, LONG).weights == 16_089_489_888


def test_a_latent_cache_by_hand() -> None:
    latent = replace(SEVEN_B, layers=61, kv_width=512 + 64, kv_split=1)
    assert estimate(latent, LONG).cache == 32768 * 61 * 576 * 2
    assert estimate(latent, replace(LONG, tp=8)).cache == 32768 * 61 * 576 * 2


def test_what_is_split_and_what_is_not() -> None:
    one, two = estimate(SEVEN_B, LONG), estimate(SEVEN_B, replace(LONG, tp=2))
    assert two.weights == one.weights // 2 and two.cache == one.cache // 2
    assert estimate(SEVEN_B, replace(LONG, tp=8)).cache == one.cache // 4
    assert estimate(SEVEN_B, replace(LONG, pp=4)).cache == one.cache // 4
    assert two.encoder == one.encoder and two.runtime == one.runtime


def test_a_dtype_of_twice_the_size() -> None:
    assert estimate(SEVEN_B, replace(LONG, itemsize=4)).weights == 2 * SEVEN_B.weights
    assert estimate(replace(SEVEN_B, source="quantised"), replace(LONG, itemsize=4)).weights == SEVEN_B.weights


def test_proposals_fit() -> None:
    room = 18 * GIB
    assert estimate(SEVEN_B, LONG).total > room
    shorter, split, *rest = proposals(SEVEN_B, LONG, room)
    length = int(shorter.split()[1])
    assert 0 < length < LONG.length and estimate(SEVEN_B, replace(LONG, length=length)).total <= room
    assert split == "--tp 2 (this machine has 1)"
    assert rest[0].endswith("of 28 layers (hf_overrides)") and "tiny" in rest[-1]
    assert proposals(SEVEN_B, LONG, room, devices=4)[1] == "--tp 2"


def test_no_length_helps_where_the_weights_alone_are_too_large() -> None:
    found = proposals(SEVEN_B, replace(LONG, device="cpu"), 8 * GIB)
    assert not any("max_model_len" in text or "--tp" in text for text in found)
    assert found[-1].startswith("--weights tiny")
    assert len(proposals(SEVEN_B, LONG, 0)) == 1


def test_bytes_of_headers_of_an_index_and_of_nothing() -> None:
    rows = (TensorInfo("a", "f", "BF16", (3, 5)), TensorInfo("b", "f", "F32", (7,)))
    assert weights_of(TensorTable("headers", rows)) == (30 + 28, "headers")
    assert weights_of(TensorTable("index", (TensorInfo("a", "f"),), bytes_total=99)) == (99, "index")
    assert weights_of(TensorTable("none")) == (None, "index")


def reading(config: JSONObject) -> Sizes | None:
    return sizes_of(infer(Snapshot(RepoRef("org/name", None, True), json={"config.json": config})))


TEXT: JSONObject = {
    "model_type": "qwen2",
    "hidden_size": 896,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "intermediate_size": 4864,
    "vocab_size": 151674,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
}


def test_sizes_of_a_repo_without_weights() -> None:
    sizes = reading({"architectures": ["FooVL"], "text_config": TEXT, "vision_config": {"hidden_size": 1024}})
    assert sizes is not None
    assert (sizes.kv_width, sizes.kv_split, sizes.positions, sizes.source) == (2 * 2 * 64, 2, 32768, "sizes")
    exact = 494_000_000 * 2
    assert sizes.weights == pytest.approx(exact, rel=0.35)


@pytest.mark.parametrize("config", [{}, {"text_config": {"hidden_size": "many"}}, {"text_config": 5}])
def test_too_little_is_no_estimate(config: JSONObject) -> None:
    assert reading(config) is None

"""Towers told apart by what their blocks hold, under names that nobody has heard of."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.facts.tower_shapes import kind_by_shapes
from tests.weights.layouts import Layout, clip_tower, intern_vit, moonvit, qwen2, qwen2_vl_tower

TOWERS: dict[str, Layout] = {
    "intern_vit": intern_vit(""),
    "clip": clip_tower(""),
    "siglip": clip_tower("", siglip=True),
}


def renamed(layout: Layout, seed: int) -> Layout:
    """Every word but numbers, `weight` and `bias` becomes another one."""
    words = sorted({word for name in layout for word in name.split(".") if not word.isdecimal()} - {"weight", "bias"})
    fresh = [f"w{number}" for number in range(len(words))]
    random.Random(seed).shuffle(fresh)
    table = dict(zip(words, fresh, strict=True))
    return {".".join(table.get(word, word) for word in name.split(".")): shape for name, shape in layout.items()}


@pytest.mark.parametrize("kind", TOWERS)
@pytest.mark.parametrize("seed", range(3))
def test_a_kind_is_known_under_any_names(kind: str, seed: int) -> None:
    assert kind_by_shapes(renamed(TOWERS[kind], seed)) == kind


@pytest.mark.parametrize("inner", [48, 144, 77])
@pytest.mark.parametrize("kind", TOWERS)
def test_the_mlp_may_be_as_wide_as_the_attention(kind: str, inner: int) -> None:
    sized = {name: tuple(inner if size == 4 * 48 else size for size in shape) for name, shape in TOWERS[kind].items()}
    assert kind_by_shapes(sized) == kind


def test_internvit_in_its_variants() -> None:
    width = 48
    plain = intern_vit("")
    rms = {n: s for n, s in plain.items() if not n.endswith(("norm1.bias", "norm2.bias"))}
    qk = {f"encoder.layers.{i}.attn.{p}_norm.weight": (width,) for i in range(4) for p in "qk"}
    unbiased = {name: shape for name, shape in plain.items() if not name.endswith("qkv.bias")}
    split = {n: s for n, s in plain.items() if "qkv" not in n} | {
        f"encoder.layers.{i}.attn.{p}.{leaf}": shape
        for i in range(4) for p in "qkv" for leaf, shape in (("weight", (width, width)), ("bias", (width,)))
    }  # fmt: skip
    for variant in (rms, {**plain, **qk}, {**rms, **qk}, unbiased, split):
        assert kind_by_shapes(variant) == "intern_vit"


def test_near_misses_are_none_of_them() -> None:
    vit, clip = TOWERS["intern_vit"], TOWERS["clip"]
    extra_norm = {**vit, "post_norm.weight": (48,), "post_norm.bias": (48,)}
    third_norm = {**vit, **{f"encoder.layers.{i}.norm3.{leaf}": (48,) for i in range(4) for leaf in ("weight", "bias")}}
    gated = {**vit, **{f"encoder.layers.{i}.mlp.gate.weight": (192, 48) for i in range(4)}}
    registers = {**vit, "embeddings.register_tokens": (1, 4, 48)}
    one_scale = {name: shape for name, shape in vit.items() if "ls2" not in name}
    no_bias = {name: shape for name, shape in vit.items() if not name.endswith("fc1.bias")}
    two_tables = {**clip, "embeddings.row_embedding.weight": (9, 48)}
    uneven = {name: shape for name, shape in vit.items() if name != "encoder.layers.2.attn.proj.bias"}
    unknown = {**vit, "embeddings.class_embedding": None}
    for other in (extra_norm, third_norm, gated, registers, one_scale, no_bias, two_tables, uneven, unknown, {}):
        assert kind_by_shapes(other) is None
    for layout in (moonvit(""), qwen2_vl_tower(""), qwen2("")):
        assert kind_by_shapes(layout) is None


NAME = st.lists(st.sampled_from(["a", "0", "1", "weight", "bias", "x"]), min_size=1, max_size=4).map(".".join)
SHAPE = st.none() | st.lists(st.integers(0, 4), max_size=5).map(tuple)


@given(st.dictionaries(NAME, SHAPE, max_size=30))
def test_anything_has_an_answer(names: dict[str, tuple[int, ...] | None]) -> None:
    assert kind_by_shapes(names) in (None, "intern_vit", "clip", "siglip")

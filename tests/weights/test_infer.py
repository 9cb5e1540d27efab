"""The mapper inference on real layouts under other names."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from porter.hub.snapshot import TensorInfo
from porter.weights.infer import Inferred, Target, infer_mapper
from tests.weights.layouts import LAYOUTS, Layout, targets, tensors
from tests.weights.renamings import RENAMINGS, Rename, chain


def infer(layout: Layout, rename: Rename, *, shapes: bool = True) -> tuple[Inferred, list[TensorInfo]]:
    renamed = {rename(name): shape for name, shape in layout.items()}
    assert len(renamed) == len(layout)
    source = tensors(renamed, shapes=shapes)
    random.Random(7).shuffle(source)
    return infer_mapper(source, targets(layout)), source


def assert_right(layout: Layout, rename: Rename, inferred: Inferred) -> None:
    wrong = {name: inferred.rules.apply(rename(name)) for name in layout if inferred.rules.apply(rename(name)) != name}
    assert not wrong, inferred.rules
    assert inferred.complete


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("renaming", RENAMINGS)
def test_every_tensor_finds_its_own_parameter(layout: str, renaming: str) -> None:
    inferred, _ = infer(LAYOUTS[layout], RENAMINGS[renaming])
    assert_right(LAYOUTS[layout], RENAMINGS[renaming], inferred)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_to_do_gives_no_rules(layout: str) -> None:
    inferred, _ = infer(LAYOUTS[layout], chain())
    assert not inferred.rules
    assert inferred.moves == ()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("renaming", ["vit and connector", "llm", "attention words", "blocks", "model in front"])
def test_names_alone_are_enough_for_plain_renames(layout: str, renaming: str) -> None:
    inferred, _ = infer(LAYOUTS[layout], RENAMINGS[renaming], shapes=False)
    assert_right(LAYOUTS[layout], RENAMINGS[renaming], inferred)


def test_few_rules_and_what_they_move() -> None:
    rename = chain(("^vision_model.", "model.vit."), ("^mlp1.", "model.connector."), ("^language_model.", "model.llm."))
    inferred, _ = infer(LAYOUTS["internvl_qwen2"], rename)
    assert dict(inferred.rules.prefix) == {
        "model.vit.": "vision_model.",
        "model.connector.": "mlp1.",
        "model.llm.": "language_model.",
    }
    assert not inferred.rules.substr and not inferred.rules.suffix and not inferred.rules.regex
    counts = {use.old: use.count for use in inferred.moves}
    assert sum(counts.values()) == len(LAYOUTS["internvl_qwen2"])


def test_one_word_renamed_in_one_tower_only_leaves_the_other_alone() -> None:
    """Both stacks have `mlp` and `input_layernorm`-like words; only the tower's are renamed."""
    layout = {f"{tower}.layers.{i}.mlp.weight": (8, width) for tower, width in (("a", 4), ("b", 6)) for i in range(3)}
    layout.update({f"a.layers.{i}.norm.weight": (3,) for i in range(3)})
    rename = chain(
        ("^a.layers.0.mlp", "a.layers.0.ffn"),
        ("^a.layers.1.mlp", "a.layers.1.ffn"),
        ("^a.layers.2.mlp", "a.layers.2.ffn"),
    )
    inferred, _ = infer(layout, rename)
    assert_right(layout, rename, inferred)
    other = chain(
        ("^a.layers.0.mlp", "a.layers.0.n"), ("^a.layers.1.mlp", "a.layers.1.n"), ("^a.layers.2.mlp", "a.layers.2.n")
    )
    layout.update({f"b.layers.{i}.n.weight": (5,) for i in range(3)})
    inferred, _ = infer(layout, other)
    assert_right(layout, other, inferred)
    assert inferred.rules.regex


def test_swapped_subtrees_are_told_apart_by_shape() -> None:
    rename = chain(("^vision_model.", "X."), ("^language_model.", "vision_model."), ("^X.", "language_model."))
    inferred, _ = infer(LAYOUTS["internvl_qwen2"], rename)
    assert_right(LAYOUTS["internvl_qwen2"], rename, inferred)


def test_left_overs_are_named_and_run_time_tables_dropped() -> None:
    layout = LAYOUTS["llava_clip"]
    source = [
        *tensors({f"model.{name}": shape for name, shape in layout.items() if "layers.2.mlp.fc1.bias" not in name}),
        TensorInfo("model.vision_tower.vision_model.embeddings.position_ids", "f", "I64", (1, 17)),
        TensorInfo("value_head.summary.weight", "f", "BF16", (1, 77)),
    ]
    inferred = infer_mapper(source, targets(layout))
    assert inferred.unmapped == ("value_head.summary.weight",)
    assert inferred.missing == ("vision_tower.vision_model.encoder.layers.2.mlp.fc1.bias",)
    assert inferred.rules.apply("model.vision_tower.vision_model.embeddings.position_ids") is None


def test_a_fused_target_is_filled_whole_or_in_parts() -> None:
    target = [
        Target("layers.0.qkv_proj.weight", (12, 4), False, "layers.0.qkv_proj.weight"),
        *(Target(f"layers.0.{part}_proj.weight", (4, 4), True, "layers.0.qkv_proj.weight") for part in "qkv"),
    ]
    whole = infer_mapper([TensorInfo("h.0.qkv.weight", "f", "BF16", (12, 4))], target)
    parts = infer_mapper([TensorInfo(f"h.0.{p}_proj.weight", "f", "BF16", (4, 4)) for p in "qkv"], target)
    assert whole.complete and parts.complete
    half = infer_mapper([TensorInfo("h.0.q_proj.weight", "f", "BF16", (4, 4))], target)
    assert half.missing == ("layers.0.k_proj.weight", "layers.0.v_proj.weight")


@pytest.mark.parametrize(("first", "second"), [("gaze", "dream"), ("pre_gaze", "pre_ffn"), ("zeta", "alpha")])
def test_norms_of_one_shape_go_by_the_order_in_which_they_are_given(first: str, second: str) -> None:
    """Names that say nothing: the order of the code, in which the source is given, is the order of the target."""
    target = [Target(f"layers.{i}.norm{n}.weight", (8,)) for i in range(3) for n in (1, 2)]
    source = [TensorInfo(f"h.{i}.{name}.weight", "f", "BF16", (8,)) for i in range(3) for name in (first, second)]
    rules = infer_mapper(source, target).rules
    assert [rules.apply(f"h.1.{name}.weight") for name in (first, second)] == [
        "layers.1.norm1.weight",
        "layers.1.norm2.weight",
    ]


@pytest.mark.parametrize("name", ["pre_ffn", "mlp_norm", "ffn_ln", "pre_mlp_layernorm"])
def test_a_norm_named_after_the_mlp_is_the_second(name: str) -> None:
    target = [Target(f"layers.0.norm{n}.weight", (8,)) for n in (1, 2)]
    source = [TensorInfo(f"h.0.{one}.weight", "f", "BF16", (8,)) for one in (name, "pre_gaze")]
    assert infer_mapper(source, target).rules.apply(f"h.0.{name}.weight") == "layers.0.norm2.weight"


def sharded_targets(layout: Layout) -> list[Target]:
    """The layout's targets; each fused `attn.qkv` can be filled in three parts as well, as vLLM's own layer can."""
    found = []
    for target in targets(layout):
        parts = target.name.replace("attn.qkv.", "attn.qkv@{}.") if "attn.qkv." in target.name else ""
        found.append(replace(target, fills=target.name))
        rows = (target.shape[0] // 3, *target.shape[1:]) if target.shape else None
        found += [Target(parts.format(shard), rows, False, target.name) for shard in "qkv" if parts]
    return found


def split_qkv(layout: Layout, spelling: str) -> Layout:
    """The same model, its tower's attention stored in three parts."""
    found: Layout = {}
    for name, shape in layout.items():
        if "attn.qkv." not in name:
            found[name] = shape
            continue
        rows = (shape[0] // 3, *shape[1:])
        found |= {name.replace("attn.qkv.", spelling.format(part)): rows for part in "qkv"}
    return found


@pytest.mark.parametrize("spelling", ["attn.{}_proj.", "attention.{}.", "self_attn.{}_proj.", "mha.w{}."])
@pytest.mark.parametrize("prefix", ["vision_model.", "model.vit."])
@pytest.mark.parametrize("layout", ["internvl_qwen2", "internvl_internlm2"])
def test_a_split_attention_is_stacked(layout: str, prefix: str, spelling: str) -> None:
    """`self_attn.q_proj` stands in the Qwen2 language model too, which must keep its names."""
    known = LAYOUTS[layout]
    moved = {prefix + n[13:] if n.startswith("vision_model.") else n: s for n, s in split_qkv(known, spelling).items()}
    inferred = infer_mapper(tensors(moved), sharded_targets(known))
    assert inferred.complete, inferred
    place = "vision_model.encoder.layers.1.attn.qkv@{}.bias"
    for part in "qkv":
        stored = f"{prefix}encoder.layers.1.{spelling.format(part)}bias"
        assert inferred.rules.apply(stored) == place.format(part), inferred.rules
    assert set(inferred.rules.to_json()["stacked"]) == set(inferred.rules.stacked)  # type: ignore[arg-type]
    language = [name for name in known if name.startswith("language_model.")]
    assert [inferred.rules.apply(name) for name in language] == language


def test_a_shard_that_is_not_there_is_missing() -> None:
    known = LAYOUTS["internvl_qwen2"]
    stored = split_qkv(known, "attn.{}_proj.")
    del stored["vision_model.encoder.layers.2.attn.k_proj.weight"]
    inferred = infer_mapper(tensors(stored), sharded_targets(known))
    assert inferred.missing == ("vision_model.encoder.layers.2.attn.qkv@k.weight",)


def test_layers_that_are_not_built_are_no_shards_of_others() -> None:
    """A port that taps a lower layer builds fewer; the stored layers above have matrices of a shard's shape."""
    known = LAYOUTS["internvl_qwen2"]
    built = {name: shape for name, shape in known.items() if "encoder.layers.3." not in name}
    inferred = infer_mapper(tensors(known), sharded_targets(built))
    assert not inferred.rules, inferred.rules
    assert not inferred.missing


def test_a_fused_attention_stays_whole() -> None:
    known = LAYOUTS["internvl_qwen2"]
    inferred = infer_mapper(tensors(known), sharded_targets(known))
    assert inferred.complete and not inferred.rules


WORDS = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=9).filter(lambda word: word.strip("_"))


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(LAYOUTS)), st.lists(WORDS, min_size=6, max_size=6, unique=True), st.data())
def test_any_words_for_the_big_parts(layout: str, words: list[str], data: st.DataObject) -> None:
    """Subtrees under arbitrary names, some one level deeper, are found by what they hold."""
    names = LAYOUTS[layout]
    tops = sorted({name.split(".")[0] for name in names})
    moves = {
        top: word if data.draw(st.booleans()) else f"{words[-1]}.{word}" for top, word in zip(tops, words, strict=False)
    }

    def rename(name: str) -> str:
        top, _, rest = name.partition(".")
        return f"{moves[top]}.{rest}"

    inferred, source = infer(names, rename)
    assert_right(names, rename, inferred)
    assert max(Counter(inferred.rules.apply(tensor.name) for tensor in source).values()) == 1


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_two_tensors_never_reach_one_place(data: st.DataObject) -> None:
    """Whatever the names are, also for checkpoints that have nothing to do with the model."""
    word = st.sampled_from(["a", "b", "layers", "0", "1", "12", "norm", "weight", "bias", "q_proj"])
    name = st.lists(word, min_size=1, max_size=4).map(".".join)
    shape = st.sampled_from([(2,), (2, 2), (3,)])
    source = data.draw(st.dictionaries(name, shape, max_size=14))
    target = data.draw(st.dictionaries(name, shape, max_size=14))
    inferred = infer_mapper(tensors(source), targets(target))
    results = Counter(inferred.rules.apply(n) for n in source)
    assert all(count == 1 for result, count in results.items() if result in target)
    reached = {inferred.rules.apply(n) for n in source if n not in inferred.unmapped}
    assert set(inferred.missing) == set(target) - reached


def test_cost_grows_with_tensors_not_with_their_square() -> None:
    """A mixture of experts with twenty thousand tensors folds into a handful of units."""
    layout: Layout = {
        f"language_model.model.layers.{layer}.mlp.experts.{expert}.{part}.weight": (8, 4)
        if part != "down_proj"
        else (4, 8)
        for layer in range(40)
        for expert in range(160)
        for part in ("gate_proj", "up_proj", "down_proj")
    }
    rename = chain(("^language_model.model.layers.", "model.llm.blocks."), (".mlp.", ".ffn."))
    inferred, _ = infer(layout, rename)
    assert_right(layout, rename, inferred)
    assert len(list(inferred.rules.steps())) == 2

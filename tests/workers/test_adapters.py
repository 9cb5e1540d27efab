"""Which modules an adapter names, and what it would add to their weights."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

np = pytest.importorskip("numpy")


def wrapped(rows: int, columns: int) -> SimpleNamespace:
    return SimpleNamespace(lora_a_stacked=(np.zeros((1, 1, 8, columns)),), lora_b_stacked=(np.zeros((1, 1, rows, 8)),))


def test_what_an_adapter_adds_has_the_shape_of_the_weight_and_its_rank() -> None:
    from porter.workers.adapters import ALPHA, RANK, Target

    target = Target("llm.fc", "language_model.fc", 12, 20, embedding=False)
    tensors = dict(target.tensors(1.0))
    first, second = (tensors[f"base_model.model.llm.fc.lora_{letter}.weight"] for letter in "AB")
    assert first.shape == (RANK, 20) and second.shape == (12, RANK)
    assert np.allclose(target.change(1.0), second @ first * (ALPHA / RANK))
    assert np.linalg.matrix_rank(target.change(1.0)) == RANK
    assert not target.change(0.0).any()


def test_an_embedding_has_its_matrices_the_other_way_round() -> None:
    from porter.workers.adapters import RANK, Target

    target = Target("llm.embed", "model.embed_tokens", 50, 6, embedding=True)
    shapes = {name: value.shape for name, value in target.tensors(1.0)}
    assert shapes == {
        "base_model.model.llm.embed.lora_embedding_A": (RANK, 50),
        "base_model.model.llm.embed.lora_embedding_B": (6, RANK),
    }
    assert target.change(1.0).shape == (50, 6)


def test_a_fused_layer_has_a_target_for_each_name_that_leads_to_it() -> None:
    from porter.workers.adapters import targets_of

    manager = SimpleNamespace(
        modules={"lm.qkv_proj": wrapped(8, 4)}, packed_modules={"lm.qkv_proj": ["lm.q_proj", "lm.k_proj", "lm.v_proj"]}
    )
    known = {"lm.q_proj": ("llm.q", (8, 4)), "lm.v_proj": ("llm.v", (2, 4))}
    made = targets_of(manager, "lm.qkv_proj", known.get, tied=False)
    assert [target and (target.source, target.name, target.rows) for target in made] == [
        ("llm.q", "lm.q_proj", 8),
        None,
        ("llm.v", "lm.v_proj", 2),
    ]


def test_without_a_checkpoint_the_shape_is_what_the_manager_made_room_for() -> None:
    from porter.workers.adapters import olds, targets_of

    manager = SimpleNamespace(modules={"lm.o_proj": wrapped(16, 12)}, packed_modules={})
    (target,) = targets_of(manager, "lm.o_proj", lambda name: (f"model.{name}", None), tied=False)
    assert target is not None and (target.rows, target.columns) == (16, 12)
    mapper = SimpleNamespace(orig_to_new_prefix={"model.llm.": "lm.", "model.dropped.": None})
    assert list(olds(mapper, "lm.o_proj")) == ["lm.o_proj", "model.llm.o_proj"]


def test_a_tied_embedding_has_no_target() -> None:
    from porter.workers.adapters import targets_of

    class VocabParallelEmbeddingWithLoRA(SimpleNamespace):
        pass

    manager = SimpleNamespace(modules={"lm.embed": VocabParallelEmbeddingWithLoRA()}, packed_modules={})
    assert targets_of(manager, "lm.embed", lambda name: (name, (50, 6)), tied=True) == [None]
    (target,) = targets_of(manager, "lm.embed", lambda name: (name, (50, 6)), tied=False)
    assert target is not None and target.embedding


def test_a_language_model_that_is_no_submodule_is_a_fault() -> None:
    from porter.workers.adapters import LoRAFault, language_place

    inner = object()
    model = SimpleNamespace(named_modules=lambda: [("", model), ("llm", inner)], get_language_model=lambda: inner)
    assert language_place(model) == "llm"
    model.get_language_model = lambda: model
    assert language_place(model) == ""
    model.get_language_model = lambda: object()
    with pytest.raises(LoRAFault, match="get_language_model\\(\\) of SimpleNamespace answers no submodule"):
        language_place(model)

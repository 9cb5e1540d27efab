"""The nearest class of the tree is found by config attributes and module names, whatever the repo is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.families.ranking import nearest, repo_words
from porter.families.view import View
from tests.facts.odd_repos import names, repo
from tests.families.repos import EXAMPLE, needs_vllm, read, tree

pytestmark = needs_vllm
TOP = {"architectures": ["NobodyForConditionalGeneration"], "model_type": "nobody"}
SHAPES: dict[str, tuple[dict[str, object], list[str]]] = {
    "kimi_vl": (
        {"vision_config": {"merge_kernel_size": [2, 2], "init_pos_emb_height": 64, "init_pos_emb_width": 64}},
        names("eye.encoder.blocks.{0..1}.{norm0,norm1,wqkv}.weight", "eye.patch_embed.pos_emb.weight"),
    ),
    "minicpmv": (
        {"query_num": 64, "drop_vision_last_layer": False, "slice_mode": True},
        names("eyes.resampler.{ln_kv,ln_q,ln_post}.weight", "eyes.resampler.kv_proj.weight", "vpm.embeddings.weight"),
    ),
    "deepseek_ocr": (
        {"projector_config": {"projector_type": "linear", "n_embed": 8}, "tile_tag": "2D", "global_view_pos": "head"},
        names("m.sam_model.{net_2,net_3}.weight", "m.sam_model.blocks.0.mlp.{lin1,lin2}.weight", "m.view_seperator"),
    ),
    "internvl": (
        {"ps_version": "v2", "force_image_size": 448, "select_layer": -1, "vision_config": {"qk_normalization": True}},
        names("vision_model.encoder.layers.0.{ls1,ls2}", "mlp1.{0,1,3}.weight"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("module", SHAPES)
def test_the_nearest_class_by_structure(module: str, tmp_path: Path) -> None:
    config, tensors = SHAPES[module]
    found = nearest(View(repo(tmp_path, {**TOP, **config}, tensors), tree()))
    assert found[0].entry.module == module, [item.entry.module for item in found]
    assert 0 < found[0].score <= 1
    assert found[0].shared
    assert len({item.file for item in found}) == len(found)


def test_the_name_of_the_repo_tells_nothing(tmp_path: Path) -> None:
    config, tensors = SHAPES["kimi_vl"]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = nearest(View(repo(tmp_path / "a", {**TOP, **config}, tensors), tree()))
    lying = {**TOP, "architectures": ["InternVLLikeModel"], "model_type": "minicpmv_x", "_name_or_path": "molmo"}
    named = nearest(View(repo(tmp_path / "b", {**lying, **config}, tensors), tree()))
    assert [item.entry.module for item in plain] == [item.entry.module for item in named]


def test_words_of_every_model_do_not_count(tmp_path: Path) -> None:
    config = {**TOP, "hidden_size": 8, "vocab_size": 9, "chunk_size_feed_forward": 0}
    view = View(repo(tmp_path, config, ["model.layers.0.self_attn.q_proj.weight"]), tree())
    assert repo_words(view) == frozenset()
    assert nearest(view) == ()


def test_the_words_of_code_count_too() -> None:
    assert "connector" in repo_words(View(read(EXAMPLE), tree()))

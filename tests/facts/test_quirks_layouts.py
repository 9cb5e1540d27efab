"""Oddities of real repos in their layouts, rebuilt small: the second half of `test_quirks.py`."""

from __future__ import annotations

import json
from pathlib import Path

from porter.facts import Confidence
from tests.facts.compare import read
from tests.facts.odd_repos import (
    CONVNEXT,
    GENES,
    LOGICS,
    LOGICS_NAMES,
    MINERU,
    OCR,
    OCR_CLIP,
    OCR_NAMES,
    OPEN_CLIP,
    PARSE,
    PHI,
    PHI_CONFIG,
    QWEN,
    QWEN_TEXT,
    QWEN_VL,
    RESAMPLER,
    SAM,
    SIGLIP,
    STREAM,
    STREAM_NAMES,
    TOP,
    VISUAL,
    counted,
    entries,
    llm,
    minicpm,
    repo,
    siglip,
    tokens,
)
from tests.facts.truth import says, states

# --- Phi-3-vision


def test_a_tower_inside_the_embedding_module(tmp_path: Path) -> None:
    towers = repo(tmp_path, PHI_CONFIG, PHI).facts.value("vision_tower")
    inner = "model.vision_embed_tokens.img_processor"
    expected = [{"kind": "clip", "layers": 2, "prefix": {"one_of": [inner, f"{inner}.vision_model"]}}]
    assert says(expected, towers), towers


def test_learnt_separators_are_counted_beside_tower_and_language_model(tmp_path: Path) -> None:
    found = repo(tmp_path, PHI_CONFIG, PHI)
    roles = counted(found)
    assert roles["connector"] + roles.get("extra", 0) == 4 + 2
    assert says({"prefix": "model.vision_embed_tokens.img_projection"}, found.facts.value("connector"))


def test_fused_language_layers_beside_an_embedding_module_with_a_tower(tmp_path: Path) -> None:
    found = repo(tmp_path, PHI_CONFIG, PHI)
    roles = counted(found)
    assert roles["language_model"] + roles.get("head", 0) == 2 * 6 + 3
    assert found.facts.value("tied_embeddings") is False


def test_an_img_processor_is_a_vision_part_without_a_vision_config(tmp_path: Path) -> None:
    assert repo(tmp_path, PHI_CONFIG, PHI).facts.value("modalities") == ["image"]


# --- Qwen-VL


def test_a_model_type_shared_with_a_text_model_is_told_apart_by_the_visual_dict(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    seeing = repo(tmp_path / "a", {**QWEN_VL, "visual": VISUAL}).facts
    blind = repo(tmp_path / "b", QWEN_VL).facts
    assert (seeing.value("modalities"), seeing.value("vision_config_key")) == (["image"], "visual")
    assert not states(blind["modalities"])
    assert not states(blind["vision_tower"])


def test_an_index_of_pickles_is_read_and_called_unsafe(tmp_path: Path) -> None:
    names = [*QWEN_TEXT, *OPEN_CLIP]
    index = {"weight_map": dict.fromkeys(names, "pytorch_model-00001-of-00002.bin")}
    found = repo(tmp_path, {**QWEN_VL, "visual": VISUAL}, pytorch_model__bin__index__json=index)
    assert sum(counted(found).values()) == len(names)
    assert "pickle" in json.dumps(found.facts.value("security"))


def test_stored_position_tables_stay_with_tower_and_pool(tmp_path: Path) -> None:
    found = repo(tmp_path, {**QWEN_VL, "visual": VISUAL}, [*QWEN_TEXT, *OPEN_CLIP])
    roles = counted(found)
    assert roles["tower"] + roles["connector"] == len(OPEN_CLIP)
    expected = [{"prefix": "transformer.visual", "hidden_size": 16, "layers": 3, "heads": 2, "patch_size": 14}]
    assert says(expected, found.facts.value("vision_tower")), found.facts["vision_tower"]


def test_a_start_id_alone_names_no_repeated_token(tmp_path: Path) -> None:
    """The image's path is written as bytes between start and end: the config knows only where that begins."""
    found = repo(tmp_path, {**QWEN_VL, "visual": VISUAL})
    assert not any(states(found.facts[name]) for name in ("image_context_token", "image_context_token_id"))


# --- DeepSeek-OCR


def test_a_third_spelling_of_the_language_config_beats_its_copy_at_the_top(tmp_path: Path) -> None:
    found = repo(tmp_path, {**OCR, "hidden_size": 24, "vocab_size": 77})
    assert found.facts.value("text_config_key") == "language_config"
    assert says({"architecture": "DeepseekV2ForCausalLM", "vocab_size": 90}, found.facts.value("language_model"))


def test_an_inner_auto_map_to_files_that_no_version_has(tmp_path: Path) -> None:
    inner = {**OCR["language_config"], "auto_map": {"AutoConfig": "configuration_d2.D2Config"}}
    found = repo(tmp_path, {**OCR, "language_config": inner})
    assert (None, "configuration_d2.py", False) in entries(found)
    assert "configuration_d2.py" in found.facts["auto_map"].note


def test_two_towers_side_by_side_each_with_its_own_width(tmp_path: Path) -> None:
    towers = repo(tmp_path, OCR, OCR_NAMES).facts.value("vision_tower")
    expected = [
        {"kind": "sam", "prefix": "model.sam_model", "hidden_size": 12, "layers": 3, "heads": 2},
        {"kind": "clip", "prefix": "model.vision_model", "hidden_size": 16, "layers": 2, "heads": 4},
    ]
    assert says(expected, towers), towers


def test_misspelt_and_learnt_separators_are_counted_and_no_tokens(tmp_path: Path) -> None:
    found = repo(tmp_path, OCR, OCR_NAMES)
    roles = counted(found)
    assert roles["connector"] + roles.get("extra", 0) == 4
    assert roles["tower"] == len(SAM) + len(OCR_CLIP)
    assert not states(found.facts["image_separators"])


def test_null_in_a_config_is_a_value_and_not_a_missing_key(tmp_path: Path) -> None:
    found = repo(tmp_path, OCR)
    assert found.resolve("text", "kv_lora_rank").value == {"path": "language_config.kv_lora_rank", "value": None}
    assert found.resolve("text", "use_mla").value == {"path": "language_config.use_mla", "value": False}


def test_a_processor_class_that_the_repo_lacks_is_no_code_of_the_repo(tmp_path: Path) -> None:
    settings = {"processor_class": "SomebodyElsesProcessor", "image_token": "<image>", "patch_size": 16}
    found = repo(tmp_path, OCR, processor_config__json=settings, tokenizer_config__json=tokens({"<image>": 80}))
    assert not states(found.facts["auto_map"])
    assert (found.facts.value("image_context_token"), found.facts.value("image_context_token_id")) == ("<image>", 80)


# --- Logics


def test_two_towers_of_which_only_one_has_a_config(tmp_path: Path) -> None:
    towers = repo(tmp_path, LOGICS, LOGICS_NAMES).facts.value("vision_tower")
    assert isinstance(towers, list)
    kinds = {tower["kind"]: tower for tower in towers}
    assert set(kinds) == {"convnext", "siglip"}, towers
    assert (kinds["siglip"]["hidden_size"], kinds["convnext"]["hidden_size"]) in ((16, None), (16, 24))


def test_a_towers_unused_head_stays_in_the_tower(tmp_path: Path) -> None:
    roles = counted(repo(tmp_path, LOGICS, LOGICS_NAMES))
    assert roles["tower"] == len(CONVNEXT) + len(siglip("x"))
    assert roles["connector"] + roles.get("extra", 0) == 4 + 1


def test_code_files_that_are_absent_are_named(tmp_path: Path) -> None:
    found = repo(tmp_path, LOGICS, processor_config__json={"auto_map": {"AutoProcessor": "processing_o.P"}})
    for file in ("configuration_o.py", "modeling_o.py", "processing_o.py"):
        assert file in found.facts["auto_map"].note
    assert any("modeling_o.py" in problem for problem in found.problems)


def test_stock_tokens_of_the_language_model_are_not_the_repos_image_tokens(tmp_path: Path) -> None:
    """Qwen's tokenizer brings `<|image_pad|>` along; a repo that puts -200 in its ids does not use it."""
    ids = {"<|vision_start|>": 80, "<|vision_end|>": 81, "<|vision_pad|>": 82, "<|image_pad|>": 83, "<|video_pad|>": 84}
    found = repo(tmp_path, LOGICS, LOGICS_NAMES, tokenizer_config__json=tokens(ids))
    names = ("image_context_token", "image_context_token_id", "image_start_token", "image_end_token")
    assert not any(states(found.facts[name]) for name in names)
    assert found.facts.value("modalities") == ["image"]


# --- VideoLLaMA3


def test_files_disagree_about_where_the_processor_is(tmp_path: Path) -> None:
    found = repo(
        tmp_path,
        STREAM,
        tokenizer_config__json={"auto_map": {"AutoProcessor": "processing_old.P"}},
        processor_config__json={"auto_map": {"AutoProcessor": "processing_new.P"}},
    )
    assert entries(found) == {(None, "processing_old.py", False), (None, "processing_new.py", False)}


def test_a_null_tower_key_beside_the_real_config(tmp_path: Path) -> None:
    found = repo(tmp_path, STREAM, STREAM_NAMES)
    assert found.facts.value("vision_config_key") == "vision_encoder_config"
    assert says([{"prefix": "model.vision_encoder", "hidden_size": 16, "heads": 2}], found.facts.value("vision_tower"))


def test_videos_with_frame_and_merge_settings_are_a_modality(tmp_path: Path) -> None:
    settings = {"image_merge_size": 1, "video_merge_size": 2, "fps": 1, "max_frames": 128}
    sizes = {"patch_size": 14, "min_tokens": 16, "max_tokens": 64, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    template = (
        "{% for c in messages[0]['content'] %}{% if c['type'] == 'image' %}{{ image_token }}"
        "{% elif c['type'] == 'video' %}{{ image_token }}{% endif %}{% endfor %}"
    )
    found = repo(
        tmp_path,
        STREAM,
        STREAM_NAMES,
        processor_config__json=settings,
        preprocessor_config__json=sizes,
        chat_template__json={"chat_template": template},
        tokenizer_config__json=tokens({"<image>": 80}),
    )
    assert found.facts.value("modalities") == ["image", "video"]
    assert found.facts.value("native_resolution") is True
    assert found.facts.value("merge_size") == 1


# --- SciCore-Omics


def test_modules_beside_the_three_parts_are_extra(tmp_path: Path) -> None:
    names = [*llm("llm.model", "llm.lm_head"), *siglip("vpm"), *RESAMPLER, *GENES]
    found = repo(tmp_path, {**QWEN, **TOP, "vision_config": SIGLIP, "gene_config": {"dim_model": 8}}, names)
    assert counted(found)["extra"] == len(GENES)
    assert found.facts.value("modalities") == ["image"]


def test_start_and_end_of_another_modality_are_not_the_images(tmp_path: Path) -> None:
    settings = {
        "im_start": "<image>",
        "im_end": "</image>",
        "gene_start": "<gene>",
        "gene_end": "</gene>",
        "unk": "<unk>",
    }
    ids = {"<unk>": 0, "<image>": 60, "</image>": 61, "<gene>": 62, "</gene>": 63}
    found = minicpm(tmp_path, preprocessor_config__json=settings, tokenizer_config__json=tokens(ids))
    assert (found.facts.value("image_start_token"), found.facts.value("image_end_token")) == ("<image>", "</image>")


# --- MinerU2


def test_no_auto_map_and_no_code_is_absent_and_not_an_error(tmp_path: Path) -> None:
    found = repo(tmp_path, MINERU)
    assert found.facts["auto_map"].confidence is Confidence.ABSENT
    assert found.facts.value("tied_embeddings") is True


def test_an_image_token_at_an_id_that_stock_qwen_gives_to_another(tmp_path: Path) -> None:
    found = repo(tmp_path, MINERU, tokenizer_config__json=tokens({"<image>": 151646}))
    assert (found.facts.value("image_context_token"), found.facts.value("image_context_token_id")) == (
        "<image>",
        151646,
    )


def test_grid_pinpoints_as_a_shorthand_string_make_no_number_up(tmp_path: Path) -> None:
    found = repo(tmp_path, MINERU)
    assert not states(found.facts["max_tiles"]) or found.facts.value("max_tiles") in (9, 16)
    assert not states(found.facts["min_tiles"]) or found.facts.value("min_tiles") == 1


def test_a_tower_config_in_a_folder_of_the_repo(tmp_path: Path) -> None:
    folder = tmp_path / "repo" / "google" / "siglip-so400m-patch14-384"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "siglip", "vision_config": SIGLIP}))
    (folder.parents[1] / "config.json").write_text(json.dumps(MINERU))
    found = read(folder.parents[1])
    expected = [{"kind": "siglip", "hidden_size": 16, "layers": 2, "heads": 2, "patch_size": 14}]
    assert says(expected, found.facts.value("vision_tower")), found.facts["vision_tower"]


# --- Nemotron-Parse


def test_encoder_and_decoder_take_the_place_of_vision_and_text_config(tmp_path: Path) -> None:
    found = repo(tmp_path, PARSE)
    assert says([{"kind": "radio", "patch_size": 16}], found.facts.value("vision_tower")), found.facts["vision_tower"]
    assert says({"model_type": "odd_text", "hidden_size": 24}, found.facts.value("language_model"))
    assert found.facts.value("modalities") == ["image"]


def test_an_encoder_without_a_model_type_from_another_repo(tmp_path: Path) -> None:
    found = repo(tmp_path, PARSE)
    assert ("someone/RADIO", "hf_model.py", False) in entries(found)
    assert "someone/RADIO" in json.dumps(found.facts.value("security"))


def test_an_image_size_with_two_sides_keeps_both(tmp_path: Path) -> None:
    assert repo(tmp_path, PARSE).facts.value("image_size") == [2048, 1648]


def test_a_decoder_has_its_own_count_of_layers(tmp_path: Path) -> None:
    assert says({"layers": 10}, repo(tmp_path, PARSE).facts.value("language_model"))


def test_the_decoders_vocabulary_is_the_one_that_is_embedded(tmp_path: Path) -> None:
    found = repo(tmp_path, PARSE)
    assert says({"vocab_size": 52352}, found.facts.value("language_model"))
    assert found.facts.value("tied_embeddings") is False


def test_an_encoder_decoder_has_no_image_token(tmp_path: Path) -> None:
    names = ("image_context_token", "image_placeholder", "tokens_per_tile")
    assert not any(states(repo(tmp_path, PARSE).facts[name]) for name in names[:1])

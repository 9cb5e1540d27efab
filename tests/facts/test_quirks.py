"""Every oddity that real repos showed in their data files, rebuilt small: one test each, named after it.

The rest stand in `test_quirks_layouts.py`, and what needs code in `test_quirks_code.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

from porter.facts import Confidence
from tests.facts.odd_repos import (
    NF4,
    QWEN,
    RESAMPLER,
    SIGLIP,
    counted,
    entries,
    llm,
    minicpm,
    molmo,
    repo,
    siglip,
    tokens,
)
from tests.facts.truth import says, states

# --- a MoonViT in front of a decoder that fills blocks


def test_a_tower_whose_auto_map_runs_another_repos_code_is_named(tmp_path: Path) -> None:
    vision = {**SIGLIP, "model_type": "moonvit", "auto_map": {"AutoModel": "someone/Tower--modeling_t.Tower"}}
    found = repo(tmp_path, {"vision_config": vision, "text_config": QWEN})
    assert ("someone/Tower", "modeling_t.py", False) in entries(found)
    assert "someone/Tower" in json.dumps(found.facts.value("security"))


def test_a_back_end_that_vllm_does_not_know_is_reported(tmp_path: Path) -> None:
    found = repo(tmp_path, {"_attn_implementation": "magi", "text_config": QWEN, "vision_config": SIGLIP})
    assert found.facts.value("attention_backends") == ["magi"]


def test_a_language_model_that_fills_blocks_is_reported(tmp_path: Path) -> None:
    blocks = {**QWEN, "causal_attn": False, "block_size": 6, "text_mask_token_id": 88}
    fact = repo(tmp_path, {"text_config": blocks, "vision_config": SIGLIP}).facts["decoding"]
    assert (fact.value, fact.confidence) == ("blocks", Confidence.LIKELY)
    assert "slow path" in fact.note


def test_ordinary_decoding_is_not_worth_a_fact(tmp_path: Path) -> None:
    assert "decoding" not in list(repo(tmp_path, {"text_config": QWEN, "vision_config": SIGLIP}).facts)


def test_a_config_that_ties_beside_a_stored_head_is_never_certain(tmp_path: Path) -> None:
    names = [*llm("language_model.model", "language_model.lm_head"), *siglip("vision_model")]
    found = repo(tmp_path, {"vision_config": SIGLIP, "text_config": {**QWEN, "tie_word_embeddings": True}}, names)
    fact = found.facts["tied_embeddings"]
    assert fact.confidence is not Confidence.CERTAIN
    assert fact.note


def test_patches_merged_in_the_tower_at_native_resolution(tmp_path: Path) -> None:
    vision = {**SIGLIP, "model_type": "moonvit", "merge_kernel_size": [2, 2]}
    del vision["image_size"]
    settings = {"merge_kernel_size": [2, 2], "patch_size": 14, "in_token_limit": 400}
    found = repo(tmp_path, {"vision_config": vision, "text_config": QWEN}, preprocessor_config__json=settings)
    assert found.facts.value("merge_size") == 2
    assert found.facts.value("native_resolution") is True
    assert not states(found.facts["image_size"])
    assert not states(found.facts["downsample_ratio"])


def test_a_thousand_coordinate_tokens_do_not_hide_the_image_token(tmp_path: Path) -> None:
    ids = {"<IMG_CONTEXT>": 100, "<img>": 101, "</img>": 102, **{f"<{i}>": 103 + i for i in range(1001)}}
    named = {"image_token": "<IMG_CONTEXT>", "image_start_token": "<img>", "image_end_token": "</img>"}
    config = {"image_token_index": 100, "vision_config": SIGLIP, "text_config": QWEN}
    found = repo(tmp_path, config, tokenizer_config__json=tokens(ids), processor_config__json=named)
    names = ("image_context_token", "image_context_token_id", "image_start_token", "image_end_token")
    assert [found.facts.value(name) for name in names] == ["<IMG_CONTEXT>", 100, "<img>", "</img>"]


def test_a_preprocessor_without_mean_or_patch_size_leaves_them_unknown(tmp_path: Path) -> None:
    vision = {key: value for key, value in SIGLIP.items() if key != "patch_size"}
    settings = {"image_processor_type": "OddImageProcessor"}
    found = repo(tmp_path, {"vision_config": vision, "text_config": QWEN}, preprocessor_config__json=settings)
    assert not any(states(found.facts[name]) for name in ("image_mean", "image_std", "patch_size"))


# --- Eagle2.5 as GR00T uses it


def test_tile_settings_spelt_tiles_are_read(tmp_path: Path) -> None:
    config = {
        "force_image_size": 28,
        "min_dynamic_tiles": 1,
        "max_dynamic_tiles": 12,
        "use_thumbnail": True,
        "select_layer": -1,
        "vision_config": SIGLIP,
        "text_config": QWEN,
    }
    found = repo(tmp_path, config)
    values = [found.facts.value(name) for name in ("image_size", "min_tiles", "max_tiles", "use_thumbnail")]
    assert values == [28, 1, 12, True]


def test_a_shuffle_that_is_switched_off_beats_the_ratio_beside_it(tmp_path: Path) -> None:
    config = {"downsample_ratio": 0.5, "use_pixel_shuffle": False, "vision_config": SIGLIP, "text_config": QWEN}
    found = repo(tmp_path, config)
    assert found.facts.value("downsample_ratio") == 1.0
    assert found.facts.value("pixel_shuffle") is None


def test_a_placeholder_word_of_the_processor_is_not_the_text_in_a_prompt(tmp_path: Path) -> None:
    """The template writes `<image-1>`; `image_placeholder: image` alone stands in no prompt."""
    loop = "{% for c in messages[0]['content'] %}{% if c['type'] == 'image' %}"
    template = loop + "<image-{{ loop.index }}>{% endif %}{% endfor %}"
    found = repo(
        tmp_path,
        {"vision_config": SIGLIP, "text_config": QWEN},
        processor_config__json={"image_placeholder": "image", "image_token": "<ctx>"},
        chat_template__json={"chat_template": template},
        tokenizer_config__json=tokens({"<ctx>": 90}),
    )
    fact = found.facts["image_placeholder"]
    assert not (states(fact) and fact.value == "image")


# --- InternVL2


def test_a_language_model_config_of_another_name_with_its_own_auto_map(tmp_path: Path) -> None:
    inner = {
        **QWEN,
        "architectures": ["InternLM2ForCausalLM"],
        "model_type": "internlm2",
        "auto_map": {"AutoConfig": "configuration_l.LConfig", "AutoModelForCausalLM": "modeling_l.L"},
    }
    found = repo(tmp_path, {"llm_config": inner, "vision_config": SIGLIP})
    assert found.facts.value("text_config_key") == "llm_config"
    assert {(None, "configuration_l.py", False), (None, "modeling_l.py", False)} <= entries(found)
    assert says(
        {"architecture": "InternLM2ForCausalLM", "model_type": "internlm2"}, found.facts.value("language_model")
    )


def test_fused_projections_and_an_output_head_of_another_name(tmp_path: Path) -> None:
    leaves = (
        "attention.wqkv",
        "attention.wo",
        "feed_forward.w1",
        "feed_forward.w2",
        "feed_forward.w3",
        "attention_norm",
        "ffn_norm",
    )
    inside = [f"language_model.model.layers.{i}.{leaf}.weight" for i in range(2) for leaf in leaves]
    ends = [
        "language_model.model.tok_embeddings.weight",
        "language_model.model.norm.weight",
        "language_model.output.weight",
    ]
    inner = {**QWEN, "model_type": "internlm2"}
    found = repo(tmp_path, {"llm_config": inner, "vision_config": SIGLIP}, [*inside, *ends, *siglip("vision_model")])
    assert found.facts.value("tied_embeddings") is False
    assert says({"prefix": "language_model"}, found.facts.value("language_model"))
    roles = counted(found)
    assert roles["language_model"] + roles.get("head", 0) == len(inside) + len(ends)


def test_without_a_preprocessor_size_and_tiles_come_from_the_config(tmp_path: Path) -> None:
    config = {
        "force_image_size": 28,
        "min_dynamic_patch": 1,
        "max_dynamic_patch": 6,
        "use_thumbnail": True,
        "dynamic_image_size": True,
        "vision_config": SIGLIP,
        "llm_config": QWEN,
    }
    found = repo(tmp_path, config)
    values = [found.facts.value(name) for name in ("image_size", "min_tiles", "max_tiles", "use_thumbnail")]
    assert values == [28, 1, 6, True]
    assert not states(found.facts["image_mean"])


def test_an_auto_map_list_with_null_names_one_class(tmp_path: Path) -> None:
    settings = {"auto_map": {"AutoTokenizer": ["tokenization_t.T", None]}}
    found = repo(tmp_path, {"vision_config": SIGLIP, "llm_config": QWEN}, tokenizer_config__json=settings)
    assert entries(found) == {(None, "tokenization_t.py", False)}


def test_ids_that_another_family_gives_to_other_tokens(tmp_path: Path) -> None:
    """151648 is `<|box_start|>` in Qwen2-VL; here it is what the repo says it is."""
    ids = {"<img>": 151646, "</img>": 151647, "<IMG_CONTEXT>": 151648}
    found = repo(tmp_path, {"vision_config": SIGLIP, "llm_config": QWEN}, tokenizer_config__json=tokens(ids))
    fact = found.facts["image_context_token"]
    assert (fact.value, found.facts.value("image_context_token_id")) == ("<IMG_CONTEXT>", 151648)
    assert fact.confidence is not Confidence.CERTAIN


def test_an_old_clip_record_says_nothing_about_tiles(tmp_path: Path) -> None:
    record = {
        "feature_extractor_type": "CLIPFeatureExtractor",
        "crop_size": 28,
        "do_center_crop": True,
        "size": 28,
        "image_mean": [0.1, 0.2, 0.3],
        "image_std": [0.4, 0.5, 0.6],
        "resample": 3,
    }
    config = {
        "force_image_size": 28,
        "dynamic_image_size": True,
        "min_dynamic_patch": 1,
        "max_dynamic_patch": 12,
        "use_thumbnail": True,
        "vision_config": SIGLIP,
        "llm_config": QWEN,
    }
    found = repo(tmp_path, config, preprocessor_config__json=record)
    assert (found.facts.value("max_tiles"), found.facts.value("use_thumbnail")) == (12, True)
    assert found.facts.value("image_mean") == [0.1, 0.2, 0.3]
    assert found.facts.value("resample") == "bicubic"


# --- MiniCPM-V-2


def test_a_flat_config_is_the_language_models_own(tmp_path: Path) -> None:
    found = minicpm(tmp_path)
    assert not states(found.facts["text_config_key"])
    assert not states(found.facts["vision_config_key"])
    expected = {"prefix": "llm", "hidden_size": 24, "layers": 2, "vocab_size": 90}
    assert says(expected, found.facts.value("language_model")), found.facts["language_model"]
    assert found.facts.value("tied_embeddings") is False


def test_a_timm_tower_with_its_last_block_dropped_has_the_blocks_that_are_stored(tmp_path: Path) -> None:
    found = minicpm(tmp_path)
    towers = found.facts.value("vision_tower")
    assert says([{"prefix": "vpm", "layers": 3}], towers), towers


def test_a_resamplers_bare_parameters_belong_to_it(tmp_path: Path) -> None:
    found = minicpm(tmp_path)
    assert counted(found)["connector"] == len(RESAMPLER)
    assert says({"prefix": "resampler"}, found.facts.value("connector"))


def test_scale_factors_at_the_top_are_found_for_the_language_model(tmp_path: Path) -> None:
    resolved = minicpm(tmp_path).resolve("text", "scale_emb")
    assert resolved.value == {"path": "scale_emb", "value": 12}


def test_an_absent_version_is_not_invented(tmp_path: Path) -> None:
    value = minicpm(tmp_path).resolve("model", "version").value
    assert not isinstance(value, dict) or value.get("value") is None


def test_the_token_that_opens_an_image_is_not_the_one_that_is_repeated(tmp_path: Path) -> None:
    settings = {
        "im_start": "<image>",
        "im_end": "</image>",
        "slice_start": "<slice>",
        "slice_end": "</slice>",
        "unk": "<unk>",
        "norm_mean": [0.5, 0.5, 0.5],
        "norm_std": [0.5, 0.5, 0.5],
    }
    ids = {"<unk>": 0, "<image>": 60, "</image>": 61, "<slice>": 62, "</slice>": 63}
    found = minicpm(tmp_path, preprocessor_config__json=settings, tokenizer_config__json=tokens(ids))
    assert (found.facts.value("image_start_token"), found.facts.value("image_end_token")) == ("<image>", "</image>")
    context = found.facts["image_context_token"]
    assert not states(context) or context.value == "<unk>"
    assert found.facts.value("image_mean") == [0.5, 0.5, 0.5]


# --- Molmo in NF4


def test_side_tensors_of_a_quantisation_are_no_parameters(tmp_path: Path) -> None:
    found = molmo(tmp_path, {"quantization_config": NF4})
    assert counted(found)["side"] == 2 * 4 * 3
    assert says({"method": "bitsandbytes", "bits": 4}, found.facts.value("quantization"))


def test_a_quantisation_is_seen_by_its_side_tensors_alone(tmp_path: Path) -> None:
    assert says({"method": "bitsandbytes", "bits": 4}, molmo(tmp_path).facts.value("quantization"))


def test_two_embedding_tables_and_a_head_inside_the_transformer(tmp_path: Path) -> None:
    found = molmo(tmp_path)
    assert says({"prefix": "model.transformer", "hidden_size": 24, "layers": 2}, found.facts.value("language_model"))
    assert found.facts.value("tied_embeddings") is False


def test_image_ids_above_the_vocabulary_size_are_kept(tmp_path: Path) -> None:
    ids = {"<im_start>": 90, "<im_end>": 91, "<im_patch>": 92, "<im_col>": 93, "<|image|>": 94}
    found = molmo(tmp_path, tokenizer_config__json=tokens(ids))
    context = found.facts["image_context_token"]
    assert not states(context) or (context.value, found.facts.value("image_context_token_id")) == ("<im_patch>", 92)


def test_files_need_not_be_called_configuration_or_image_processing(tmp_path: Path) -> None:
    found = molmo(
        tmp_path,
        {"auto_map": {"AutoConfig": "config_m.MConfig", "AutoModel": "modeling_m.M"}},
        preprocessor_config__json={"auto_map": {"AutoImageProcessor": "image_preprocessing_m.P"}},
    )
    assert {file for _, file, _ in entries(found)} == {"config_m.py", "modeling_m.py", "image_preprocessing_m.py"}


def test_a_tower_without_any_vision_config_is_seen_by_its_names(tmp_path: Path) -> None:
    found = molmo(tmp_path)
    towers = found.facts.value("vision_tower")
    expected = [{"prefix": "model.vision_backbone.image_vit", "layers": 3, "kind": {"one_of": ["clip", "open_clip"]}}]
    assert says(expected, towers), towers
    assert found.facts.value("modalities") == ["image"]

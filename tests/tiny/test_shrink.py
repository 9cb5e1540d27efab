"""The shrinking rules: what stays, what changes, and that a tiny config is left alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from porter.jsontypes import JSON, JSONObject
from porter.tiny import sizes as rules
from porter.tiny.roles import Hints
from porter.tiny.shrink import CONFIG, Request, Shrunk, shrink

TEXT: JSONObject = {
    "hidden_size": 2048,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "intermediate_size": 8192,
    "rms_norm_eps": 1e-5,
    "vocab_size": 92553,
    "max_position_embeddings": 32768,
}
VISION: JSONObject = {
    "width": 1024,
    "depth": 24,
    "num_heads": 16,
    "mlp_dim": 4096,
    "image_size": 448,
    "patch_size": 14,
    "layer_norm_eps": 1e-6,
}


def shrunk(text: JSONObject = {}, vision: JSONObject = {}, top: JSONObject = {}, **request: Any) -> Shrunk:  # noqa: B006
    config: JSONObject = {"llm": {**TEXT, **text}, "vis": {**VISION, **vision}, **top}
    files = {CONFIG: config, **request.pop("files", {})}
    return shrink(files, Request(Hints(("llm",)), (Hints(("vis",)),), merge=2, **request))


def part(result: Shrunk, name: str) -> Any:
    return result.files[CONFIG][name]


def test_ratios_and_structure_are_kept() -> None:
    text = part(shrunk(vocab=320), "llm")
    assert text["num_attention_heads"] == 2 * text["num_key_value_heads"]
    assert text["hidden_size"] // text["num_attention_heads"] in rules.HEAD_SIZES
    assert text["intermediate_size"] == 4 * text["hidden_size"]
    assert text["vocab_size"] == 320
    assert text["max_position_embeddings"] == 32768


def test_the_vocabulary_stays_without_a_smaller_tokenizer() -> None:
    assert part(shrunk(), "llm")["vocab_size"] == 92553


def test_renamed_vision_keys_are_found_by_alias() -> None:
    vision = part(shrunk(), "vis")
    assert vision["width"] < 1024 and vision["depth"] < 24 and vision["mlp_dim"] == 4 * vision["width"]


def test_a_key_nobody_knows_is_found_by_its_value() -> None:
    config: JSONObject = {"llm": dict(TEXT), "vis": {"schmal": 1152, "n_heads": 16, "n_layers": 27, "patch_size": 14}}
    hints = Hints(("vis",), sizes={"hidden_size": 1152})
    vision: Any = shrink({CONFIG: config}, Request(Hints(("llm",)), (hints,))).files[CONFIG]["vis"]
    assert vision["schmal"] == vision["n_heads"] * rules.VISION_HEAD


def test_a_size_that_only_the_code_states_is_written_out() -> None:
    config: JSONObject = {"llm": {"vocab_size": 5000}, "vis": dict(VISION)}
    sizes = {"hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2, "num_hidden_layers": 24}
    text: Any = shrink({CONFIG: config}, Request(Hints(("llm",), sizes=sizes))).files[CONFIG]["llm"]
    assert (text["num_attention_heads"], text["num_key_value_heads"]) == (14, 2)
    assert text["hidden_size"] == 14 * rules.TEXT_HEAD and text["num_hidden_layers"] == 2


@pytest.mark.parametrize(
    ("tapped", "new"), [(-1, -1), (-2, -2), (23, 2), (22, 2), ([-2, -5], [-2, -5]), ([6, 12, 18, 24], None)]
)
def test_tapped_layers_still_exist(tapped: Any, new: Any) -> None:
    result = shrunk(top={"select_layer": tapped})
    depth, found = part(result, "vis")["depth"], part(result, "select_layer")
    indices = found if isinstance(found, list) else [found]
    assert all(-depth <= index <= depth and index != 0 for index in indices)
    assert depth >= 2
    if new is not None:
        assert found == new


def test_images_shrink_everywhere_and_keep_the_grid_divisible() -> None:
    processor: JSONObject = {"size": {"height": 448, "width": 448}, "crop_size": 448, "rescale_factor": 0.1}
    result = shrunk(
        top={"force_image_size": 448}, files={"preprocessor_config.json": processor}, tokens_per_tile=256, tile=448
    )
    tile = part(result, "vis")["image_size"]
    assert (tile // 14) % 2 == 0 and tile % 14 == 0 and tile < 128
    assert part(result, "force_image_size") == tile == result.tile
    assert result.files["preprocessor_config.json"] == {
        "size": {"height": tile, "width": tile},
        "crop_size": tile,
        "rescale_factor": 0.1,
    }


def test_an_image_size_that_only_a_processor_class_states_stays() -> None:
    result = shrunk(vision={"image_size": 980, "patch_size": 14}, tile=0)
    assert part(result, "vis")["image_size"] == 980


def test_widths_of_the_connector_follow() -> None:
    top: JSONObject = {
        "mm_hidden_size": 1024,
        "hidden_size": 2048,
        "projector": {"input_dim": 4096, "output_dim": 2048, "inner_dim": 777},
    }
    result = shrunk(top=top)
    vision, text = part(result, "vis")["width"], part(result, "llm")["hidden_size"]
    assert part(result, "mm_hidden_size") == vision
    assert part(result, "hidden_size") == text
    assert part(result, "projector") == {"input_dim": 4 * vision, "output_dim": text, "inner_dim": 777}


def test_layer_kinds_are_all_met() -> None:
    kinds: list[JSON] = [*["sliding"] * 5, "full"]
    text = part(shrunk(text={"layer_types": kinds * 4, "num_hidden_layers": 24}), "llm")
    assert set(text["layer_types"]) == {"sliding", "full"}
    assert len(text["layer_types"]) == text["num_hidden_layers"] == 6


def test_long_rope_has_a_factor_for_each_pair_of_the_new_head() -> None:
    factors: JSONObject = {"type": "su", "short_factor": [1.0] * 64, "long_factor": [2.0] * 64, "factor": 8.0}
    text = part(shrunk(text={"rope_scaling": factors, "head_dim": 128}), "llm")
    assert len(text["rope_scaling"]["short_factor"]) * 2 == text["head_dim"] < 128
    assert text["rope_scaling"]["long_factor"] == [2.0] * (text["head_dim"] // 2)
    assert text["rope_scaling"]["factor"] == 8.0


def test_rope_sections_keep_their_proportions() -> None:
    rope: JSONObject = {"rope_type": "default", "mrope_section": [16, 24, 24]}
    text = part(shrunk(text={"rope_scaling": rope}), "llm")
    assert sum(text["rope_scaling"]["mrope_section"]) * 2 == text["hidden_size"] // text["num_attention_heads"]
    assert text["rope_scaling"]["mrope_section"] == [4, 6, 6]


def test_windows_act_and_experts_are_enough() -> None:
    text = part(shrunk(text={"sliding_window": 4096, "num_experts": 64, "num_experts_per_tok": 6}), "llm")
    assert 0 < text["sliding_window"] < 64
    assert text["num_experts"] >= 2 * text["num_experts_per_tok"]
    assert part(shrunk(text={"sliding_window": 4096, "use_sliding_window": False}), "llm")["sliding_window"] == 4096


def test_each_epsilon_is_its_own() -> None:
    result = shrunk(top={"rms_norm_eps": 1e-5, "projector": {"norm_eps": 1e-5}})
    text, vision = part(result, "llm")["rms_norm_eps"], part(result, "vis")["layer_norm_eps"]
    other = part(result, "projector")["norm_eps"]
    assert len({text, vision, other, 1e-5, 1e-6}) == 5
    assert part(result, "rms_norm_eps") == text


def test_a_tiny_config_changes_in_epsilons_only() -> None:
    tiny = shrunk(vocab=320)
    again = shrink(tiny.files, Request(Hints(("llm",)), (Hints(("vis",)),), merge=2, vocab=320))
    assert [change.path for change in again.changes] == []


def test_quantisation_is_dropped() -> None:
    assert "quantization_config" not in part(shrunk(text={"quantization_config": {"bits": 4}}), "llm")


def test_changes_name_file_path_and_both_values() -> None:
    changes = {change.path: (change.old, change.new) for change in shrunk(vocab=320).changes}
    assert changes["config.json:llm.vocab_size"] == (92553, 320)


@given(heads=st.integers(1, 128), kv=st.integers(1, 128))
def test_heads_keep_their_ratio_and_never_grow(heads: int, kv: int) -> None:
    kv = min(kv, heads)
    heads -= heads % kv
    new_heads, new_kv = rules.tiny_heads(heads, kv)
    assert new_heads * kv == new_kv * heads
    assert 0 < new_kv <= kv and new_heads <= heads


@given(st.dictionaries(st.text(max_size=12), st.recursive(st.integers() | st.text() | st.none(), st.lists), max_size=8))
def test_any_config_is_survived(config: Any) -> None:
    result = shrink({CONFIG: config}, Request(Hints(()), (Hints(("vision_config",)),), merge=2, vocab=320))
    assert set(result.files[CONFIG]) >= set(config) - {"quantization_config", "compression_config"}


def test_resolutions_keep_their_number_of_tiles() -> None:
    result = shrunk(top={"image_grid_pinpoints": [[448, 896], [1344, 448]]}, tile=448)
    new = result.tile
    assert new is not None and new < 448
    assert part(result, "image_grid_pinpoints") == [[new, 2 * new], [3 * new, new]]

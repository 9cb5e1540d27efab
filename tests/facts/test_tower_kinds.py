"""The kind of a tower by its parameters' names is the one that the same names have in a checkpoint."""

from __future__ import annotations

import pytest

from porter.facts.tower_kinds import kind_by_names, kind_by_word
from tests.facts.checkpoints import CHECKPOINTS, names_of


@pytest.mark.parametrize("outer", ["", "vision_model."])
@pytest.mark.parametrize("name", sorted(CHECKPOINTS))
def test_names_tell_the_kind_whatever_stands_before_them(name: str, outer: str) -> None:
    inside = [tensor.removeprefix("tower.") for tensor in names_of(name) if tensor.startswith("tower.")]
    assert kind_by_names(dict.fromkeys((f"{outer}{tensor}" for tensor in inside), None)) == CHECKPOINTS[name].kind


def test_a_decoder_and_no_names_are_no_tower() -> None:
    decoder = [tensor for tensor in names_of("siglip") if not tensor.startswith("tower.")]
    assert decoder and kind_by_names(dict.fromkeys(decoder, None)) is None
    assert kind_by_names({}) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SiglipVisionModel", "siglip"),
        ("siglip2_vision_model", "siglip2"),
        ("CLIPVisionModel", "clip"),
        ("AIMv2Model", "aimv2"),
        ("DINOv3ViTModel", "dinov3"),
        ("Qwen2VisionTransformerPretrainedModel", "qwen2_vl"),
        ("Qwen2_5_VisionTransformerPretrainedModel", "qwen2_5_vl"),
        ("Sam2VisionModel", "sam"),
        ("PerceiverResampler", None),
        ("medieval_encoder", None),
    ],
)
def test_words_tell_the_kind(text: str, kind: str | None) -> None:
    assert kind_by_word(text) == kind

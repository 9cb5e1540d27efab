"""LLaVA and LLaVA-NeXT under other names (`tests/llava` has repos of their shape with code of its own)."""

from __future__ import annotations

from dataclasses import replace

from tests.twins.catalog.common import CLIP_MEAN, CLIP_STD, ENDS, TEXT
from tests.twins.shapes import Edit, Family, Insert, Twin

CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
    "hidden_act": "quick_gelu",
    "projection_dim": 64,
}
PIXELS = {
    "do_center_crop": True,
    "crop_size": {"height": 56, "width": 56},
    "size": {"shortest_edge": 56},
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
    "resample": 3,
}
LLAVA = Family(
    name="llava",
    stems=("Llava",),
    base="Llava",
    config={
        "tie_word_embeddings": False,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "image_seq_length": 16,
        "vision_config": CLIP,
        "text_config": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "head_dim": 32, **TEXT},
    },
    tokens=("<image>",),
    token_keys={"image_token_index": "<image>", **ENDS},
    image="<image>",
    preprocessor={"image_processor_type": "CLIPImageProcessor", "processor_class": "LlavaProcessor", **PIXELS},
    processor={
        "processor_class": "LlavaProcessor",
        "patch_size": 14,
        "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1,
        "image_token": "<image>",
    },
)
PINPOINTS = [[56, 112], [112, 56], [112, 112], [56, 168]]
LLAVA_NEXT = replace(
    LLAVA,
    name="llava_next",
    stems=("LlavaNext",),
    base="LlavaNext",
    config={**LLAVA.config, "image_grid_pinpoints": PINPOINTS},
    preprocessor={
        "image_processor_type": "LlavaNextImageProcessor",
        "processor_class": "LlavaNextProcessor",
        "image_grid_pinpoints": PINPOINTS,
        **PIXELS,
    },
    processor={**LLAVA.processor, "processor_class": "LlavaNextProcessor"},
)
KEYS = {"vision_config": "eye_config", "image_token_index": "picture_token_index", "projector_hidden_act": "bridge_act"}
NAMES = {
    "vision_tower": "eyes",
    "multi_modal_projector": "bridge",
    "language_model": "mind",
    "linear_1": "widen",
    "linear_2": "project",
}
TOKENS = {"<image>": "<picture>"}
OUSEL = Twin("ousel-copy", LLAVA, "Ousel", "ousel_vl", keys=KEYS, names=NAMES, tokens=TOKENS)
PIPIT = Twin(
    "pipit-copy",
    LLAVA,
    "Pipit",
    "pipit",
    keys={"text_config": "llm_config"},
    names={"multi_modal_projector": "mm_projector"},
    inserts=(Insert("PipitModel", "__init__", 'self.register_buffer("pixel_mean", torch.zeros(3))'),),
    values={"vision_feature_layer": -1, "projector_hidden_act": "gelu_pytorch_tanh"},
)
ROLLER = Twin(
    "roller-swapped",
    LLAVA,
    "Roller",
    "roller_vl",
    keys={"vision_config": "eye_config"},
    names={"linear_1": "linear_2", "linear_2": "linear_1", "vision_tower": "language_tower"},
    values={"vision_config.hidden_size": 128, "vision_config.num_attention_heads": 4},
)
"""The connector's two layers, of one shape here, have each other's names."""
WAGTAIL = Twin(
    "wagtail-subclass",
    LLAVA,
    "Wagtail",
    "wagtail_vl",
    style="subclass",
    keys={"vision_config": "eye_config", "text_config": "mind_config"},
    tokens=TOKENS,
    values={"multimodal_projector_bias": False},
)
DUNNOCK = Twin(
    "dunnock-near",
    LLAVA,
    "Dunnock",
    "dunnock_vl",
    keys=KEYS,
    names=NAMES,
    tokens=TOKENS,
    edits=(Edit("LlavaMultiModalProjector", "self.act(hidden_states)", "hidden_states + self.act(hidden_states)"),),
    near_miss="the connector has a residual around its activation",
)
HALVED = """class WaxwingModel(LlavaModel):
    def get_image_features(self, *args, **kwargs):
        outputs = super().get_image_features(*args, **kwargs)
        outputs.pooler_output = [features * 0.5 for features in outputs.pooler_output]
        return outputs"""
WAXWING = replace(
    WAGTAIL,
    name="waxwing-near",
    title="Waxwing",
    model_type="waxwing_vl",
    imports="from transformers import LlavaModel",
    module=HALVED,
    init=("self.model = WaxwingModel(config)",),
    near_miss="an overridden method halves the image features",
)
FIELDFARE = replace(
    WAGTAIL,
    name="fieldfare-near",
    title="Fieldfare",
    model_type="fieldfare_vl",
    init=("self.model.multi_modal_projector.act = nn.SiLU()",),
    near_miss="the connector's activation is replaced after it was built",
)
STARLING = replace(
    WAGTAIL,
    name="starling-near",
    title="Starling",
    model_type="starling_vl",
    init=("self.model.multi_modal_projector.register_forward_hook(lambda module, args, output: output * 0.5)",),
    near_miss="a forward hook halves what the connector gives",
)
JACKDAW = replace(
    WAGTAIL,
    name="jackdaw-forced",
    title="Jackdaw",
    model_type="jackdaw_vl",
    config_init=('values["vision_feature_layer"] = -1',),
)
"""The config class takes another layer than config.json says."""
PETREL = Twin(
    "petrel-copy",
    LLAVA,
    "Petrel",
    "petrel",
    keys={"text_config": "llm_config"},
    names={"multi_modal_projector": "mm_projector", "linear_2": "final_norm"},
    edits=(
        Edit(
            "LlavaMultiModalProjector",
            "nn.Linear(\n            config.text_config.hidden_size, config.text_config.hidden_size, "
            "bias=config.multimodal_projector_bias\n        )",
            "nn.LayerNorm(config.text_config.hidden_size, bias=False)",
        ),
    ),
)
"""One Linear, and a norm where the second one was."""
BUNTING = Twin(
    "bunting-copy",
    LLAVA_NEXT,
    "Bunting",
    "bunting_vl",
    keys={**KEYS, "image_grid_pinpoints": "resolutions"},
    names={**NAMES, "image_newline": "row_end", "pack_image_features": "pack"},
    tokens=TOKENS,
)
SERIN = Twin(
    "serin-copy",
    LLAVA_NEXT,
    "Serin",
    "serin",
    keys={"text_config": "llm_config"},
    names={"vision_tower": "vision_encoder"},
    inserts=(Insert("SerinModel", "__init__", 'self.register_buffer("pixel_mean", torch.zeros(3))'),),
)
BRAMBLING = Twin(
    "brambling-subclass",
    LLAVA_NEXT,
    "Brambling",
    "brambling_vl",
    style="subclass",
    keys={"vision_config": "eye_config", "text_config": "mind_config", "image_grid_pinpoints": "resolutions"},
    tokens=TOKENS,
)
CROSSBILL = Twin(
    "crossbill-near",
    LLAVA_NEXT,
    "Crossbill",
    "crossbill_vl",
    keys=BUNTING.keys,
    names=BUNTING.names,
    tokens=TOKENS,
    edits=(
        Edit("LlavaNextModel", "torch.cat((base_image_feature, image_feature), dim=0)",
             "torch.cat((image_feature, base_image_feature), dim=0)"),
    ),
    near_miss="the tiles stand before the whole image",
)  # fmt: skip
TWINS = (
    ROLLER,
    OUSEL,
    PIPIT,
    WAGTAIL,
    DUNNOCK,
    WAXWING,
    FIELDFARE,
    STARLING,
    JACKDAW,
    PETREL,
    BUNTING,
    SERIN,
    BRAMBLING,
    CROSSBILL,
)

"""Mistral 3 and LightOnOCR (a Pixtral tower, a merging connector) under other names."""

from __future__ import annotations

from tests.twins.catalog.common import CLIP_MEAN, CLIP_STD, ENDS, TEXT
from tests.twins.shapes import Edit, Family, Insert, Twin

PIXTRAL = {
    "model_type": "pixtral",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "head_dim": 32,
    "image_size": 112,
    "patch_size": 14,
    "hidden_act": "silu",
    "rope_theta": 10000.0,
}
PIXELS = {
    "image_processor_type": "PixtralImageProcessor",
    "do_convert_rgb": True,
    "size": {"longest_edge": 112},
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
    "resample": 3,
}
MISTRAL3 = Family(
    name="mistral3",
    stems=("Mistral3",),
    base="Mistral3",
    config={
        "tie_word_embeddings": False,
        "spatial_merge_size": 2,
        "multimodal_projector_bias": False,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -1,
        "vision_config": PIXTRAL,
        "text_config": {
            "model_type": "mistral",
            "architectures": ["MistralForCausalLM"],
            **TEXT,
            "head_dim": 32,
            "sliding_window": None,
        },
    },
    tokens=("[IMG]", "[IMG_BREAK]", "[IMG_END]"),
    token_keys={"image_token_index": "[IMG]", **ENDS},
    image="[IMG]",
    preprocessor={**PIXELS, "processor_class": "PixtralProcessor", "patch_size": 14},
    processor={
        "processor_class": "PixtralProcessor",
        "patch_size": 14,
        "spatial_merge_size": 2,
        "image_token": "[IMG]",
        "image_break_token": "[IMG_BREAK]",
        "image_end_token": "[IMG_END]",
    },
)
TOKENS = {"[IMG]": "[PIC]", "[IMG_BREAK]": "[PIC_ROW]", "[IMG_END]": "[PIC_END]"}
KEYS = {"vision_config": "eye_config", "image_token_index": "picture_token_index", "spatial_merge_size": "merge"}
NAMES = {
    "vision_tower": "eyes",
    "multi_modal_projector": "bridge",
    "patch_merger": "fold",
    "merging_layer": "reduce",
    "Mistral3MultiModalProjector.norm": "pre_norm",
    "linear_1": "widen",
    "linear_2": "project",
}
TEAL = Twin(
    "teal-subclass",
    MISTRAL3,
    "Teal",
    "teal_vl",
    style="subclass",
    keys={"vision_config": "eye_config", "text_config": "mind_config", "spatial_merge_size": "merge"},
    tokens=TOKENS,
)
WIGEON = Twin("wigeon-copy", MISTRAL3, "Wigeon", "wigeon_vl", keys=KEYS, names=NAMES, tokens=TOKENS)
POCHARD = Twin(
    "pochard-copy",
    MISTRAL3,
    "Pochard",
    "pochard",
    keys={"text_config": "llm_config"},
    names={"language_model": "llm", "multi_modal_projector": "mm_projector"},
    inserts=(Insert("PochardModel", "__init__", 'self.register_buffer("pixel_mean", torch.zeros(3))'),),
    values={"multimodal_projector_bias": True, "vision_config.hidden_act": "gelu"},
)
GADWALL = Twin(
    "gadwall-near",
    MISTRAL3,
    "Gadwall",
    "gadwall_vl",
    keys=KEYS,
    names=NAMES,
    tokens=TOKENS,
    edits=(
        Edit("Mistral3MultiModalProjector", "image_features = self.norm(image_features)", "pass"),
        Edit(
            "Mistral3MultiModalProjector",
            "self.patch_merger(image_features, image_sizes)",
            "self.norm(self.patch_merger(image_features, image_sizes))",
        ),
    ),
    near_miss="the connector norms after merging instead of before",
)

LIGHTON_OCR = Family(
    name="lighton_ocr",
    stems=("LightOnOcr",),
    base="LightOnOcr",
    config={
        "tie_word_embeddings": False,
        "spatial_merge_size": 2,
        "vision_config": PIXTRAL,
        "text_config": {
            "model_type": "qwen3",
            "architectures": ["Qwen3ForCausalLM"],
            **TEXT,
            "head_dim": 32,
        },
    },
    tokens=("<|image_pad|>", "<|vision_pad|>", "<|vision_end|>"),
    token_keys={"image_token_id": "<|image_pad|>", **ENDS},
    image="<|image_pad|>",
    preprocessor={**PIXELS, "processor_class": "LightOnOcrProcessor", "patch_size": 28},
    processor={"processor_class": "LightOnOcrProcessor", "patch_size": 14, "spatial_merge_size": 2},
    named_tokens={
        "image_token": "<|image_pad|>",
        "image_break_token": "<|vision_pad|>",
        "image_end_token": "<|vision_end|>",
    },
)
OCR_TOKENS = {"<|image_pad|>": "<|page|>", "<|vision_pad|>": "<|row|>", "<|vision_end|>": "<|page_end|>"}
OCR_KEYS = {"vision_config": "eye_config", "image_token_id": "page_token_id", "spatial_merge_size": "merge"}
OCR_NAMES = {
    "vision_encoder": "eyes",
    "vision_projection": "bridge",
    "patch_merger": "fold",
    "merging_layer": "reduce",
    "LightOnOcrMultiModalProjector.norm": "pre_norm",
    "linear_1": "widen",
    "linear_2": "project",
}
EIDER = Twin(
    "eider-subclass",
    LIGHTON_OCR,
    "Eider",
    "eider_ocr",
    style="subclass",
    keys={"vision_config": "eye_config", "text_config": "mind_config", "spatial_merge_size": "merge"},
    tokens=OCR_TOKENS,
)
MALLARD = Twin("mallard-copy", LIGHTON_OCR, "Mallard", "mallard_ocr", keys=OCR_KEYS, names=OCR_NAMES, tokens=OCR_TOKENS)
SHELDUCK = Twin(
    "shelduck-copy",
    LIGHTON_OCR,
    "Shelduck",
    "shelduck",
    keys={"text_config": "llm_config"},
    names={"language_model": "llm", "vision_projection": "mm_projector"},
    inserts=(Insert("ShelduckModel", "__init__", 'self.register_buffer("pixel_mean", torch.zeros(3))'),),
    edits=(Edit("LightOnOcrMultiModalProjector", "nn.GELU()", "nn.SiLU()"),),
)
SHOVELER = Twin(
    "shoveler-near",
    LIGHTON_OCR,
    "Shoveler",
    "shoveler_ocr",
    keys=OCR_KEYS,
    names=OCR_NAMES,
    tokens=OCR_TOKENS,
    edits=(
        Edit(
            "LightOnOcrMultiModalProjector",
            "self.linear_2(hidden_states)",
            "hidden_states + self.linear_2(hidden_states)",
        ),
    ),
    near_miss="the connector has a residual around its second layer",
)
TWINS = (TEAL, WIGEON, POCHARD, GADWALL, EIDER, MALLARD, SHELDUCK, SHOVELER)

"""PaliGemma and Gemma 3 under other names."""

from __future__ import annotations

from dataclasses import replace

from tests.twins.catalog.common import ENDS, HALF, SIGLIP, TEXT
from tests.twins.shapes import Edit, Family, Insert, Twin

GEMMA_TEXT = {
    **TEXT,
    "head_dim": 32,
    "vocab_size": 1536,
    "hidden_activation": "gelu_pytorch_tanh",
    "tie_word_embeddings": True,
}
GEMMA_TEXT.pop("hidden_act")
GEMMA_ENDS = {**ENDS, "text_config.bos_token_id": "<bos>"}
SQUARE = {"size": {"height": 56, "width": 56}, "image_mean": HALF, "image_std": HALF}
PALIGEMMA = Family(
    name="paligemma",
    stems=("PaliGemma", "Paligemma"),
    base="PaliGemma",
    config={
        "tie_word_embeddings": True,
        "projection_dim": 128,
        "hidden_size": 128,
        "vocab_size": 1536,
        "vision_config": SIGLIP,
        "text_config": {"model_type": "gemma", "architectures": ["GemmaForCausalLM"], **GEMMA_TEXT},
    },
    tokens=("<bos>", "<image>", "\n"),
    token_keys={"image_token_index": "<image>", **GEMMA_ENDS},
    image="<image>",
    bos="<bos>",
    plain_template=True,
    preprocessor={
        "image_processor_type": "SiglipImageProcessor",
        "processor_class": "PaliGemmaProcessor",
        "image_seq_length": 16,
        "resample": 3,
        **SQUARE,
    },
    processor={"processor_class": "PaliGemmaProcessor"},
    named_tokens={"image_token": "<image>"},
)
PALI_NAMES = {
    "vision_tower": "eyes",
    "multi_modal_projector": "bridge",
    "PaliGemmaMultiModalProjector.linear": "project",
    "get_placeholder_mask": "find_places",
}
PALI_KEYS = {"vision_config": "eye_config", "image_token_index": "picture_token_index", "projection_dim": "bridge_dim"}
SWIFT = Twin(
    "swift-subclass",
    PALIGEMMA,
    "Swift",
    "swift_vl",
    style="subclass",
    keys={"vision_config": "eye_config", "text_config": "mind_config", "image_token_index": "picture_token"},
)
MARTIN = Twin("martin-copy", PALIGEMMA, "Martin", "martin_vl", keys=PALI_KEYS, names=PALI_NAMES)
KINGLET = replace(
    MARTIN,
    name="kinglet-processor",
    title="Kinglet",
    model_type="kinglet_vl",
    tokens={"<image>": "<picture>"},
    own_processor=True,
)
SWALLOW = Twin(
    "swallow-copy",
    PALIGEMMA,
    "Swallow",
    "swallow",
    keys={"text_config": "llm_config"},
    names={"language_model": "llm", "multi_modal_projector": "mm_projector"},
    edits=(Edit("PaliGemmaMultiModalProjector", "bias=True", "bias=False"),),
    inserts=(Insert("SwallowModel", "__init__", 'self.register_buffer("pixel_mean", torch.zeros(3))'),),
)
NIGHTJAR = Twin(
    "nightjar-near",
    PALIGEMMA,
    "Nightjar",
    "nightjar_vl",
    keys=PALI_KEYS,
    names=PALI_NAMES,
    edits=(Edit("PaliGemmaMultiModalProjector", "self.linear(image_features)", "self.linear(image_features) / 8.0"),),
    near_miss="the connector's output is scaled",
)

GEMMA3 = Family(
    name="gemma3",
    stems=("Gemma3",),
    base="Gemma3",
    config={
        "tie_word_embeddings": True,
        "mm_tokens_per_image": 4,
        "vision_config": SIGLIP,
        "text_config": {
            "model_type": "gemma3_text",
            **GEMMA_TEXT,
            "vocab_size": 384,
            "query_pre_attn_scalar": 32,
            "sliding_window": 512,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    },
    tokens=(
        "<bos>",
        "<start_of_image>",
        "<end_of_image>",
        "<image_soft_token>",
        *("\n" * count for count in (1, 2, 3, 4)),
    ),
    token_keys={
        "boi_token_index": "<start_of_image>",
        "eoi_token_index": "<end_of_image>",
        "image_token_index": "<image_soft_token>",
        **GEMMA_ENDS,
    },
    image="<start_of_image>",
    bos="<bos>",
    preprocessor={
        "image_processor_type": "Gemma3ImageProcessor",
        "processor_class": "Gemma3Processor",
        "do_pan_and_scan": False,
        "resample": 2,
        **SQUARE,
    },
    processor={"processor_class": "Gemma3Processor", "image_seq_length": 4},
    named_tokens={
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    },
    edits=(
        Edit(
            "Gemma3Model",
            "AutoModel.from_config(config=config.text_config)",
            "Gemma3TextModel._from_config(config.text_config)",
        ),
    ),
)
GEMMA3_TOKENS = {"<start_of_image>": "<see>", "<end_of_image>": "<seen>", "<image_soft_token>": "<picture>"}
GEMMA3_KEYS = {
    "vision_config": "eye_config",
    "image_token_index": "picture_token_index",
    "mm_tokens_per_image": "tokens_per_picture",
}
GEMMA3_NAMES = {
    "vision_tower": "eyes",
    "multi_modal_projector": "bridge",
    "mm_input_projection_weight": "projection",
    "mm_soft_emb_norm": "pre_norm",
    "avg_pool": "pool",
}
BITTERN = Twin(
    "bittern-subclass",
    GEMMA3,
    "Bittern",
    "bittern_vl",
    style="subclass",
    keys={"vision_config": "eye_config", "text_config": "mind_config", "mm_tokens_per_image": "tokens_per_picture"},
    tokens=GEMMA3_TOKENS,
)
EGRET = Twin("egret-copy", GEMMA3, "Egret", "egret_vl", keys=GEMMA3_KEYS, names=GEMMA3_NAMES, tokens=GEMMA3_TOKENS)
STORK = Twin(
    "stork-copy",
    GEMMA3,
    "Stork",
    "stork",
    keys={"text_config": "llm_config"},
    names={"language_model": "llm", "multi_modal_projector": "mm_projector"},
    inserts=(Insert("StorkModel", "__init__", 'self.register_buffer("pixel_mean", torch.zeros(3))'),),
)
CRANE = Twin(
    "crane-near",
    GEMMA3,
    "Crane",
    "crane_vl",
    keys=GEMMA3_KEYS,
    names=GEMMA3_NAMES,
    tokens=GEMMA3_TOKENS,
    edits=(Edit("Gemma3MultiModalProjector", "nn.AvgPool2d(", "nn.MaxPool2d("),),
    near_miss="the connector pools by maximum",
)
TWINS = (SWIFT, MARTIN, KINGLET, SWALLOW, NIGHTJAR, BITTERN, EGRET, STORK, CRANE)

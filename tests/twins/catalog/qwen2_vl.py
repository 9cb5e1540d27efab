"""Qwen2-VL under other names."""

from __future__ import annotations

from dataclasses import replace

from tests.twins.catalog.common import CLIP_MEAN, CLIP_STD, ENDS, TEXT
from tests.twins.shapes import Edit, Family, Insert, Twin

VISION = {
    "model_type": "qwen2_vl_vision",
    "depth": 2,
    "embed_dim": 64,
    "hidden_size": 128,
    "hidden_act": "quick_gelu",
    "mlp_ratio": 2,
    "num_heads": 2,
    "in_channels": 3,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}
QWEN2_VL = Family(
    name="qwen2_vl",
    stems=("Qwen2VL", "Qwen2"),
    base="Qwen2VL",
    config={
        "tie_word_embeddings": False,
        "vision_config": VISION,
        "text_config": {
            "model_type": "qwen2_vl_text",
            **TEXT,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        },
    },
    tokens=("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
    token_keys={
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
        **ENDS,
    },
    image="<|vision_start|><|image_pad|><|vision_end|>",
    preprocessor={
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
        "min_pixels": 3136,
        "max_pixels": 50176,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    },
    processor={},
    named_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    video={
        "video_processor_type": "Qwen2VLVideoProcessor",
        "processor_class": "Qwen2VLProcessor",
        "min_pixels": 3136,
        "max_pixels": 50176,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    },
    vision_classes=("PatchEmbed", "VisionAttention", "Qwen2VLVisionBlock", "Qwen2VLVisionRotaryEmbedding",
                    "Qwen2VisionTransformerPretrainedModel"),
    vision_config="Qwen2VLVisionConfig",
)  # fmt: skip


QWEN_TOKENS = {
    "<|vision_start|>": "<|see|>",
    "<|vision_end|>": "<|seen|>",
    "<|image_pad|>": "<|picture|>",
    "<|video_pad|>": "<|film|>",
}
QWEN_NAMES = {
    "visual": "eyes",
    "merger": "bridge",
    "patch_embed": "stem",
    "fc1": "expand",
    "fc2": "shrink",
    "ln_q": "pre_norm",
    "PatchMerger.mlp": "layers",
    "language_model": "mind",
    "get_rope_index": "index_positions",
    "recomposition_frequencies": "interleave",
    "apply_rotary_pos_emb_vision": "rotate_vision",
    "repeat_kv": "repeat_heads",
}
PUFFIN = Twin("puffin-subclass", QWEN2_VL, "Puffin", "puffin_vl", style="subclass")
RAZORBILL = Twin(
    "razorbill-keys",
    QWEN2_VL,
    "Razorbill",
    "razorbill",
    style="subclass",
    keys={
        "vision_config": "eye_config",
        "text_config": "mind_config",
        "image_token_id": "picture_token_id",
        "vision_config.embed_dim": "width",
        "vision_config.depth": "blocks",
    },
    tokens=QWEN_TOKENS,
    init=('self.register_buffer("step", torch.arange(4))',),
)
FULMAR = Twin(
    "fulmar-copy",
    QWEN2_VL,
    "Fulmar",
    "fulmar_vl",
    keys={
        "vision_config": "eye_config",
        "image_token_id": "picture_token_id",
        "vision_start_token_id": "see_token_id",
        "vision_config.embed_dim": "width",
        "vision_config.depth": "num_blocks",
        "vision_config.num_heads": "heads",
        "spatial_merge_size": "merge",
    },
    names=QWEN_NAMES,
    tokens=QWEN_TOKENS,
)
GANNET = Twin(
    "gannet-copy",
    QWEN2_VL,
    "Gannet",
    "gannet",
    keys={"text_config": "llm_config", "vision_config": "vision_tower_config", "image_token_id": "image_index"},
    names={"visual": "vision_tower", "blocks": "encoder_layers", "qkv": "in_proj"},
    inserts=(Insert("GannetModel", "__init__", 'self.register_buffer("pixel_mean", torch.zeros(3))'),),
    values={"vision_config.hidden_act": "gelu"},
)
GUILLEMOT = Twin(
    "guillemot-flat",
    QWEN2_VL,
    "Guillemot",
    "guillemot",
    keys={"vision_config": "vision_tower_config", "image_token_id": "picture_token_id"},
    names={"visual": "vision_tower", "merger": "projector"},
    tokens=QWEN_TOKENS,
    values={
        "text_config.rope_theta": 10000.0,
        "text_config.rope_parameters": None,
        "text_config.rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]},
    },
    flat=True,
)
"""With the text config at the top of config.json, as Qwen2-VL's own repos have it."""
SKUA = Twin(
    "skua-silu",
    QWEN2_VL,
    "Skua",
    "skua_vl",
    keys=FULMAR.keys,
    names=QWEN_NAMES,
    tokens=QWEN_TOKENS,
    edits=(Edit("PatchMerger", "nn.GELU()", "nn.SiLU()"),),
)
"""The connector's GELU is SiLU."""
SMEW = Twin(
    "smew-merger",
    QWEN2_VL,
    "Smew",
    "smew",
    keys={"vision_config": "eye_config"},
    names={"merger": "bridge", "ln_q": "whole_norm"},
    edits=(
        Edit("PatchMerger", "LayerNorm(context_dim, eps=1e-6)", "nn.LayerNorm(self.hidden_size, bias=False)"),
        Edit("PatchMerger", "self.ln_q(x).view(-1, self.hidden_size)", "self.ln_q(x.view(-1, self.hidden_size))"),
        Edit("PatchMerger", "nn.Linear(self.hidden_size, dim)", "nn.Linear(self.hidden_size, dim, bias=False)"),
    ),
)
"""The norm stands behind what puts the patches together."""
SCAUP = Twin(
    "scaup-near",
    QWEN2_VL,
    "Scaup",
    "scaup",
    keys={"vision_config": "eye_config"},
    edits=(Edit("PatchMerger", "self.ln_q(x).view", "self.ln_q(x).flip(0).view"),),
    near_miss="the connector puts the patches together from the end",
)
GOOSANDER = Twin(
    "goosander-near",
    QWEN2_VL,
    "Goosander",
    "goosander",
    keys={"vision_config": "eye_config"},
    edits=(
        Edit("PatchMerger", "self.ln_q(x).view(-1, self.hidden_size)", "self.ln_q(x)[:: self.merged]"),
        Edit("PatchMerger", "self.mlp =", "self.merged = spatial_merge_size**2\n        self.mlp ="),
        Edit(
            "PatchMerger", "nn.Linear(self.hidden_size, self.hidden_size)", "nn.Linear(context_dim, self.hidden_size)"
        ),
    ),
    near_miss="the connector takes one patch of those that it should put together",
)
STILLS = replace(
    QWEN2_VL,
    tokens=tuple(token for token in QWEN2_VL.tokens if "video" not in token),
    token_keys={key: token for key, token in QWEN2_VL.token_keys.items() if "video" not in key},
    named_tokens={"image_token": "<|image_pad|>"},
    video={},
)
CHOUGH = Twin(
    "chough-stills",
    STILLS,
    "Chough",
    "chough_vl",
    keys={"vision_config": "eye_config", "image_token_id": "picture_token_id"},
    names=QWEN_NAMES,
    tokens={native: own for native, own in QWEN_TOKENS.items() if "video" not in native},
)
"""Without a token or a processor for video."""
ROOK = Twin(
    "rook-near",
    QWEN2_VL,
    "Rook",
    "rook_vl",
    style="subclass",
    keys=RAZORBILL.keys,
    tokens=QWEN_TOKENS,
    init=("self.model.visual.merger.mlp[1] = nn.SiLU()",),
    near_miss="the connector's activation is replaced after it was built",
)
UNSAID = replace(
    QWEN2_VL,
    config={
        **QWEN2_VL.config,
        "vision_config": {key: value for key, value in VISION.items() if key != "hidden_act"},
    },
)
MAGPIE = Twin(
    "magpie-default",
    UNSAID,
    "Magpie",
    "magpie_vl",
    keys=FULMAR.keys,
    names=QWEN_NAMES,
    tokens=QWEN_TOKENS,
    edits=(Edit("Qwen2VLVisionConfig", '"quick_gelu"', '"gelu"'),),
)
"""config.json does not name the tower's activation, and the config class has another default than the native one."""
NUTHATCH = replace(
    SKUA,
    name="nuthatch-eps",
    title="Nuthatch",
    model_type="nuthatch_vl",
    edits=(Edit("PatchMerger", "eps=1e-6", "eps=0.5"),),
)
"""The connector's norm has another eps."""
WOODCOCK = replace(
    SKUA,
    name="woodcock-near",
    title="Woodcock",
    model_type="woodcock_vl",
    edits=(Edit("VisionAttention", "self.head_dim**-0.5", "self.dim**-0.5"),),
    near_miss="the tower's attention is scaled by its whole width",
)
SNIPE = replace(
    SKUA,
    name="snipe-near",
    title="Snipe",
    model_type="snipe_vl",
    edits=(Edit("Qwen2VLVisionRotaryEmbedding", "torch.cat([freq_h, freq_w]", "torch.cat([freq_w, freq_h]"),),
    near_miss="height and width are swapped in the tower's rotary embedding",
)
TWINS = (
    MAGPIE,
    NUTHATCH,
    WOODCOCK,
    SNIPE,
    ROOK,
    PUFFIN,
    RAZORBILL,
    FULMAR,
    GANNET,
    GUILLEMOT,
    CHOUGH,
    SKUA,
    SMEW,
    SCAUP,
    GOOSANDER,
)

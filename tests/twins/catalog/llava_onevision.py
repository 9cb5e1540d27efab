"""LLaVA-OneVision under other names."""

from __future__ import annotations

from dataclasses import replace

from tests.twins.catalog.common import ENDS, HALF, SIGLIP, TEXT
from tests.twins.shapes import Edit, Family, Insert, Twin

PINPOINTS = [[56, 56], [56, 112], [112, 56], [112, 112], [56, 168]]
LLAVA_ONEVISION = Family(
    name="llava_onevision",
    stems=("LlavaOnevision",),
    base="LlavaOnevision",
    config={
        "tie_word_embeddings": False,
        "image_grid_pinpoints": PINPOINTS,
        "vision_aspect_ratio": "anyres_max_9",
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "projector_hidden_act": "gelu",
        "vision_config": SIGLIP,
        "text_config": {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], **TEXT},
    },
    tokens=("<image>", "<video>"),
    token_keys={"image_token_index": "<image>", "video_token_index": "<video>", **ENDS},
    image="<image>",
    preprocessor={
        "image_processor_type": "LlavaOnevisionImageProcessor",
        "processor_class": "LlavaOnevisionProcessor",
        "size": {"height": 56, "width": 56},
        "image_grid_pinpoints": PINPOINTS,
        "image_mean": HALF,
        "image_std": HALF,
    },
    processor={
        "processor_class": "LlavaOnevisionProcessor",
        "num_image_tokens": 16,
        "vision_feature_select_strategy": "full",
        "vision_aspect_ratio": "anyres_max_9",
        "image_token": "<image>",
        "video_token": "<video>",
    },
    video={
        "video_processor_type": "LlavaOnevisionVideoProcessor",
        "processor_class": "LlavaOnevisionProcessor",
        "size": {"height": 56, "width": 56},
        "image_mean": HALF,
        "image_std": HALF,
    },
)
NORMED = """class CurlewBridge(nn.Module):
    def __init__(self, vision, text):
        super().__init__()
        self.pre_norm = nn.LayerNorm(vision, eps=1e-6)
        self.linear_1 = nn.Linear(vision, text)
        self.act = nn.GELU()
        self.linear_2 = nn.Linear(text, text)

    def forward(self, features):
        return self.linear_2(self.act(self.linear_1(self.pre_norm(features))))"""
KEYS = {"vision_config": "eye_config", "text_config": "mind_config", "image_token_index": "picture_token"}
NAMES = {
    "vision_tower": "eyes",
    "multi_modal_projector": "bridge",
    "language_model": "mind",
    "linear_1": "widen",
    "linear_2": "project",
    "image_newline": "row_end",
    "pack_image_features": "pack",
    "unpad_image": "cut_padding",
}
PLOVER = Twin("plover-subclass", LLAVA_ONEVISION, "Plover", "plover_vl", style="subclass", keys=KEYS)
CURLEW = Twin(
    "curlew-normed",
    LLAVA_ONEVISION,
    "Curlew",
    "curlew",
    style="subclass",
    tokens={"<image>": "<picture>"},
    module=NORMED,
    init=(
        "widths = (config.vision_config.hidden_size, config.text_config.hidden_size)",
        "self.model.multi_modal_projector = CurlewBridge(*widths)",
    ),
)
"""As vLLM's own `bee.py` has it: a norm before the connector."""
DUNLIN = Twin(
    "dunlin-copy",
    LLAVA_ONEVISION,
    "Dunlin",
    "dunlin_vl",
    keys={
        "vision_config": "eye_config",
        "image_token_index": "picture_token_index",
        "image_grid_pinpoints": "resolutions",
    },
    names=NAMES,
    tokens={"<image>": "<picture>", "<video>": "<film>"},
)
GODWIT = Twin(
    "godwit-copy",
    LLAVA_ONEVISION,
    "Godwit",
    "godwit",
    keys={"text_config": "llm_config"},
    names={"vision_tower": "vision_encoder", "multi_modal_projector": "mm_projector"},
    inserts=(Insert("GodwitModel", "__init__", 'self.register_buffer("pixel_mean", torch.zeros(3))'),),
    values={"projector_hidden_act": "silu", "multimodal_projector_bias": False},
)
SANDPIPER = Twin(
    "sandpiper-silu",
    LLAVA_ONEVISION,
    "Sandpiper",
    "sandpiper_vl",
    keys=KEYS,
    names=NAMES,
    edits=(
        Edit("LlavaOnevisionMultiModalProjector", "self.act(hidden_states)", "torch.nn.functional.silu(hidden_states)"),
    ),
)
"""The connector's activation is SiLU whatever the config says."""
PROJECTOR = "LlavaOnevisionMultiModalProjector"
TEXT_WIDTH, VISION_WIDTH = "config.text_config.hidden_size", "config.vision_config.hidden_size"
NORM = f"self.pre_norm = nn.LayerNorm({VISION_WIDTH}, eps=1e-06)"
PRE_NORM = (
    Edit(PROJECTOR, f"{VISION_WIDTH} * num_feature_layers", VISION_WIDTH),
    Edit(PROJECTOR, "        self.linear_1 =", f"        {NORM}\n        self.linear_1 ="),
    Edit(PROJECTOR, "self.linear_1(image_features)", "self.linear_1(self.pre_norm(image_features))"),
)
SHEARWATER = Twin(
    "shearwater-copy",
    LLAVA_ONEVISION,
    "Shearwater",
    "shearwater_vl",
    keys={"image_token_index": "picture_token_index"},
    names={**NAMES, "pre_norm": "before"},
    tokens={"<image>": "<picture>"},
    edits=PRE_NORM,
)
"""A norm before the connector, as vLLM's own `rvl.py` has it."""
DOTTEREL = Twin(
    "dotterel-copy",
    LLAVA_ONEVISION,
    "Dotterel",
    "dotterel",
    keys={"text_config": "llm_config"},
    names={"multi_modal_projector": "mm_projector"},
    edits=(
        *PRE_NORM,
        Edit(PROJECTOR, f"            {TEXT_WIDTH},\n", f"            {TEXT_WIDTH} * 4,\n"),
        Edit(PROJECTOR, f"            {TEXT_WIDTH}, config", f"            {TEXT_WIDTH} * 4, config"),
    ),
)
"""The same with four times the width inside, as `bee.py` has it."""
OTHER_WIDTH = """class TurnstoneBridge(nn.Module):
    def __init__(self, config, dropout=0.1):
        super().__init__()
        width = config.bridge_width
        self.mlp = nn.Sequential(
            nn.Linear(config.vision_config.hidden_size, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width)
        )
        self.out = nn.Linear(width, config.text_config.hidden_size, bias=False)
        self.post_norm = nn.LayerNorm(config.text_config.hidden_size, eps=config.text_config.rms_norm_eps)

    def forward(self, features):
        features = self.mlp(features)
        return self.post_norm(self.out(features))"""
TURNSTONE = Twin(
    "turnstone-subclass",
    LLAVA_ONEVISION,
    "Turnstone",
    "turnstone",
    style="subclass",
    keys={"vision_config": "eye_config"},
    module=OTHER_WIDTH,
    init=("self.model.multi_modal_projector = TurnstoneBridge(config)",),
    values={"bridge_width": 96},
)
"""Three Linears, a width of its own in the config, a norm at the end."""
CENTRED = "image_features - image_features.mean(dim=-2, keepdim=True)"
WHIMBREL = Twin(
    "whimbrel-near",
    LLAVA_ONEVISION,
    "Whimbrel",
    "whimbrel",
    keys=KEYS,
    names=NAMES,
    edits=(
        *PRE_NORM[:2],
        Edit(PROJECTOR, "self.linear_1(image_features)", f"self.linear_1(self.pre_norm({CENTRED}))"),
    ),
    near_miss="the connector takes the mean over all tokens away",
)
DOWITCHER = Twin(
    "dowitcher-near",
    LLAVA_ONEVISION,
    "Dowitcher",
    "dowitcher_vl",
    style="subclass",
    module=NORMED.replace("Curlew", "Dowitcher").replace("return self", "return features.shape[-1] ** -0.5 * self"),
    init=(
        "widths = (config.vision_config.hidden_size, config.text_config.hidden_size)",
        "self.model.multi_modal_projector = DowitcherBridge(*widths)",
    ),
    near_miss="the connector that replaces the original's scales what it gives",
)
KNOT = Twin(
    "knot-processor",
    LLAVA_ONEVISION,
    "Knot",
    "knot_vl",
    keys={"vision_config": "eye_config"},
    tokens={"<image>": "<picture>", "<video>": "<film>"},
    own_processor=True,
)
"""A copy of the processor too, with other tokens for those that its files name."""
RUFF = replace(
    KNOT,
    name="ruff-near",
    title="Ruff",
    model_type="ruff_vl",
    edits=(Edit("LlavaOnevisionProcessor", "if ratio > 1.1:", "if ratio > 1.5:"),),
    near_miss="the copied processor cuts large images later",
)
TWINS = (PLOVER, CURLEW, DUNLIN, GODWIT, SANDPIPER, SHEARWATER, DOTTEREL, TURNSTONE, WHIMBREL, DOWITCHER, KNOT, RUFF)

"""Every twin: at least three a family, and one near miss."""

from __future__ import annotations

from tests.twins.families import IDEFICS3, QWEN2_VL
from tests.twins.shapes import Edit, Insert, Twin

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
SKUA = Twin(
    "skua-near",
    QWEN2_VL,
    "Skua",
    "skua_vl",
    keys=FULMAR.keys,
    names=QWEN_NAMES,
    tokens=QWEN_TOKENS,
    edits=(Edit("PatchMerger", "nn.GELU()", "nn.SiLU()"),),
    near_miss="the connector's GELU is SiLU",
)
MERLIN = Twin("merlin-subclass", IDEFICS3, "Merlin", "merlin_vl", style="subclass")
HOBBY = Twin(
    "hobby-keys",
    IDEFICS3,
    "Hobby",
    "hobby",
    style="subclass",
    keys={
        "vision_config": "eye_config",
        "text_config": "llm_config",
        "scale_factor": "shuffle",
        "image_token_id": "picture_token_id",
        "vision_config.image_size": "side",
    },
    init=('self.register_buffer("pixel_mean", torch.zeros(3))',),
)
KESTREL = Twin(
    "kestrel-copy",
    IDEFICS3,
    "Kestrel",
    "kestrel_vl",
    keys={
        "vision_config": "eye_config",
        "image_token_id": "picture_token_id",
        "scale_factor": "shuffle",
    },
    names={
        "vision_model": "eyes",
        "connector": "bridge",
        "modality_projection": "projector",
        "text_model": "mind",
        "Idefics3SimpleMLP.proj": "linear",
        "Idefics3VisionMLP.fc1": "expand",
        "Idefics3VisionMLP.fc2": "shrink",
        "layer_norm1": "norm_in",
        "layer_norm2": "norm_out",
        "post_layernorm": "norm_last",
        "inputs_merger": "blend",
        "pixel_shuffle": "fold",
    },
)
BUZZARD = Twin(
    "buzzard-copy",
    IDEFICS3,
    "Buzzard",
    "buzzard",
    keys={"text_config": "llm_config", "image_token_id": "image_index"},
    names={"vision_model": "vision_tower", "connector": "mm_projector", "modality_projection": "head"},
    edits=(Edit("Idefics3SimpleMLP", "bias=False", "bias=True"),),
    inserts=(Insert("BuzzardConnector", "__init__", 'self.register_buffer("grid", torch.arange(4))'),),
)
OSPREY = Twin(
    "osprey-near",
    IDEFICS3,
    "Osprey",
    "osprey_vl",
    keys=KESTREL.keys,
    names=KESTREL.names,
    edits=(Edit("Idefics3EncoderLayer", "hidden_states = self.layer_norm1(hidden_states)", "pass"),),
    near_miss="a tower layer has no norm before its attention",
)
TWINS = {twin.name: twin for twin in (PUFFIN, RAZORBILL, FULMAR, GANNET, SKUA, MERLIN, HOBBY, KESTREL, BUZZARD, OSPREY)}

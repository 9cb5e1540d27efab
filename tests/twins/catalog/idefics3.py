"""Idefics3 and SmolVLM under other names."""

from __future__ import annotations

from dataclasses import replace

from tests.twins.catalog.common import ENDS, HALF, TEXT
from tests.twins.shapes import Edit, Family, Insert, Twin

ROW_COL = tuple(f"<row_{row}_col_{col}>" for row in range(1, 5) for col in range(1, 5))
VISION = {
    "model_type": "idefics3_vision",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
    "hidden_act": "gelu_pytorch_tanh",
}
IDEFICS3 = Family(
    name="idefics3",
    stems=("Idefics3",),
    base="Idefics3",
    config={
        "tie_word_embeddings": False,
        "scale_factor": 2,
        "vision_config": VISION,
        "text_config": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "head_dim": 32, **TEXT},
    },
    tokens=("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *ROW_COL),
    token_keys={"image_token_id": "<image>", "pad_token_id": "<|endoftext|>", **ENDS},
    image="<image>",
    preprocessor={
        "image_processor_type": "Idefics3ImageProcessor",
        "processor_class": "Idefics3Processor",
        "do_convert_rgb": True,
        "do_image_splitting": True,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "size": {"longest_edge": 112},
        "max_image_size": {"longest_edge": 56},
        "image_mean": HALF,
        "image_std": HALF,
        "resample": 1,
    },
    processor={"processor_class": "Idefics3Processor", "image_seq_len": 4},
    vision_classes=("Idefics3VisionEmbeddings", "Idefics3VisionAttention", "Idefics3VisionMLP", "Idefics3EncoderLayer",
                    "Idefics3Encoder", "Idefics3VisionTransformer"),
    vision_config="Idefics3VisionConfig",
)  # fmt: skip

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
GOSHAWK = replace(
    KESTREL,
    name="goshawk-processor",
    title="Goshawk",
    model_type="goshawk_vl",
    tokens={"<image>": "<picture>", "<fake_token_around_image>": "<frame>"},
    own_processor=True,
)
JAY = Twin(
    "jay-swapped",
    IDEFICS3,
    "Jay",
    "jay_vl",
    keys={"vision_config": "eye_config"},
    names={
        "Idefics3VisionAttention.q_proj": "k_proj",
        "Idefics3VisionAttention.k_proj": "q_proj",
        "layer_norm1": "layer_norm2",
        "layer_norm2": "layer_norm1",
    },
)
"""Siblings of one shape have each other's names: only the code says which is which."""
HARRIER = replace(
    GOSHAWK,
    name="harrier-near",
    title="Harrier",
    model_type="harrier_vl",
    edits=(Edit("Idefics3Processor", "<row_{n_h + 1}_col_{n_w + 1}>", "<row_{n_w + 1}_col_{n_h + 1}>"),),
    near_miss="the processor numbers the tiles by column and row",
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

SMOLVLM = replace(
    IDEFICS3,
    name="smolvlm",
    stems=("SmolVLM",),
    base="SmolVLM",
    config={**IDEFICS3.config, "vision_config": {**VISION, "model_type": "smolvlm_vision"}},
    vision_classes=tuple(name.replace("Idefics3", "SmolVLM") for name in IDEFICS3.vision_classes),
    vision_config="SmolVLMVisionConfig",
)
"""With Idefics3's processor, as the first SmolVLM repos: its own needs a package (num2words) that may be missing."""
SMOL_NAMES = {path.replace("Idefics3", "SmolVLM"): new for path, new in KESTREL.names.items()}
STONECHAT = Twin("stonechat-subclass", SMOLVLM, "Stonechat", "stonechat", style="subclass", keys=HOBBY.keys)
WHINCHAT = Twin("whinchat-copy", SMOLVLM, "Whinchat", "whinchat_vl", keys=KESTREL.keys, names=SMOL_NAMES)
WHEATEAR = Twin(
    "wheatear-copy",
    SMOLVLM,
    "Wheatear",
    "wheatear",
    keys=BUZZARD.keys,
    names=BUZZARD.names,
    inserts=(Insert("WheatearModel", "__init__", 'self.register_buffer("grid", torch.arange(4))'),),
    values={"vision_config.hidden_act": "gelu"},
)
REDSTART = Twin(
    "redstart-near",
    SMOLVLM,
    "Redstart",
    "redstart_vl",
    keys=KESTREL.keys,
    names=SMOL_NAMES,
    edits=(Edit("SmolVLMConnector", "x = x.reshape(bsz, int(seq /", "x = x.flip(1).reshape(bsz, int(seq /"),),
    near_miss="the connector's pixel shuffle turns the rows over",
)
TWINS = (STONECHAT, WHINCHAT, WHEATEAR, REDSTART, MERLIN, HOBBY, KESTREL, BUZZARD, GOSHAWK, JAY, HARRIER, OSPREY)

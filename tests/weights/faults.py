"""A real-sized checkpoint's headers and what can be wrong with them, each with the lists that must tell of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from porter.hub.snapshot import TensorInfo

VOCAB, WIDTH, INNER, KEYS, LAYERS = 151_655, 896, 4864, 128, 24
TOWER_WIDTH = 1024
CONFIG: dict[str, Any] = {
    "architectures": ["FixtureVLModel"],
    "model_type": "fixture_vl",
    "torch_dtype": "bfloat16",
    "force_image_size": 448,
    "downsample_ratio": 0.5,
    "tower": {
        "hidden_size": TOWER_WIDTH, "num_attention_heads": 16, "num_hidden_layers": 24, "image_size": 448,
        "patch_size": 14, "intermediate_size": 4096, "layer_norm_eps": 1e-6, "hidden_act": "gelu",
    },
    "text_config": {
        "model_type": "qwen2", "hidden_size": WIDTH, "num_attention_heads": 14, "num_key_value_heads": 2,
        "num_hidden_layers": LAYERS, "intermediate_size": INNER, "vocab_size": VOCAB, "max_position_embeddings": 512,
    },
}  # fmt: skip
TIED = {**CONFIG, "text_config": {**CONFIG["text_config"], "tie_word_embeddings": True}}
NAMES = {"vision_model.": "model.eye.", "mlp1.": "model.bridge.", "language_model.": "model.brain."}
LLM = "model.brain.model.layers.1."
EYE = "model.eye.encoder.layers.1."
HEAD = "model.brain.lm_head.weight"
QKV = "language_model.model.layers.1.self_attn.qkv_proj."
GATE_UP = "language_model.model.layers.1.mlp.gate_up_proj.weight"

Tensors = list[TensorInfo]
Change = Callable[[Tensors], Tensors]
Lists = dict[str, list[str]]


@dataclass(frozen=True)
class Fault:
    """A change of the headers, and the findings it must lead to, by list; `place`: faults there hide each other."""

    change: Change
    lists: Lists = field(default_factory=dict)
    place: str = ""


def without(*names: str) -> Change:
    return lambda tensors: [tensor for tensor in tensors if tensor.name not in names]


def plus(name: str, *shape: int, dtype: str = "BF16") -> Change:
    return lambda tensors: [*tensors, TensorInfo(name, "extra.safetensors", dtype, shape)]


def changed(name: str, **fields: Any) -> Change:
    return lambda tensors: [replace(t, **fields) if t.name == name else t for t in tensors]


def twice(name: str) -> Change:
    return lambda tensors: [*tensors, *(replace(t, file="second.safetensors") for t in tensors if t.name == name)]


def moved(old: str, new: str) -> Change:
    return lambda tensors: [replace(t, name=t.name.replace(old, new)) for t in tensors]


def extra(name: str, *shape: int, dtype: str = "BF16", where: str = "unmapped") -> Fault:
    return Fault(plus(name, *shape, dtype=dtype), {where: [name]})


FAULTS_OF_ONE: dict[str, Fault] = {
    "attention output missing": Fault(
        without(LLM + "self_attn.o_proj.weight"),
        {"missing": ["language_model.model.layers.1.self_attn.o_proj.weight"]},
        "attention output",
    ),
    "half of gate and up missing": Fault(without(LLM + "mlp.up_proj.weight"), {"partial": [GATE_UP]}, "gate_up"),
    "key bias missing": Fault(without(LLM + "self_attn.k_proj.bias"), {"partial": [QKV + "bias"]}, "qkv bias"),
    "tower bias missing": Fault(
        without(EYE + "attn.proj.bias"), {"missing": ["vision_model.encoder.layers.1.attn.proj.bias"]}
    ),
    "connector bias missing": Fault(without("model.bridge.3.bias"), {"missing": ["mlp1.3.bias"]}),
    "bias too many": extra(LLM + "mlp.down_proj.bias", WIDTH),
    "weight too many": extra("model.eye.extra.weight", 4, 4),
    "module too many": extra("adapter.weight", 4, 4),
    "all embeddings missing": Fault(
        without("model.brain.model.embed_tokens.weight"), {"missing": ["language_model.model.embed_tokens.weight"]}
    ),
    "head missing": Fault(without(HEAD), {"missing": ["language_model.lm_head.weight"]}),
    "buffer missing": Fault(without("pixel_shift"), {"missing": ["pixel_shift"]}),
    "buffer too many": extra("pixel_scale", 3),
    "norm of another shape": Fault(
        changed(EYE + "norm1.weight", shape=(7,)), {"shape": [EYE + "norm1.weight"]}
    ),
    "half of gate and up misshapen": Fault(
        changed(LLM + "mlp.up_proj.weight", shape=(INNER - 1, WIDTH)),
        {"shape": [LLM + "mlp.up_proj.weight"]},
        "gate_up",
    ),
    "integers for floats": Fault(
        changed(LLM + "mlp.down_proj.weight", dtype="U8"), {"shape": [LLM + "mlp.down_proj.weight"]}
    ),
    "eight bits for sixteen": Fault(
        changed(LLM + "self_attn.o_proj.weight", dtype="F8_E4M3"),
        {"shape": [LLM + "self_attn.o_proj.weight"]},
        "attention output",
    ),
    "a quantiser's side tensor": extra(LLM + "mlp.down_proj.weight_scale", 1),
    "one tensor in two files": Fault(twice("model.bridge.1.weight"), {"duplicate": ["model.bridge.1.weight"]}),
    "fused and in parts": Fault(
        plus(LLM + "self_attn.qkv_proj.bias", WIDTH + 2 * KEYS), {"duplicate": [QKV + "bias"]}, "qkv bias"
    ),
    "prefix wrong for one layer": Fault(
        moved("model.eye.encoder.layers.3.mlp.", "model.eye.layers.3.mlp."),
        {
            "unmapped": [f"model.eye.layers.3.mlp.fc{n}.{leaf}" for n in (1, 2) for leaf in ("weight", "bias")],
            "missing": [
                f"vision_model.encoder.layers.3.mlp.fc{n}.{leaf}" for n in (1, 2) for leaf in ("weight", "bias")
            ],
        },
    ),
    "training head": extra("train_head.weight", 3, where="dropped"),
    "rotary cache": extra(LLM + "self_attn.rotary_emb.inv_freq", 16, where="dropped"),
}  # fmt: skip


def cases() -> Iterator[tuple[str, Fault]]:
    """Nothing wrong, each fault alone, and each two that do not hide each other."""
    yield "nothing", Fault(lambda tensors: tensors)
    yield from FAULTS_OF_ONE.items()
    for (first, one), (second, other) in combinations(FAULTS_OF_ONE.items(), 2):
        if not one.place or one.place != other.place:
            yield f"{first} + {second}", both(one, other)


def both(one: Fault, other: Fault) -> Fault:
    lists = {name: [*one.lists.get(name, []), *other.lists.get(name, [])] for name in {**one.lists, **other.lists}}
    return Fault(lambda tensors: other.change(one.change(tensors)), lists)


CASES = dict(cases())

LOUD = frozenset({
    "connector bias missing", "weight too many", "module too many", "buffer too many", "norm of another shape",
    "half of gate and up misshapen", "prefix wrong for one layer", "a quantiser's side tensor",
})  # fmt: skip
"""The faults that the loading of vLLM 0.32 itself ends with an error; it says nothing to the others."""

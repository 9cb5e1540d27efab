"""Which language model a checkpoint holds, where no config names it: by the names of its layers, then by the keys that
configs of its kind have."""

from __future__ import annotations

from dataclasses import dataclass

from porter.facts.layout_model import Part
from porter.jsontypes import JSONObject

ARCHITECTURES = {
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen2_moe": "Qwen2MoeForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "internlm2": "InternLM2ForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3": "Gemma3ForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
    "qwen": "QWenLMHeadModel",
    "gpt2": "GPT2LMHeadModel",
    "phi": "PhiForCausalLM",
    "phi_moe": "PhiMoEForCausalLM",
    "gpt_neox": "GPTNeoXForCausalLM",
    "persimmon": "PersimmonForCausalLM",
    "cohere": "CohereForCausalLM",
    "gpt_oss": "GptOssForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "minicpm": "MiniCPMForCausalLM",
}


@dataclass(frozen=True, slots=True)
class Guess:
    """A model_type with the rule that led to it, and the class where the rule names one."""

    model_type: str
    rule: str
    named: str | None = None

    @property
    def known_type(self) -> str | None:
        """The model_type where it is one of the field, not only porter's word for a set of names."""
        return self.model_type if self.named or self.model_type in ARCHITECTURES else None

    @property
    def architecture(self) -> str | None:
        return self.named or ARCHITECTURES.get(self.model_type)


BY_KEYS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("minicpm", ("scale_emb", "scale_depth", "dim_model_base"), ()),
    ("qwen3", ("use_sliding_window", "max_window_layers", "attention_bias", "head_dim"), ("num_experts",)),
    ("qwen3_moe", ("use_sliding_window", "max_window_layers", "num_experts", "head_dim"), ()),
    ("qwen2_moe", ("use_sliding_window", "max_window_layers", "num_experts"), ("head_dim",)),
    ("qwen2", ("use_sliding_window", "max_window_layers"), ("attention_bias", "head_dim", "num_experts")),
    ("qwen", ("kv_channels", "use_logn_attn", "use_dynamic_ntk"), ()),
)
SAME_NAMES = {"llama": ("minicpm", "mistral", "llama")}
"""Kinds whose names others share: the config's keys, then its model_type, tell them apart."""


def guess_language(part: Part | None, config: JSONObject) -> Guess | None:
    """The kind of language model; None when nothing speaks for one. `config` is the block with its sizes."""
    by_keys = next((Guess(name, f"config keys {', '.join(keys[:3])} are those of {name}")
                    for name, keys, none in BY_KEYS if all(key in config for key in keys)
                    and not any(key in config for key in none)), None)  # fmt: skip
    kind = part.kind if part is not None else None
    if kind is None:
        return by_keys if part is None or part.network is None else None
    shared = SAME_NAMES.get(kind)
    if shared is None:
        return Guess(kind, f"its layers have the names of {kind}")
    if by_keys is not None:
        return Guess(by_keys.model_type, f"its layers have the names of {kind}; {by_keys.rule}")
    stated = str(config.get("model_type") or "").lower()
    named = next((name for name in shared if name in stated.replace("-", "_").split("_")), None)
    return Guess(named, f"its layers have the names of {kind}, and model_type says {named}") if named else None

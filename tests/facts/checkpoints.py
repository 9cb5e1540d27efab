"""Checkpoints by their names: small towers and language models in the spellings of the field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LLAMA = ("self_attn.{q,k,v,o}_proj", "mlp.{gate,up,down}_proj", "input_layernorm", "post_attention_layernorm")
VIT = ("self_attn.{q,k,v,out}_proj:b", "layer_norm1:b", "layer_norm2:b", "mlp.fc1:b", "mlp.fc2:b")
TIMM = ("norm1:b", "norm2:b", "attn.qkv:b", "attn.proj:b", "mlp.fc1:b", "mlp.fc2:b")
EMBEDDINGS = ("embeddings.patch_embedding", "embeddings.position_embedding")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`tower`: (where its layers are, what a layer holds, what stands beside them)."""

    tower: tuple[str, Sequence[str], Sequence[str]]
    kind: str
    language: str = "llama"
    decoder: Sequence[str] = LLAMA
    between: Sequence[str] = ("projector.0:b", "projector.2:b")
    connectors: Sequence[str] = ("projector",)
    parts: tuple[str, ...] = ("tower", "llm")

    @property
    def towers(self) -> list[str]:
        return [self.kind]


def names_of(name: str) -> list[str]:
    case = CHECKPOINTS[name]
    layers, inside, beside = case.tower
    found = [f"tower.{layers}.{index}.{one}" for index in range(2) for one in _spelt(inside)]
    found += [f"tower.{one}" for one in _spelt(beside)]
    found += [f"llm.model.layers.{index}.{one}" for index in range(3) for one in _spelt(case.decoder)]
    found += ["llm.model.embed_tokens.weight", "llm.model.norm.weight", "llm.lm_head.weight"]
    return [*found, *_spelt(case.between)]


def _spelt(modules: Sequence[str]) -> list[str]:
    """`a.{q,k}:b` as weights and biases; `=` before a name makes it a parameter by itself."""
    found: list[str] = []
    for module in modules:
        name, _, bias = module.partition(":")
        start, _, rest = name.partition("{")
        options, _, end = rest.partition("}")
        for option in options.split(",") if rest else [""]:
            full = f"{start}{option}{end}"
            found += [full[1:]] if full.startswith("=") else [f"{full}.weight"] + ([f"{full}.bias"] if bias else [])
    return found


CHECKPOINTS: dict[str, Checkpoint] = {
    "siglip": Checkpoint(("encoder.layers", VIT, (*EMBEDDINGS, "post_layernorm:b")), "siglip"),
    "siglip_navit": Checkpoint(("encoder.layers", VIT, ("embeddings.patch_embedding:b", "post_layernorm:b")),
                               "siglip_navit"),
    "clip": Checkpoint(("encoder.layers", VIT, (*EMBEDDINGS, "=embeddings.class_embedding", "pre_layrnorm:b")), "clip"),
    "clip_fused": Checkpoint(("transformer.layers", ("self_attn.qkv_proj:b", "self_attn.out_proj:b", *VIT[1:]),
                              (*EMBEDDINGS, "=embeddings.class_embedding", "pre_layrnorm:b")), "clip"),
    "clip_olmo": Checkpoint(("transformer.resblocks", ("attention.{wq,wk,wv,wo}:b", "attention_norm:b", "ffn_norm:b",
                                                       "feed_forward.{w1,w2}:b"),
                             ("=class_embedding", "patch_embedding", "=positional_embedding", "pre_ln:b")), "clip"),
    "open_clip": Checkpoint(("transformer.resblocks", ("attn.in_proj:b", "attn.out_proj:b", "ln_1:b", "ln_2:b",
                                                       "mlp.{c_fc,c_proj}:b"),
                             ("conv1", "=positional_embedding", "ln_pre:b", "ln_post:b", "=proj")), "open_clip",
                            between=("=tower.attn_pool.query", "tower.attn_pool.kv_proj", "tower.attn_pool.attn.out:b"),
                            connectors=("tower.attn_pool",)),
    "intern_vit": Checkpoint(("encoder.layers", (*TIMM, "=ls1", "=ls2"),
                              (*(f"={one}" for one in ("embeddings.class_embedding", "embeddings.position_embedding")),
                               "embeddings.patch_embedding:b")), "intern_vit"),
    "intern_vit_apart": Checkpoint(("stack", ("mix.{query,key,value}:b", "mix.out:b", "ln_a:b", "ln_b:b", "ffn.fc_in:b",
                                              "ffn.fc_out:b", "=gamma_1", "=gamma_2"),
                                    ("=cls", "=pos", "patchify:b")), "intern_vit"),
    "timm": Checkpoint(("blocks", TIMM, ("patch_embed.proj:b", "=pos_embed", "norm:b")), "timm_vit",
                       between=("=resampler.query", "resampler.kv_proj", "=resampler.attn.in_proj_weight",
                                "=resampler.proj"), connectors=("resampler",)),
    "dinov2": Checkpoint(("blocks", (*TIMM, "=ls1.gamma", "=ls2.gamma"),
                          ("patch_embed.proj:b", "=pos_embed", "=cls_token", "=mask_token", "norm:b")), "dinov2"),
    "radio": Checkpoint(("model.blocks", TIMM, ("model.patch_generator.embedder", "=model.patch_generator.pos_embed",
                                                "=model.patch_generator.cls_token.token")), "radio"),
    "moonvit": Checkpoint(("encoder.blocks", ("wqkv:b", "wo:b", "norm0:b", "norm1:b", "mlp.{fc0,fc1}:b"),
                           ("patch_embed.proj:b", "patch_embed.pos_emb", "encoder.final_layernorm:b")), "moonvit",
                          language="qwen2", decoder=("self_attn.{q,k,v}_proj:b", "self_attn.o_proj", *LLAMA[1:])),
    "qwen2_vl": Checkpoint(("blocks", TIMM, ("patch_embed.proj",)), "qwen2_vl",
                           between=("tower.merger.ln_q:b", "tower.merger.mlp.{0,2}:b"), connectors=("tower.merger",)),
    "qwen2_5_vl": Checkpoint(("blocks", ("norm1", "norm2", "attn.qkv:b", "attn.proj:b", "mlp.{gate,up,down}_proj:b"),
                              ("patch_embed.proj",)), "qwen2_5_vl",
                             between=("tower.merger.ln_q", "tower.merger.mlp.{0,2}:b"), connectors=("tower.merger",)),
    "pixtral": Checkpoint(("transformer.layers", ("attention.{q,k,v,o}_proj", "attention_norm", "ffn_norm",
                                                  "feed_forward.{gate,up,down}_proj"), ("patch_conv", "ln_pre")),
                          "pixtral", language="qwen3", decoder=(*LLAMA, "self_attn.{q,k}_norm")),
    "aimv2": Checkpoint(("encoder.layers", ("attention.{q,k,v}_proj", "attention.out_proj", "ffn.{gate,up,down}_proj",
                                            "rms_norm1", "rms_norm2"),
                         ("embeddings.patch_embed:b", "embeddings.position_embedding", "rms_norm")), "aimv2",
                        language="internlm2", decoder=("attention.{wqkv,wo}", "feed_forward.{w1,w2,w3}",
                                                       "attention_norm", "ffn_norm")),
    "sam": Checkpoint(("blocks", ("norm1:b", "norm2:b", "attn.qkv:b", "attn.proj:b", "=attn.rel_pos_h",
                                  "=attn.rel_pos_w", "mlp.{lin1,lin2}:b"),
                       ("patch_embed.proj:b", "=pos_embed", "neck.{0,1,2,3}", "net_2")), "sam",
                      language="phi3", decoder=("self_attn.{qkv,o}_proj", "mlp.{gate_up,down}_proj", *LLAMA[2:])),
    "convnext": Checkpoint(("stages", ("blocks.0.conv_dw:b", "blocks.0.norm:b", "blocks.0.mlp.{fc1,fc2}:b",
                                       "downsample.0:b", "downsample.1:b"), ("stem.0:b", "stem.1:b")), "convnext"),
}  # fmt: skip

"""Small repos in the shapes of real ones: config and tensor names, no code. Used by the tests of quirks."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

from porter.facts import RepoReading
from tests.facts.compare import read


def names(*patterns: str) -> list[str]:
    """Tensor names from patterns with braces: `{a,b}` is either word, `{0..2}` every number."""
    return [name for pattern in patterns for name in _expanded(pattern)]


def _expanded(pattern: str) -> list[str]:
    pieces = [piece for part in pattern.split("{") for piece in part.split("}")]
    options = [_words(piece) if i % 2 else [piece] for i, piece in enumerate(pieces)]
    return ["".join(choice) for choice in product(*options)]


def _words(text: str) -> list[str]:
    first, dots, last = text.partition("..")
    return [str(i) for i in range(int(first), int(last) + 1)] if dots else text.split(",")


BOTH = "{weight,bias}"
SIGLIP: dict[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 16,
    "image_size": 28,
    "patch_size": 14,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
QWEN: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 90,
    "tie_word_embeddings": False,
}
TOP: dict[str, Any] = {"architectures": ["OddForConditionalGeneration"], "model_type": "odd"}


def llm(prefix: str, head: str = "lm_head") -> list[str]:
    """A decoder of two layers in the library's names, its head beside it or at `head`."""
    return names(
        prefix + ".layers.{0..1}.self_attn.{q,k,v,o}_proj.weight",
        prefix + ".layers.{0..1}.mlp.{gate,up,down}_proj.weight",
        prefix + ".layers.{0..1}.{input,post_attention}_layernorm.weight",
        prefix + ".{embed_tokens,norm}.weight",
        head + ".weight",
    )


def siglip(prefix: str) -> list[str]:
    return names(
        prefix + ".encoder.layers.{0..1}.{layer_norm1,layer_norm2,mlp.fc1,mlp.fc2}." + BOTH,
        prefix + ".encoder.layers.{0..1}.self_attn.{q_proj,k_proj,v_proj,out_proj}." + BOTH,
        prefix + ".{embeddings.patch_embedding,embeddings.position_embedding,post_layernorm}.weight",
    )


def clip(prefix: str) -> list[str]:
    return [*siglip(prefix), f"{prefix}.embeddings.class_embedding", f"{prefix}.pre_layrnorm.weight"]


def mlp(prefix: str, *places: int) -> list[str]:
    return names(*(f"{prefix}.{place}.{BOTH}" for place in places))


# MiniCPM-V-2: a timm tower whose last block is dropped, a resampler, a flat config.
TIMM = names(
    "vpm.blocks.{0..2}.{norm1,norm2,attn.qkv,attn.proj,mlp.fc1,mlp.fc2}." + BOTH,
    "vpm.{patch_embed.proj,norm}." + BOTH,
    "vpm.pos_embed",
)
RESAMPLER = names(
    "resampler.{attn.in_proj_bias,attn.in_proj_weight,attn.out_proj.bias,attn.out_proj.weight,kv_proj.weight}",
    "resampler.{ln_kv.weight,ln_q.weight,ln_post.weight,pos_embed,proj,query}",
)
FLAT: dict[str, Any] = {
    **QWEN,
    **TOP,
    "vision_encoder": "vit_so400m_patch14_siglip_384.webli",
    "drop_vision_last_layer": True,
    "image_size": 448,
    "patch_size": 14,
    "query_num": 64,
    "scale_emb": 12,
    "scale_depth": 1.4,
}

# Molmo in NF4: side tensors, two embedding tables, a head called ff_out, a tower that no config describes.
MOLMO = names(
    "model.transformer.blocks.{0..1}.{att_proj,attn_out,ff_proj,ff_out}.weight",
    "model.transformer.blocks.{0..1}.{att_proj,attn_out,ff_proj,ff_out}.weight.{absmax,quant_map}",
    "model.transformer.blocks.{0..1}.{att_proj,attn_out,ff_proj,ff_out}.weight.quant_state.bitsandbytes__nf4",
    "model.transformer.blocks.{0..1}.{attn_norm,ff_norm}.weight",
    "model.transformer.{ff_out.weight,ln_f.weight,wte.embedding,wte.new_embedding}",
    "model.vision_backbone.image_vit.transformer.resblocks.{0..2}.attention.{wq,wk,wv,wo}." + BOTH,
    "model.vision_backbone.image_vit.transformer.resblocks.{0..2}.{attention_norm,ffn_norm}." + BOTH,
    "model.vision_backbone.image_vit.transformer.resblocks.{0..2}.feed_forward.{w1,w2}." + BOTH,
    "model.vision_backbone.image_vit.{class_embedding,positional_embedding,patch_embedding.weight,pre_ln.weight}",
    "model.vision_backbone.image_projector.{w1,w2,w3}.weight",
)
NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}

# Phi-3-vision: the tower in the embedding module, fused language layers, learnt separators.
PHI = [
    *names(
        "model.layers.{0..1}.{self_attn.qkv_proj,self_attn.o_proj,mlp.gate_up_proj,mlp.down_proj}.weight",
        "model.layers.{0..1}.{input_layernorm,post_attention_layernorm}.weight",
        "{model.embed_tokens,model.norm,lm_head}.weight",
        "model.vision_embed_tokens.{glb_GN,sub_GN}",
    ),
    *clip("model.vision_embed_tokens.img_processor.vision_model"),
    *mlp("model.vision_embed_tokens.img_projection", 0, 2),
]
PHI_CONFIG: dict[str, Any] = {
    **QWEN,
    **TOP,
    "img_processor": {
        "name": "clip_vision_model",
        "image_dim_out": 16,
        "num_img_tokens": 144,
        "model_name": "openai/clip-vit-large-patch14-336",
    },
    "embd_layer": {"embedding_cls": "image"},
}

# Qwen-VL: a model_type that a text model has too, an OpenCLIP tower with its pool.
QWEN_VL: dict[str, Any] = {**QWEN, "architectures": ["QWenLMHeadModel"], "model_type": "qwen"}
VISUAL = {"heads": 2, "image_size": 28, "image_start_id": 70, "layers": 3, "mlp_ratio": 4, "output_dim": 24}
VISUAL = {**VISUAL, "patch_size": 14, "width": 16}
OPEN_CLIP = names(
    "transformer.visual.transformer.resblocks.{0..2}.{attn.in_proj,attn.out_proj,ln_1,ln_2,mlp.c_fc,mlp.c_proj}."
    + BOTH,
    "transformer.visual.{conv1.weight,ln_pre.weight,ln_post.weight,positional_embedding,proj}",
    "transformer.visual.attn_pool.{pos_embed,query,kv_proj.weight,ln_q.weight,ln_kv.weight}",
    "transformer.visual.attn_pool.attn.{in_proj_weight,out_proj.weight}",
)
QWEN_TEXT = names(
    "transformer.h.{0..1}.{attn.c_attn,attn.c_proj,ln_1,ln_2,mlp.w1,mlp.w2,mlp.c_proj}.weight",
    "{transformer.wte,transformer.ln_f,lm_head}.weight",
)

# DeepSeek-OCR: two towers side by side, a linear projector, learnt separators one of which is misspelt.
CLIP_WIDTH = {"heads": 4, "image_size": 224, "layers": 2, "patch_size": 14, "width": 16}
SAM_WIDTH = {"heads": 2, "layers": 3, "width": 12, "global_attn_indexes": [1]}
DEEPSEEK = {**QWEN, "architectures": ["DeepseekV2ForCausalLM"], "kv_lora_rank": None, "use_mla": False}
OCR: dict[str, Any] = {
    "language_config": DEEPSEEK,
    "vision_config": {
        "image_size": 1024,
        "model_type": "vision",
        "width": {"clip-l-14-224": CLIP_WIDTH, "sam_vit_b": SAM_WIDTH},
    },
    "projector_config": {"input_dim": 32, "n_embed": 24, "projector_type": "linear", "model_type": "mlp_projector"},
}
SAM = names(
    "model.sam_model.blocks.{0..2}.{attn.qkv,attn.proj,mlp.lin1,mlp.lin2,norm1,norm2}." + BOTH,
    "model.sam_model.blocks.{0..2}.attn.{rel_pos_h,rel_pos_w}",
    "model.sam_model.{neck.0.weight,neck.1.weight,net_2.weight,net_3.weight,pos_embed}",
    "model.sam_model.patch_embed.proj." + BOTH,
)
OCR_CLIP = [name.replace("encoder.layers", "transformer.layers") for name in clip("model.vision_model")]
OCR_ENDS = names("model.projector.layers." + BOTH, "model.{image_newline,view_seperator}")
OCR_NAMES = [*llm("model"), *SAM, *OCR_CLIP, *OCR_ENDS]

# Logics: two towers in a list, of which one has no config, and a head that nothing uses.
CONVNEXT = names(
    "model.vision_tower.vision_towers.0.vision_tower.stages.{0..1}.blocks.{0..1}.{conv_dw,mlp.fc1,mlp.fc2,norm}."
    + BOTH,
    "model.vision_tower.vision_towers.0.vision_tower.{stem.0,stem.1,head.norm,head.fc}.weight",
    "model.vision_tower.vision_towers.0.vision_tower.stages.1.downsample.{0..1}.weight",
)
LOGICS: dict[str, Any] = {
    **QWEN,
    **TOP,
    "mm_vision_tower": "convnext-1024,siglip2-384",
    "siglip_config": SIGLIP,
    "mm_hidden_size": 40,
    "mm_projector_type": "mlp2x_gelu",
    "auto_map": {"AutoConfig": "configuration_o.O", "AutoModel": "modeling_o.M"},
}
LOGICS_TOWER = "model.vision_tower.vision_towers.1.vision_tower.vision_model"
LOGICS_NAMES = [
    *llm("model"),
    *CONVNEXT,
    *siglip(LOGICS_TOWER),
    *mlp("model.mm_projector", 0, 2),
    "model.image_newline",
]

# VideoLLaMA3: a null tower key beside the config of the real one.
STREAM: dict[str, Any] = {
    **QWEN,
    **TOP,
    "vision_encoder": None,
    "vision_encoder_config": {**SIGLIP, "model_type": "odd_vision_encoder"},
    "image_token_index": 80,
    "mm_projector_type": "mlp2x_gelu",
}
STREAM_NAMES = [*llm("model"), *siglip("model.vision_encoder"), *mlp("model.mm_projector.readout", 0, 2)]

# SciCore-Omics: modules of another kind of input beside the three parts.
GENES = names(
    "gene_qformer.blocks.{0..3}.cross_attn.in_proj_weight",
    "gene_projector.proj.{0,2}." + BOTH,
    "nicheformer.encoder.layers.{0..2}.linear1.weight",
)

# MinerU2: no code, a tower that is a folder of the repo, a grid written in shorthand.
MINERU: dict[str, Any] = {
    **QWEN,
    **TOP,
    "tie_word_embeddings": True,
    "image_token_index": 151646,
    "mm_hidden_size": 16,
    "mm_vision_tower": "google/siglip-so400m-patch14-384",
    "image_grid_pinpoints": "(1x1),...,(4x4)",
    "mm_vision_select_layer": -2,
    "mm_projector_type": "mlp2x_gelu",
}

# Nemotron-Parse: an encoder from another repo and a decoder that attends to it.
PARSE: dict[str, Any] = {
    "is_encoder_decoder": True,
    "image_size": [2048, 1648],
    "vocab_size": 52327,
    "tie_word_embeddings": False,
    "encoder": {
        "model_type": "",
        "architectures": ["RADIOModel"],
        "patch_size": 16,
        "tie_word_embeddings": True,
        "auto_map": {"AutoModel": "someone/RADIO--hf_model.RADIOModel"},
    },
    "decoder": {
        "model_type": "odd_text",
        "d_model": 24,
        "hidden_size": 24,
        "decoder_layers": 10,
        "encoder_layers": 12,
        "num_hidden_layers": 12,
        "vocab_size": 52352,
        "add_cross_attention": True,
        "is_decoder": True,
        "tie_word_embeddings": False,
    },
}


def repo(folder: Path, config: dict[str, Any], tensors: list[str] | None = None, **files: object) -> RepoReading:
    """Facts of a repo without code; `files` by name, `__` for a dot; `tensors` make a weights index."""
    (folder / "repo").mkdir()
    texts: dict[str, object] = {"config__json": {**TOP, **config}, **files}
    if tensors is not None:
        shard = dict.fromkeys(tensors, "model-00001-of-00001.safetensors")
        texts["model__safetensors__index__json"] = {"metadata": {"total_size": 1}, "weight_map": shard}
    for name, value in texts.items():
        (folder / "repo" / name.replace("__", ".")).write_text(json.dumps(value), encoding="utf-8")
    return read(folder / "repo")


def tokens(ids: dict[str, int]) -> dict[str, object]:
    """A tokenizer_config with these special tokens."""
    return {"added_tokens_decoder": {str(i): {"content": token, "special": True} for token, i in ids.items()}}


def minicpm(folder: Path, **files: object) -> RepoReading:
    return repo(folder, FLAT, [*llm("llm.model", "llm.lm_head"), *TIMM, *RESAMPLER], **files)


def molmo(folder: Path, config: dict[str, Any] | None = None, **files: object) -> RepoReading:
    return repo(folder, {**QWEN, **TOP, "weight_tying": False, **(config or {})}, MOLMO, **files)


def counted(found: RepoReading) -> dict[str, int]:
    """Tensors by the role that they play."""
    layout = found.facts.value("weights_layout")
    assert isinstance(layout, dict), found.facts["weights_layout"]
    roles: dict[str, int] = {}
    for group in layout["groups"]:
        roles[group["role"]] = roles.get(group["role"], 0) + group["tensors"]
    return roles


def entries(found: RepoReading) -> set[tuple[object, object, object]]:
    value = found.facts.value("auto_map")
    rows = value.values() if isinstance(value, dict) else ()
    return {(row["repo"], str(row["file"]).rpartition("--")[2], row["found"]) for row in rows if isinstance(row, dict)}

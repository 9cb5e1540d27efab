"""Names and shapes of real layouts, written out from their published structure, at small sizes."""

from __future__ import annotations

from collections.abc import Iterator

from porter.hub.snapshot import TensorInfo
from porter.weights.infer import Target

Shape = tuple[int, ...]
Layout = dict[str, Shape]


def _both(name: str, width: int, *rest: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width, *rest)
    yield f"{name}.bias", (width,)


def intern_vit(prefix: str, width: int = 48, layers: int = 4) -> Layout:
    found: Layout = {
        f"{prefix}embeddings.class_embedding": (1, 1, width),
        f"{prefix}embeddings.position_embedding": (1, 17, width),
        f"{prefix}embeddings.patch_embedding.weight": (width, 3, 14, 14),
        f"{prefix}embeddings.patch_embedding.bias": (width,),
    }
    for index in range(layers):
        layer = f"{prefix}encoder.layers.{index}."
        found.update({f"{layer}ls1": (width,), f"{layer}ls2": (width,)})
        found.update(_both(f"{layer}attn.qkv", 3 * width, width))
        found.update(_both(f"{layer}attn.proj", width, width))
        found.update(_both(f"{layer}mlp.fc1", 4 * width, width))
        found.update(_both(f"{layer}mlp.fc2", width, 4 * width))
        found.update(_both(f"{layer}norm1", width))
        found.update(_both(f"{layer}norm2", width))
    return found


def clip_tower(prefix: str, width: int = 48, layers: int = 4, *, siglip: bool = False) -> Layout:
    found: Layout = {
        f"{prefix}embeddings.patch_embedding.weight": (width, 3, 14, 14),
        f"{prefix}embeddings.position_embedding.weight": (17, width),
    }
    if siglip:
        found[f"{prefix}embeddings.patch_embedding.bias"] = (width,)
    else:
        found[f"{prefix}embeddings.class_embedding"] = (width,)
        found.update(_both(f"{prefix}pre_layrnorm", width))
    for index in range(layers):
        layer = f"{prefix}encoder.layers.{index}."
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            found.update(_both(f"{layer}self_attn.{part}", width, width))
        found.update(_both(f"{layer}layer_norm1", width))
        found.update(_both(f"{layer}layer_norm2", width))
        found.update(_both(f"{layer}mlp.fc1", 4 * width, width))
        found.update(_both(f"{layer}mlp.fc2", width, 4 * width))
    found.update(_both(f"{prefix}post_layernorm", width))
    return found


def qwen2(prefix: str, width: int = 32, layers: int = 4, *, tied: bool = False) -> Layout:
    found: Layout = {f"{prefix}model.embed_tokens.weight": (320, width), f"{prefix}model.norm.weight": (width,)}
    for index in range(layers):
        layer = f"{prefix}model.layers.{index}."
        found.update(_both(f"{layer}self_attn.q_proj", width, width))
        found.update(_both(f"{layer}self_attn.k_proj", width // 2, width))
        found.update(_both(f"{layer}self_attn.v_proj", width // 2, width))
        found[f"{layer}self_attn.o_proj.weight"] = (width, width)
        found[f"{layer}mlp.gate_proj.weight"] = (3 * width, width)
        found[f"{layer}mlp.up_proj.weight"] = (3 * width, width)
        found[f"{layer}mlp.down_proj.weight"] = (width, 3 * width)
        found[f"{layer}input_layernorm.weight"] = (width,)
        found[f"{layer}post_attention_layernorm.weight"] = (width,)
    if not tied:
        found[f"{prefix}lm_head.weight"] = (320, width)
    return found


def internlm2(prefix: str, width: int = 32, layers: int = 4) -> Layout:
    found: Layout = {
        f"{prefix}model.tok_embeddings.weight": (320, width),
        f"{prefix}model.norm.weight": (width,),
        f"{prefix}output.weight": (320, width),
    }
    for index in range(layers):
        layer = f"{prefix}model.layers.{index}."
        found[f"{layer}attention.wqkv.weight"] = (2 * width, width)
        found[f"{layer}attention.wo.weight"] = (width, width)
        found[f"{layer}feed_forward.w1.weight"] = (3 * width, width)
        found[f"{layer}feed_forward.w3.weight"] = (3 * width, width)
        found[f"{layer}feed_forward.w2.weight"] = (width, 3 * width)
        found[f"{layer}attention_norm.weight"] = (width,)
        found[f"{layer}ffn_norm.weight"] = (width,)
    return found


def internvl_connector(prefix: str, vision: int = 192, text: int = 32) -> Layout:
    return {
        **dict(_both(f"{prefix}0", vision)),
        **dict(_both(f"{prefix}1", text, vision)),
        **dict(_both(f"{prefix}3", text, text)),
    }


def llava_connector(prefix: str, vision: int = 48, text: int = 32) -> Layout:
    return {**dict(_both(f"{prefix}linear_1", text, vision)), **dict(_both(f"{prefix}linear_2", text, text))}


def qwen2_vl_tower(prefix: str, width: int = 48, text: int = 32, layers: int = 4) -> Layout:
    found: Layout = {f"{prefix}patch_embed.proj.weight": (width, 3, 2, 14, 14)}
    for index in range(layers):
        layer = f"{prefix}blocks.{index}."
        found.update(_both(f"{layer}norm1", width))
        found.update(_both(f"{layer}norm2", width))
        found.update(_both(f"{layer}attn.qkv", 3 * width, width))
        found.update(_both(f"{layer}attn.proj", width, width))
        found.update(_both(f"{layer}mlp.fc1", 4 * width, width))
        found.update(_both(f"{layer}mlp.fc2", width, 4 * width))
    found.update(_both(f"{prefix}merger.ln_q", width))
    found.update(_both(f"{prefix}merger.mlp.0", 4 * width, 4 * width))
    found.update(_both(f"{prefix}merger.mlp.2", text, 4 * width))
    return found


def moonvit(prefix: str, width: int = 48, layers: int = 4) -> Layout:
    found: Layout = {
        f"{prefix}patch_embed.pos_emb.weight": (8, 8, width),
        **dict(_both(f"{prefix}patch_embed.proj", width, 3, 14, 14)),
        **dict(_both(f"{prefix}encoder.final_layernorm", width)),
    }
    for index in range(layers):
        layer = f"{prefix}encoder.blocks.{index}."
        found.update(_both(f"{layer}norm0", width))
        found.update(_both(f"{layer}norm1", width))
        found.update(_both(f"{layer}wqkv", 3 * width, width))
        found.update(_both(f"{layer}wo", width, width))
        found.update(_both(f"{layer}mlp.fc0", 4 * width, width))
        found.update(_both(f"{layer}mlp.fc1", width, 4 * width))
    return found


def deepseek_moe(prefix: str, width: int = 32, layers: int = 3, experts: int = 4) -> Layout:
    found: Layout = {
        f"{prefix}model.embed_tokens.weight": (320, width),
        f"{prefix}model.norm.weight": (width,),
        f"{prefix}lm_head.weight": (320, width),
    }
    for index in range(layers):
        layer = f"{prefix}model.layers.{index}."
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            found[f"{layer}self_attn.{part}.weight"] = (width, width)
        found[f"{layer}input_layernorm.weight"] = found[f"{layer}post_attention_layernorm.weight"] = (width,)
        found.update(_swiglu(f"{layer}mlp.shared_experts.", width, 2 * width) if index else {})
        found.update(_swiglu(f"{layer}mlp.", width, 4 * width) if not index else {})
        for expert in range(experts if index else 0):
            found.update(_swiglu(f"{layer}mlp.experts.{expert}.", width, width + 8))
        found.update({f"{layer}mlp.gate.weight": (experts, width)} if index else {})
    return found


def _swiglu(prefix: str, width: int, inner: int) -> Layout:
    shapes = {"gate_proj": (inner, width), "up_proj": (inner, width), "down_proj": (width, inner)}
    return {f"{prefix}{part}.weight": shape for part, shape in shapes.items()}


def kimi_connector(prefix: str, vision: int = 48, text: int = 32) -> Layout:
    return {
        **dict(_both(f"{prefix}pre_norm", vision)),
        **dict(_both(f"{prefix}linear_1", 4 * vision, 4 * vision)),
        **dict(_both(f"{prefix}linear_2", text, 4 * vision)),
    }


LAYOUTS: dict[str, Layout] = {
    "internvl_qwen2": {**intern_vit("vision_model."), **internvl_connector("mlp1."), **qwen2("language_model.")},
    "internvl_internlm2": {
        **intern_vit("vision_model."),
        **internvl_connector("mlp1."),
        **internlm2("language_model."),
    },
    "llava_clip": {
        **clip_tower("vision_tower.vision_model."),
        **llava_connector("multi_modal_projector."),
        **qwen2("language_model."),
    },
    "llava_siglip_tied": {
        **clip_tower("vision_tower.vision_model.", siglip=True),
        **llava_connector("multi_modal_projector."),
        **qwen2("language_model.", tied=True),
    },
    "siglip_same_width": {
        **clip_tower("vision_model.vision_model.", width=32, siglip=True),
        **internvl_connector("mlp1.", vision=128),
        **qwen2("language_model."),
    },
    "qwen2_vl": {**qwen2_vl_tower("visual."), **qwen2("language_model.")},
    "kimi_vl": {
        **moonvit("vision_tower."),
        **kimi_connector("multi_modal_projector."),
        **deepseek_moe("language_model."),
    },
}


def targets(layout: Layout) -> list[Target]:
    return [Target(name, shape) for name, shape in layout.items()]


def tensors(layout: Layout, *, shapes: bool = True) -> list[TensorInfo]:
    return [TensorInfo(name, "model.safetensors", "BF16", shape if shapes else None) for name, shape in layout.items()]

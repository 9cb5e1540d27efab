# Copyright 2025 The Skylark Authors. Licensed under the Apache License, Version 2.0.
"""The image encoder of Skylark-VL: a pre-norm ViT with a class token and per-channel residual scales."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutput

from .configuration_skylark_vl import SkylarkVisualConfig


class SkylarkRMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        scale = torch.rsqrt(x.float().square().mean(-1, keepdim=True) + self.eps)
        return self.weight * (x.float() * scale).to(x.dtype)


NORMS = {"layer_norm": nn.LayerNorm, "rms_norm": SkylarkRMSNorm}


class SkylarkPatchEmbeddings(nn.Module):
    """Patches of `(tiles, 3, S, S)` as `(tiles, 1 + (S / P)^2, width)`, the class token first."""

    def __init__(self, config):
        super().__init__()
        self.patch_embedding = nn.Conv2d(
            config.num_channels, config.hidden_size, kernel_size=config.patch_size, stride=config.patch_size
        )
        grid = config.image_size // config.patch_size
        self.class_embedding = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.position_embedding = nn.Parameter(torch.zeros(1, grid * grid + 1, config.hidden_size))

    def forward(self, pixel_values):
        patches = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        cls = self.class_embedding.expand(len(patches), -1, -1)
        return torch.cat((cls, patches), dim=1) + self.position_embedding


class SkylarkVisionAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(width, 3 * width, bias=config.qkv_bias)
        self.proj = nn.Linear(width, width)
        self.qk_normalization = config.qk_normalization
        if self.qk_normalization:
            self.q_norm = SkylarkRMSNorm(width, eps=config.layer_norm_eps)
            self.k_norm = SkylarkRMSNorm(width, eps=config.layer_norm_eps)

    def _heads_first(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        if self.qk_normalization:
            q, k = self.q_norm(q), self.k_norm(k)
        mixed = F.scaled_dot_product_attention(self._heads_first(q), self._heads_first(k), self._heads_first(v))
        return self.proj(mixed.transpose(1, 2).flatten(2))


class SkylarkVisionMLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.act = ACT2FN[config.hidden_act]
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class SkylarkVisionLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        norm = NORMS[config.norm_type]
        self.norm1 = norm(config.hidden_size, eps=config.layer_norm_eps)
        self.attn = SkylarkVisionAttention(config)
        self.ls1 = nn.Parameter(config.initializer_factor * torch.ones(config.hidden_size))
        self.norm2 = norm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = SkylarkVisionMLP(config)
        self.ls2 = nn.Parameter(config.initializer_factor * torch.ones(config.hidden_size))

    def forward(self, x):
        x = x + self.ls1 * self.attn(self.norm1(x))
        return x + self.ls2 * self.mlp(self.norm2(x))


class SkylarkVisionEncoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList(SkylarkVisionLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x):
        states = (x,)
        for layer in self.layers:
            states += (layer(states[-1]),)
        return states


class SkylarkVisionModel(PreTrainedModel):
    config_class = SkylarkVisualConfig
    main_input_name = "pixel_values"
    _supports_sdpa = True
    _no_split_modules = ["SkylarkVisionLayer"]

    def __init__(self, config):
        super().__init__(config)
        self.embeddings = SkylarkPatchEmbeddings(config)
        self.encoder = SkylarkVisionEncoder(config)
        self.post_init()

    def get_input_embeddings(self):
        return self.embeddings.patch_embedding

    def forward(self, pixel_values, output_hidden_states=False):
        states = self.encoder(self.embeddings(pixel_values.to(self.dtype)))
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=states if output_hidden_states else None)

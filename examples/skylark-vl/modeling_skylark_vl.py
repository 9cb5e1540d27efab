# Copyright 2025 The Skylark Authors. Licensed under the Apache License, Version 2.0.
"""Skylark-VL: tiles of an image are encoded, shuffled to fewer tokens and put where the prompt has patch tokens."""

import torch
from torch import nn
from transformers import GenerationMixin, PreTrainedModel, Qwen2ForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_skylark_vl import SkylarkVLConfig
from .vision_skylark import SkylarkVisionModel


class SkylarkVLPreTrainedModel(PreTrainedModel):
    config_class = SkylarkVLConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["SkylarkVisionLayer", "Qwen2DecoderLayer"]


class SkylarkVLModel(SkylarkVLPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.vit = SkylarkVisionModel(config.visual_config)
        self.llm = Qwen2ForCausalLM(config.language_config)
        self.connector = self._make_connector(config)
        self.register_buffer("norm_mean", torch.tensor(config.pixel_mean).view(1, 3, 1, 1))
        self.register_buffer("norm_std", torch.tensor(config.pixel_std).view(1, 3, 1, 1))
        self.feature_layer = config.vision_feature_layer
        self.ratio = config.shuffle_ratio
        self.shuffle_version = config.shuffle_version
        grid = config.visual_config.image_size // config.visual_config.patch_size
        self.tokens_per_tile = int(grid * grid * self.ratio**2)
        self.post_init()

    @staticmethod
    def _make_connector(config):
        merged = config.visual_config.hidden_size * int(1 / config.shuffle_ratio) ** 2
        width = config.language_config.hidden_size
        return nn.Sequential(nn.LayerNorm(merged), nn.Linear(merged, width), nn.GELU(), nn.Linear(width, width))

    def get_input_embeddings(self):
        return self.llm.get_input_embeddings()

    def set_input_embeddings(self, value):
        self.llm.set_input_embeddings(value)

    def shuffle(self, grid):
        """Folds `(tiles, H, W, C)` into `(tiles, H * r, W * r, C / r^2)`."""
        tiles, height, width, channels = grid.shape
        r = self.ratio
        grid = grid.reshape(tiles, height, int(width * r), int(channels / r)).transpose(1, 2)
        grid = grid.reshape(tiles, int(width * r), int(height * r), int(channels / (r * r)))
        return grid if self.shuffle_version == "v1" else grid.transpose(1, 2)

    def encode_tiles(self, pixel_values):
        """`(tiles, 3, S, S)` in [0, 1] as `(tiles, tokens_per_tile, llm width)`."""
        pixels = (pixel_values - self.norm_mean) / self.norm_std
        if self.feature_layer == -1:
            features = self.vit(pixels).last_hidden_state
        else:
            features = self.vit(pixels, output_hidden_states=True).hidden_states[self.feature_layer]
        features = features[:, 1:]
        side = int(features.shape[1] ** 0.5)
        features = self.shuffle(features.unflatten(1, (side, side)))
        return self.connector(features.flatten(1, 2))

    def merge(self, input_ids, pixel_values, image_flags=None):
        embeds = self.get_input_embeddings()(input_ids)
        if pixel_values is None:
            return embeds
        features = self.encode_tiles(pixel_values)
        if image_flags is not None:
            features = features[image_flags.reshape(-1) == 1]
        slots = input_ids == self.config.vision_token_id
        if int(slots.sum()) != features.shape[0] * features.shape[1]:
            raise ValueError(f"{int(slots.sum())} patch tokens in the prompt, {features.shape[:2]} tile features")
        return embeds.masked_scatter(slots.unsqueeze(-1), features.to(embeds.dtype))

    def forward(self, input_ids=None, pixel_values=None, image_flags=None, inputs_embeds=None, **kwargs):
        if inputs_embeds is None:
            inputs_embeds = self.merge(input_ids, pixel_values, image_flags)
        return self.llm(inputs_embeds=inputs_embeds, **kwargs)


class SkylarkVLForCausalLM(SkylarkVLPreTrainedModel, GenerationMixin):
    _tied_weights_keys = {"model.llm.lm_head.weight": "model.llm.model.embed_tokens.weight"}

    IMAGE_PLACEHOLDER = "<image>"
    IMAGE_OPEN = "<|vision_open|>"
    IMAGE_CLOSE = "<|vision_close|>"
    IMAGE_PATCH = "<|vision_patch|>"

    def __init__(self, config):
        super().__init__(config)
        self.model = SkylarkVLModel(config)
        self.post_init()

    def get_input_embeddings(self):
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value):
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self):
        return self.model.llm.get_output_embeddings()

    def forward(
        self,
        input_ids=None,
        pixel_values=None,
        attention_mask=None,
        position_ids=None,
        image_flags=None,
        past_key_values=None,
        inputs_embeds=None,
        labels=None,
        use_cache=None,
        **kwargs,
    ):
        outputs = self.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            image_flags=image_flags,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            labels=labels,
            use_cache=use_cache,
        )
        return CausalLMOutputWithPast(
            loss=outputs.loss, logits=outputs.logits, past_key_values=outputs.past_key_values
        )

    def expand_prompt(self, prompt, tiles_per_image):
        """Replaces each placeholder, in order, by the tokens of its image."""
        for tiles in tiles_per_image:
            patches = self.IMAGE_PATCH * (tiles * self.model.tokens_per_tile)
            prompt = prompt.replace(self.IMAGE_PLACEHOLDER, self.IMAGE_OPEN + patches + self.IMAGE_CLOSE, 1)
        return prompt

    @torch.no_grad()
    def chat(self, tokenizer, pixel_values, question, tiles_per_image=None, max_new_tokens=128):
        if pixel_values is not None:
            tiles_per_image = tiles_per_image or [len(pixel_values)]
            if self.IMAGE_PLACEHOLDER not in question:
                question = f"{self.IMAGE_PLACEHOLDER}\n{question}"
        messages = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompt = self.expand_prompt(prompt, tiles_per_image or [])
        inputs = tokenizer(prompt, return_tensors="pt").to(self.device)
        embeds = self.model.merge(inputs["input_ids"], pixel_values)
        tokens = self.model.llm.generate(
            inputs_embeds=embeds,
            attention_mask=inputs["attention_mask"],
            max_new_tokens=max_new_tokens,
            eos_token_id=tokenizer.eos_token_id,
        )
        return tokenizer.decode(tokens[0], skip_special_tokens=True).strip()

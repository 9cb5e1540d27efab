"""The two forms in which transformers' RADIO stands in checkpoints: under its modules' names, and as it is saved."""

from __future__ import annotations

from dataclasses import replace

from porter.facts.radio import is_radio
from porter.families.base import ReadingLike
from porter.vllm_tree.contract import read_contract
from porter.vllm_tree.tree import Tree
from porter.weights.mapper import SHARD, NameRules, mapper_field

SAVED = "radio_model."
"""`save_pretrained` writes the names of the code that the class was ported from."""
PLACES = {
    "summary_idxs": None,
    "embeddings.cls_register_token": "vision_model.patch_generator.cls_token.token",
    "embeddings.patch_projection.": "vision_model.patch_generator.embedder.",
    "embeddings.position_embedding": "vision_model.patch_generator.pos_embed",
    "encoder.layer.": "vision_model.encoder.layers.",
    "input_conditioner.": "",
}
INSIDE = {".attention.o_proj.": ".attn.proj."}
SHARDS = {f".attention.{letter}_proj.": f".attn.qkv{SHARD}{letter}." for letter in "qkv"}


def both_forms(rules: NameRules, reading: ReadingLike, tree: Tree) -> NameRules:
    """The rules for a checkpoint that was saved, and those for the names that its own modules have."""
    tower = reading.configs.tower
    stored = [tensor.name for tensor in reading.snapshot.tensors.tensors]
    head = next((name.partition(SAVED)[0] for name in stored if f".{SAVED}" in name), None)
    if tower is None or head is None or not rules or not is_radio(tower.module, tower.config):
        return rules
    fields = read_contract(tree).require("mapper_fields")
    if not isinstance(fields, list) or mapper_field("stacked") not in fields or any(".attention." in n for n in stored):
        return rules
    places = {f"{head}{name}": place for name, place in PLACES.items()}
    return replace(
        rules,
        substr={**INSIDE, **rules.substr},
        stacked={**SHARDS, **rules.stacked},
        prefix={**places, **rules.prefix},
    )

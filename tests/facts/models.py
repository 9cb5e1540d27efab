"""Small models written by hand, from interchangeable pieces: the same arithmetic in several spellings."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "architectures": ["Model"],
    "model_type": "m",
    "auto_map": {"AutoConfig": "configuration_m.Config", "AutoModel": "modeling_m.Model"},
    "layer": -1,
    "vision_config": {
        "model_type": "siglip_vision_model", "hidden_size": 16, "image_size": 32, "patch_size": 4,
        "num_hidden_layers": 5, "num_attention_heads": 2,
    },
    "text_config": {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 24, "vocab_size": 99,
        "num_hidden_layers": 2,
    },
}  # fmt: skip
CONFIGURATION = """
from transformers import CLIPVisionConfig, LlamaConfig, PretrainedConfig, SiglipVisionConfig

class Config(PretrainedConfig):
    model_type = 'm'

    def __init__(self, vision_config=None, text_config=None, layer=-2, **kwargs):
        super().__init__(**kwargs)
        self.vision_config = SiglipVisionConfig(**(vision_config or {}))
        self.text_config = LlamaConfig(**(text_config or {}))
        self.layer = layer
"""
TOP = """
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn
from transformers import CLIPVisionModel, LlamaForCausalLM, PreTrainedModel, SiglipVisionModel

from .configuration_m import Config
"""
BUILD = """
class Model(PreTrainedModel):
    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.config = config
        self.tower = {tower}(config.vision_config)
        self.llm = LlamaForCausalLM(config.text_config)
"""
SEQUENTIAL = """
self.proj = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 24), nn.GELU(), nn.Linear(24, 24))
"""


def indented(text: str, depth: int) -> str:
    return textwrap.indent(textwrap.dedent(text).strip("\n"), "    " * depth)


def model(body: str, build: str = SEQUENTIAL, *, tower: str = "SiglipVisionModel", before: str = "") -> str:
    """Source of a model: `build` ends its `__init__`, `body` is `extract_feature(self, pixel_values)`."""
    method = "    def extract_feature(self, pixel_values):\n" + indented(body, 2)
    head = TOP + textwrap.dedent(before) + BUILD.format(tower=tower)
    return "\n".join([head, indented(build, 2), "", method, ""])


def write(folder: Path, code: str, config: Mapping[str, Any] | None = None, **files: str) -> Path:
    """A repo of that model; `config` replaces top-level keys, `files` adds texts (`__` in a name is a dot)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **(config or {})}), encoding="utf-8")
    texts = {"configuration_m.py": CONFIGURATION, "modeling_m.py": code}
    texts.update({name.replace("__", "."): text for name, text in files.items()})
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder

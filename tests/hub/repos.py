"""Small repos for the tests of hub: safetensors files by hand, so that broken ones can be made as well."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

CONFIG = {
    "architectures": ["TinyVL"],
    "model_type": "tiny_vl",
    "auto_map": {"AutoConfig": "configuration_tiny.TinyConfig", "AutoModel": "modeling_tiny.TinyVL"},
}
CODE = {
    "configuration_tiny.py": "class TinyConfig:\n    pass\n",
    "modeling_tiny.py": "from .configuration_tiny import TinyConfig\nfrom .parts import tower\n",
    "parts/__init__.py": "",
    "parts/tower.py": "from ..shared import norm\n",
    "shared.py": "norm = 1\n",
    "unrelated.py": "raise SystemExit\n",
}
BYTES_PER = {"F32": 4, "BF16": 2}


def safetensors(tensors: Mapping[str, tuple[str, tuple[int, ...]]], *, body: bool = True) -> bytes:
    """A file with zeros as data."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        size = BYTES_PER[dtype]
        for length in shape:
            size *= length
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    return with_header(entries, end if body else 0)


def with_header(entries: object, data_bytes: int = 0) -> bytes:
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + bytes(data_bytes)


def tiny_repo() -> dict[str, bytes]:
    """A whole repo: config, code, tokenizer, card, two shards with their index."""
    shards: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {
        "model-00001-of-00002.safetensors": {"vit.weight": ("BF16", (4, 2)), "vit.bias": ("BF16", (4,))},
        "model-00002-of-00002.safetensors": {"llm.weight": ("F32", (3, 3))},
    }
    weight_map = {tensor: file for file, tensors in shards.items() for tensor in tensors}
    texts = {
        "config.json": json.dumps(CONFIG),
        "tokenizer_config.json": json.dumps({"chat_template": "{{ messages }}"}),
        "tokenizer.json": "{}",
        "README.md": "---\nlicense: apache-2.0\ntags:\n- a\n---\n# Tiny\n",
        "model.safetensors.index.json": json.dumps({"metadata": {"total_size": 60}, "weight_map": weight_map}),
        "optimizer.bin": "never fetched",
        **CODE,
    }
    files = {name: text.encode() for name, text in texts.items()}
    return {**files, **{name: safetensors(tensors) for name, tensors in shards.items()}}


def sparse_file(path: Path, tensors: Sequence[tuple[str, tuple[int, ...]]]) -> int:
    """BF16 tensors as a sparse file: a real header, then nothing. Returns the bytes of the header."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in tensors:
        size = 2 * math.prod(shape)
        entries[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(entries, separators=(",", ":")).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + end)
    return 8 + len(header)

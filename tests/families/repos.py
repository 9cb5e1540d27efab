"""Readings of the bundled example and of the variants, and the tree of the vLLM that the tests run with."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pytest

from porter.facts import RepoReading, infer
from porter.hub import snapshot_of
from porter.vllm_tree import locate
from porter.vllm_tree.tree import Tree
from tests.variants import variant

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "skylark-vl"
needs_vllm = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="no vLLM beside this Python")


@lru_cache(maxsize=1)
def tree() -> Tree:
    return locate(None, None, None)


def read(folder: Path) -> RepoReading:
    return infer(snapshot_of(str(folder), revision=None, offline=True))


def read_variant(name: str, folder: Path) -> RepoReading:
    return read(variant(name).build(folder / name))


def stored(folder: Path, names: Sequence[str]) -> Path:
    """The repo with a checkpoint of these tensors, two by two zeros each."""
    spans = {name: [16 * at, 16 * at + 16] for at, name in enumerate(names)}
    header = {name: {"dtype": "F32", "shape": [2, 2], "data_offsets": span} for name, span in spans.items()}
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(16 * len(names)))
    return folder

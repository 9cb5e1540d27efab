"""Reading a vLLM tree: where it is, its version, its contract, its registries and classes."""

from __future__ import annotations

from porter.vllm_tree.contract import Capability, Contract, read_contract
from porter.vllm_tree.locate import locate
from porter.vllm_tree.registry import Architecture, architectures, config_registry
from porter.vllm_tree.tree import Tree

__all__ = [
    "Architecture",
    "Capability",
    "Contract",
    "Tree",
    "architectures",
    "config_registry",
    "locate",
    "read_contract",
]

"""Whether the tree can load the checkpoint's quantisation."""

from __future__ import annotations

from dataclasses import dataclass

from porter.facts.model import Evidence
from porter.families.base import Blocker, ReadingLike
from porter.jsontypes import JSON, JSONObject
from porter.vllm_tree.quantization import FILE, quantization_methods
from porter.vllm_tree.tree import Tree

LEVELS = ("", "text_config", "llm_config", "language_config")
BY_FLAG = {"load_in_4bit": "bitsandbytes", "load_in_8bit": "bitsandbytes"}


@dataclass(frozen=True, slots=True)
class Quantized:
    """`known` tells whether the tree has the method; None when its methods could not be read."""

    method: str
    bits: JSON
    known: bool | None
    evidence: tuple[Evidence, ...]

    def line(self) -> str:
        bits = f", {self.bits} bit" if self.bits is not None else ""
        has = {True: "which this vLLM has", False: "for which this vLLM has no method", None: "not looked up here"}
        return f"the checkpoint is quantised with {self.method}{bits}, {has[self.known]}"

    def blocker(self) -> Blocker | None:
        return Blocker("quantization", self.line(), self.evidence) if self.known is False else None


def quantized(reading: ReadingLike, tree: Tree) -> Quantized | None:
    """None for a checkpoint that is not quantised."""
    found = _fact(reading) or _config(reading)
    if found is None:
        return None
    method, bits, shown = found
    methods = quantization_methods(tree)
    known = None if methods is None else method in methods or method.replace("_", "-") in methods
    return Quantized(method, bits, known, (*shown, Evidence(FILE, "get_quantization_config", "")))


def _fact(reading: ReadingLike) -> tuple[str, JSON, tuple[Evidence, ...]] | None:
    fact = reading.facts["quantization"]
    method = fact.value.get("method") if isinstance(fact.value, dict) else None
    if not isinstance(method, str) or not method or not isinstance(fact.value, dict):
        return None
    return method, fact.value.get("bits"), fact.evidence


def _config(reading: ReadingLike) -> tuple[str, JSON, tuple[Evidence, ...]] | None:
    config = reading.snapshot.config()
    for level in LEVELS:
        inner = config.get(level) if level else config
        stated = inner.get("quantization_config") if isinstance(inner, dict) else None
        method = _method(stated) if isinstance(stated, dict) else None
        if method is not None and isinstance(stated, dict):
            where = f"{level}.quantization_config" if level else "quantization_config"
            return method, stated.get("bits"), (Evidence("config.json", where, method),)
    return None


def _method(stated: JSONObject) -> str | None:
    method = stated.get("quant_method")
    if isinstance(method, str) and method:
        return method
    return next((name for flag, name in BY_FLAG.items() if stated.get(flag) is True), None)

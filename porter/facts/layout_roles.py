"""InternViT under other names: what a layer does, told by the words in its names, not by the names themselves."""

from __future__ import annotations

from collections import Counter

from porter.facts.layout_names import Names
from porter.facts.layout_rows import Path

FUSED = frozenset(["qkv", "wqkv", "qkv_proj", "query_key_value", "in_proj", "in_proj_weight", "qkv_linear", "to_qkv"])
SPLIT = {"q": ("q", "wq", "query", "q_proj"), "k": ("k", "wk", "key", "k_proj"), "v": ("v", "wv", "value", "v_proj")}
SCALES = frozenset(["ls1", "ls2", "ls_1", "ls_2", "lambda_1", "lambda_2", "gamma_1", "gamma_2", "layer_scale1",
                    "layer_scale2", "scale1", "scale2"])  # fmt: skip
OUT_WORDS = ("proj", "out", "dense", "o_proj", "wo", "projection")
MLP_WORDS = ("mlp", "ffn", "feed_forward", "fc", "feedforward")
INTERN_VIT = {"norm": 2, "scale": 2, "out": 1, "mlp": 2}


def is_intern_vit(names: Names) -> bool:
    """Attention, two norms, two layer scales, two layers of an MLP; a class token, learnt positions, a patch layer, and
    nothing behind the last layer."""
    roles = Counter(_role(name) for name in names.layer)
    attends = roles.pop("qkv", 0) == 1 or all(roles.pop(role, 0) == 1 for role in "qkv")
    normed = roles.pop("qk_norm", 0) in (0, 2)
    beside = Counter(_beside(path) for path in names.beside)
    return attends and normed and dict(roles) == INTERN_VIT and dict(beside) == {"cls": 1, "pos": 1, "patch": 1}


def _role(name: str) -> str:
    pieces = name.lower().split(".")
    last = pieces[-1]
    if any(piece in SCALES for piece in pieces):
        return "scale"
    if "norm" in last or last.startswith("ln"):
        return "qk_norm" if last.startswith(("q_", "k_", "query", "key")) else "norm"
    if last in FUSED:
        return "qkv"
    for role, words in SPLIT.items():
        if last in words:
            return role
    if any(word in piece for piece in pieces for word in MLP_WORDS):
        return "mlp"
    return "out" if last.startswith(OUT_WORDS) else f"unknown {name}"


def _beside(path: Path) -> str:
    text = ".".join(path[-2:]).lower()
    last = path[-1].lower() if path else ""
    if "cls" in last or "class" in last:
        return "cls"
    return "pos" if "pos" in last else "patch" if "patch" in text else f"unknown {text}"

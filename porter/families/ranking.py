"""The tree's own multimodal classes nearest to a repo: by attributes and module names they share, never by its name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from porter.families.base import Nearest
from porter.families.native import stored_names
from porter.families.view import View
from porter.jsontypes import JSON
from porter.source.values import Instance
from porter.vllm_tree.registry import Architecture, architectures
from porter.vllm_tree.tree import Tree
from porter.vllm_tree.words import identifiers, words

GENERAL = frozenset(
    {
        "weight", "bias", "model", "layers", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
        "num_key_value_heads", "intermediate_size", "hidden_act", "max_position_embeddings", "rms_norm_eps", "norm",
        "layer_norm_eps", "rope_theta", "rope_scaling", "tie_word_embeddings", "initializer_range", "architectures",
        "model_type", "torch_dtype", "dtype", "use_cache", "attention_dropout", "bos_token_id", "eos_token_id", "mlp",
        "pad_token_id", "head_dim", "attention_bias", "self_attn", "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj",
        "up_proj", "down_proj", "lm_head", "embed_tokens", "input_layernorm", "post_attention_layernorm", "text_config",
        "transformers_version", "auto_map", "sliding_window", "template",
    }
)  # fmt: skip
"""Words of every language model and every config: they tell no family apart."""
NOT_KEYS = frozenset({"auto_map", "quantization_config", "id2label", "label2id"})
MAX_DEPTH = 4
MODELS = "model_executor/models"
SHARED = frozenset({"__init__", "config", "registry", "utils", "interfaces", "interfaces_base", "adapters", "vision"})
SHOWN = 6
TIES = 6
MAX_WORDS = 400
FEW = 4
"""A word that fewer files have than this tells no more: it may be there by chance."""


def nearest(view: View, limit: int = 3) -> tuple[Nearest, ...]:
    """The nearest registered multimodal classes, best first, each file once; empty when nothing is shared."""
    wanted = repo_words(view)
    files: dict[str, Architecture] = {}
    for entry in architectures(view.tree).values():
        file = entry.file(view.tree) if entry.multimodal and not entry.removed else None
        if file is not None:
            files.setdefault(file, entry)
    known = {file: found & wanted for file, found in _with_parts(view.tree, files).items()}
    weights = _weights(wanted, known)
    total = math.fsum(weights.values())
    found = [_judged(files[file], file, held, weights, total) for file, held in known.items()] if total else []
    ranked = sorted((item for item in found if item.score > 0), key=lambda item: -item.score)[: limit + TIES]
    held = [words(view.tree, file) for file in files]

    def builders(item: Nearest) -> int:
        """How many files name its module: among equals the one that the others build on is to be read."""
        stem = item.file.rpartition("/")[2].removesuffix(".py")
        return sum(stem in found for found in held)

    return tuple(sorted(ranked, key=lambda item: (-round(item.score, 2), -builders(item), item.file))[:limit])


def repo_words(view: View) -> frozenset[str]:
    """Config attributes at every level, and the names of modules: stored ones, and those that the code sets."""
    found = dict.fromkeys(_keys(view.reading.snapshot.config(), MAX_DEPTH))
    for path, module in view.modules:
        if path and isinstance(module, Instance):
            found[path.rpartition(".")[2]] = None
    for name in stored_names(view).counts:
        found.update(dict.fromkeys(part for part in name.split(".")[:-1] if not part.isdigit()))
        if len(found) > MAX_WORDS:
            break
    base = "transformers/configuration_utils.py"
    usual = identifiers(view.library.code.texts[base]) if base in view.library.code.texts else frozenset()
    return frozenset(word for word in found if word.isidentifier() and len(word) > 2) - GENERAL - usual


def _with_parts(tree: Tree, files: Iterable[str]) -> dict[str, frozenset[str]]:
    """The words of each file, and of the files that it names and that are no architectures: towers above all."""
    files = tuple(files)
    registered = {entry.file(tree) for entry in architectures(tree).values()}
    stems = {
        path.stem: f"{MODELS}/{path.name}"
        for path in (tree.package / MODELS).glob("*.py")
        if f"{MODELS}/{path.name}" not in registered and path.stem not in SHARED
    }
    found: dict[str, frozenset[str]] = {}
    for file in files:
        own = words(tree, file)
        found[file] = own.union(*(words(tree, stems[stem]) for stem in stems.keys() & own))
    return found


def _keys(value: JSON, depth: int) -> Iterator[str]:
    if isinstance(value, dict) and depth:
        for key, inner in value.items():
            if key not in NOT_KEYS and not key.startswith("_"):
                yield key
                yield from _keys(inner, depth - 1)


def _weights(wanted: Iterable[str], known: Mapping[str, frozenset[str]]) -> dict[str, float]:
    """How much each word tells: nothing when every file has it or none has."""
    count = len(known) or 1
    found: dict[str, float] = {}
    for word in wanted:
        holders = sum(word in held for held in known.values())
        if holders:
            found[word] = math.log((count + 1) / max(holders, FEW))
    return found


def _judged(
    entry: Architecture, file: str, held: frozenset[str], weights: Mapping[str, float], total: float
) -> Nearest:
    order = sorted(weights, key=lambda word: (-weights[word], word))
    shared = tuple(word for word in order if word in held)[:SHOWN]
    lacking = tuple(word for word in order if word not in held)[:SHOWN]
    return Nearest(entry, file, min(1.0, math.fsum(weights.get(word, 0.0) for word in held) / total), shared, lacking)

"""How alike two module names are: the words that model authors use for the same thing, in one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache

from porter.weights.mapper import SHARD

_CLASSES = (
    ("vision_model", "visual", "vit", "vision_tower", "vision_encoder", "image_encoder", "vpm", "eye", "vision"),
    ("language_model", "llm", "text_model", "lm", "language", "decoder", "text_decoder", "brain", "llama", "lang"),
    (
        "mlp1", "connector", "projector", "multi_modal_projector", "mm_projector", "aligner", "adapter", "bridge",
        "merger",
    ),
    ("layers", "blocks", "block", "layer", "h", "resblocks", "stages"),
    ("attention", "attn", "self_attn", "self_attention", "mha"),
    ("mlp", "ffn", "feed_forward", "feedforward", "ff"),
    ("qkv", "qkv_proj", "wqkv", "in_proj", "query_key_value", "attn_qkv", "to_qkv", "c_attn", "in_proj_weight"),
    ("q_proj", "wq", "query", "q", "to_q"),
    ("k_proj", "wk", "key", "k", "to_k"),
    ("v_proj", "wv", "value", "v", "to_v"),
    ("proj", "out_proj", "o_proj", "dense", "wo", "out", "c_proj", "to_out"),
    ("gate_proj", "w1", "gate", "wg"),
    ("up_proj", "w3", "up"),
    ("down_proj", "w2", "down"),
    ("gate_up_proj", "w13", "gate_up"),
    ("fc1", "linear_1", "lin1", "dense_h_to_4h", "c_fc", "fc_1", "intermediate", "fc_in", "linear1", "expand"),
    ("fc2", "linear_2", "lin2", "dense_4h_to_h", "fc_2", "output", "fc_out", "linear2", "contract"),
    (
        "norm1", "ln_1", "layer_norm1", "input_layernorm", "attention_norm", "ln1", "norm_1", "layernorm_before",
        "pre_norm",
    ),
    (
        "norm2", "ln_2", "layer_norm2", "post_attention_layernorm", "ffn_norm", "ln2", "norm_2", "layernorm_after",
        "post_norm", "mlp_norm",
    ),
    ("norm", "final_layernorm", "ln_f", "layernorm", "ln", "layer_norm", "final_norm"),
    ("post_layernorm", "ln_post", "post_ln", "layer_norm_post"),
    ("pre_layrnorm", "pre_layernorm", "ln_pre", "layer_norm_pre"),
    ("embed_tokens", "tok_embeddings", "wte", "word_embeddings", "token_embedding", "word_embedding"),
    ("lm_head", "output", "head", "embed_out"),
    ("patch_embed", "patch_embedding", "conv1", "patch_embeddings", "patchify", "patch_conv", "patch"),
    ("pos_embed", "position_embedding", "positional_embedding", "position_embeddings", "pos_emb", "pos_table", "pos"),
    ("cls_token", "class_embedding", "cls", "class_token", "cls_embed"),
    ("ls1", "gamma_1", "lambda_1", "layer_scale1", "gamma1", "scale1"),
    ("ls2", "gamma_2", "lambda_2", "layer_scale2", "gamma2", "scale2"),
    ("weight", "kernel", "scale", "gamma"),
    ("bias", "beta"),
)  # fmt: skip
_MEANINGS: dict[str, frozenset[int]] = {}
for _number, _words in enumerate(_CLASSES):
    for _word in _words:
        _MEANINGS[_word] = _MEANINGS.get(_word, frozenset()) | {_number}

_SHARD_WORDS = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "0": "gate_proj", "1": "up_proj"}
"""What authors call the parts that vLLM knows by a letter or a number only."""

_ORDINALS = {
    "pre": "1", "before": "1", "first": "1", "input": "1", "a": "1",
    "post": "2", "after": "2", "second": "2", "b": "2",
}  # fmt: skip
_LEAF_WEIGHT = 2.0
_MAX_TOKENS = 16


@lru_cache(maxsize=65536)
def token_similarity(left: str, right: str) -> float:
    """1 for equal words, 0.9 for words of one meaning, less for a likeness in spelling."""
    if left == right:
        return 1.0
    left, right = _shard_word(left), _shard_word(right)
    meanings = _MEANINGS.get(left.lower()), _MEANINGS.get(right.lower())
    if meanings[0] and meanings[1]:
        return 0.9 if meanings[0] & meanings[1] else 0.0
    (stem, numbers), (other, others) = (_parts(word.lower()[:64]) for word in (left, right))
    likeness = SequenceMatcher(None, stem, other, autojunk=False).ratio()
    if numbers == others:
        return 0.8 * likeness
    return 0.0 if numbers and others else 0.5 * likeness


def _shard_word(word: str) -> str:
    return _SHARD_WORDS.get(word.partition(SHARD)[2], word) if SHARD in word else word


_NORM_WORDS = {"norm", "ln", "layernorm", "rmsnorm", "pre", "before"}
_NORM_OF = {"attn": "1", "attention": "1", "ffn": "2", "mlp": "2", "ff": "2"}
"""The norm before the attention is a block's first, the one before its MLP the second."""


def _parts(word: str) -> tuple[str, tuple[str, ...]]:
    """The spelling without numbers, and the numbers; `pre` and `post` count as 1 and 2, `pre_ffn` as a second norm."""
    words = set(word.split("_"))
    orders = {_NORM_OF[one] for one in words & set(_NORM_OF)}
    if len(orders) == 1 and words & _NORM_WORDS and not words & {"post", "after"}:
        return "norm", tuple(orders)
    pieces = [_ORDINALS.get(piece, piece) for piece in re.findall(r"\d+|[^\d_]+", word)]
    return (
        "".join(piece for piece in pieces if not piece.isdigit()),
        tuple(piece for piece in pieces if piece.isdigit()),
    )


@lru_cache(maxsize=262144)
def name_similarity(left: tuple[str, ...], right: tuple[str, ...]) -> float:
    """0..1: the best alignment of two module paths, word by word; the last word counts twice."""
    left, right = left[-_MAX_TOKENS:], right[-_MAX_TOKENS:]
    if not left or not right:
        return float(left == right)
    row = [0.0] * (len(right) + 1)
    for i, word in enumerate(left):
        previous, row = row, [0.0]
        for j, other in enumerate(right):
            weight = _LEAF_WEIGHT if (i, j) == (len(left) - 1, len(right) - 1) else 1.0
            gain = previous[j] + weight * token_similarity(word, other)
            row.append(max(gain, previous[j + 1], row[j]))
    return 2 * row[-1] / (len(left) + len(right) + 2 * (_LEAF_WEIGHT - 1))


def path_similarity(left: Sequence[str], right: Sequence[str]) -> float:
    return name_similarity(tuple(left), tuple(right))

"""The fact `config_conflicts`: attributes that two levels of config.json state differently, which wins, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from porter.facts.configs import Configs, Scope
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.synonyms import TEXT_KEYS, VISION_KEYS, spellings
from porter.jsontypes import JSON, JSONObject

OWN = frozenset(
    {
        "architectures", "model_type", "auto_map", "_name_or_path", "transformers_version", "torch_dtype", "dtype",
        "_attn_implementation", "_attn_implementation_autoset", "use_cache", "return_dict", "output_attentions",
        "output_hidden_states", "is_encoder_decoder", "initializer_range", "_commit_hash", "id2label", "label2id",
    }
)  # fmt: skip
"""Keys that each level has for itself: two values are no disagreement."""
VISION_SHARED = frozenset({"image_size", "patch_size", "num_channels", "image_mean", "image_std"})
"""What a vision config and the top level may both say of the image; every other key of both is another part's."""
MAX_SHOWN = 40


def config_conflicts(configs: Configs, facts: Mapping[str, Fact]) -> list[Fact]:
    """One fact with a list of {attribute, values: [{path, value}], winner, reason}; the winner is a path, or null."""
    config = configs.snapshot.config()
    found = [*_levels(configs, config, "text"), *_levels(configs, config, "vision")]
    settled = [_settled(item, facts) for item in found[:MAX_SHOWN]]
    shown = tuple(Evidence("config.json", str(path), text) for path, text in _shown(settled))[:8]
    note = "; ".join(f"{item['attribute']}: {item['winner']} ({item['reason']})" for item in settled[:4])
    if not settled:
        none = (Evidence("config.json", "(top level)", "no attribute stands at two levels with two values"),)
        return [Fact("config_conflicts", [], Confidence.CERTAIN, none)] if config else []
    value: list[JSON] = list(settled)
    return [Fact("config_conflicts", value, Confidence.LIKELY, shown, note=note)]


def _shown(items: list[JSONObject]) -> Iterator[tuple[JSON, str]]:
    for item in items:
        values = item["values"]
        for entry in values if isinstance(values, list) else []:
            if isinstance(entry, dict):
                yield entry["path"], str(entry["value"])[:80]


def _levels(configs: Configs, config: JSONObject, scope: Scope) -> Iterator[JSONObject]:
    """Keys that the top level and a part both have, and keys that one part spells twice."""
    path = _place(configs, config, scope)
    part = config.get(path) if path else None
    if not isinstance(part, dict) or path is None:
        return
    for key, value in part.items():
        shared = scope == "text" or key in VISION_SHARED
        top = config.get(key)
        if shared and key in config and key not in OWN and _differs(top, value):
            yield _conflict(key, [(key, top), (f"{path}.{key}", value)], f"{path}.{key}", _reason(scope, key, path))
    yield from _twice(part, path)


def _place(configs: Configs, config: JSONObject, scope: Scope) -> str | None:
    """The key of a part's config: as the code was seen to use it, else by the names that the field gives it."""
    path = configs.path_of(scope)
    if path:
        return path
    keys = (*TEXT_KEYS, "decoder") if scope == "text" else VISION_KEYS
    return next((key for key in keys if isinstance(config.get(key), dict)), None)


def _differs(top: JSON, value: JSON) -> bool:
    """Two scalars or lists that are not the same; a null says nothing."""
    if top is None or value is None or isinstance(top, dict) or isinstance(value, dict):
        return False
    return top != value or isinstance(top, bool) != isinstance(value, bool)


def _reason(scope: Scope, key: str, path: str) -> str:
    if scope == "text":
        return f"the language model is built from {path}"
    pictures = "; the top level's is that of the pictures it is given" if key == "image_size" else ""
    return f"the vision tower is built from {path}{pictures}"


def _twice(part: JSONObject, path: str) -> Iterator[JSONObject]:
    """One attribute under two spellings in the same part: `num_hidden_layers` 12 beside `decoder_layers` 10."""
    for name, prefixed in (("num_hidden_layers", "decoder_layers"), ("num_attention_heads", "decoder_attention_heads")):
        left, right = part.get(name), part.get(prefixed)
        if isinstance(left, int) and isinstance(right, int) and left != right:
            why = f"{prefixed} is what the decoder is built from, {name} counts the encoder's in configs of this kind"
            yield _conflict(name, [(f"{path}.{name}", left), (f"{path}.{prefixed}", right)], f"{path}.{prefixed}", why)
    for name in ("image_size", "patch_size"):
        values = [(key, part[key]) for key in spellings(name) if isinstance(part.get(key), int)]
        odd = [(key, value) for key, value in values[1:] if value != values[0][1]]
        if odd:
            stated = [(f"{path}.{key}", value) for key, value in (values[0], *odd)]
            yield _conflict(name, stated, stated[0][0], f"{values[0][0]} is the usual spelling")


def _conflict(attribute: str, values: list[tuple[str, JSON]], winner: str, reason: str) -> JSONObject:
    listed: list[JSON] = [{"path": path, "value": value} for path, value in values]
    return {"attribute": attribute, "values": listed, "winner": winner, "reason": reason}


def _settled(item: JSONObject, facts: Mapping[str, Fact]) -> JSONObject:
    """The conflict with the winner that a fact of its own settles: what is tied is told by the checkpoint too."""
    fact = facts.get("tied_embeddings")
    if item["attribute"] != "tie_word_embeddings" or fact is None or not isinstance(fact.value, bool):
        return item
    values = item["values"] if isinstance(item["values"], list) else []
    agreeing = [entry["path"] for entry in values if isinstance(entry, dict) and entry["value"] is fact.value]
    if not agreeing:
        return item
    why = fact.note or (fact.evidence[0].text if fact.evidence else fact.confidence.value)
    return {**item, "winner": agreeing[-1], "reason": f"it is what the fact tied_embeddings says: {why}"}

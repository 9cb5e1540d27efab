"""Whether the language model decodes one token after the other, as vLLM does."""

from __future__ import annotations

from collections.abc import Iterator

from porter.facts.configs import Configs
from porter.facts.model import Confidence, Evidence, Fact
from porter.jsontypes import JSON, JSONObject

CAUSAL = ("causal_attn", "is_causal", "causal")
MASK_TOKENS = ("text_mask_token_id", "mask_token_id", "mask_token_index")
BLOCKS = ("block_size", "block_length")


def decoding_facts(configs: Configs) -> Iterator[Fact]:
    """A fact only where the config speaks of something else: attention that is not causal, or masked blocks."""
    path = configs.path_of("text") or ""
    config = _at(configs.snapshot.config(), path)
    acausal = [key for key in CAUSAL if config.get(key) is False]
    masked = [key for key in MASK_TOKENS if _whole(config.get(key))]
    blocks = [key for key in BLOCKS if _whole(config.get(key))]
    if not acausal and not (masked and blocks):
        return
    keys = [*acausal, *masked, *blocks]
    shown = tuple(Evidence("config.json", f"{path}.{key}".lstrip("."), str(config[key])) for key in keys)
    kind = "blocks" if blocks else "not causal"
    note = "vLLM decodes one token after the other: at best the slow path of this model"
    yield Fact("decoding", kind, Confidence.LIKELY, shown, note=note)


def _at(config: JSONObject, path: str) -> JSONObject:
    found: JSON = config
    for key in path.split(".") if path else ():
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _whole(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0

"""The added tokens of tokenizer.json, which stand before its vocabulary: the file's first bytes are enough."""

from __future__ import annotations

import json

from porter.errors import PorterError
from porter.hub.jsonfiles import check_surrogates, is_shallow
from porter.hub.source import Source
from porter.jsontypes import JSON, JSONObject

FILE, KEY = "tokenizer.json", '"added_tokens"'
FIRST = 1024 * 1024
OTHERS = (("tokenizer_config.json", "added_tokens_decoder"), ("added_tokens.json", ""))


def added_tokens(source: Source, files: dict[str, JSONObject]) -> JSONObject | None:
    """{"added_tokens": [...]} of a repo's tokenizer.json. From the Hub only where no smaller file says it; None where
    it cannot be had: what other files say stands."""
    told = any(files.get(name, {}).get(key) if key else files.get(name) for name, key in OTHERS)
    if FILE not in source.sizes or (told and not source.ref.local):
        return None
    try:
        listed = _listed(_first_bytes(source).decode("utf-8", errors="ignore"))
    except (PorterError, ValueError, RecursionError, OSError):
        return None
    return {"added_tokens": listed} if isinstance(listed, list) and is_shallow(listed) else None


def _first_bytes(source: Source) -> bytes:
    """Kept beside the headers, so that a second run asks nothing."""
    kept = source.cached_header(FILE)
    if kept is None:
        kept = source.read_range(FILE, 0, FIRST)
        source.keep_header(FILE, kept)
    return kept


def _listed(text: str) -> JSON:
    start = text.find("[", text.find(KEY) + len(KEY))
    if KEY not in text or start < 0:
        return None
    value: JSON = json.JSONDecoder().raw_decode(text, start)[0]
    check_surrogates(value, text, FILE)
    return value

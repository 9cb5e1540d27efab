"""A byte-level stand-in for a missing tokenizer: 256 symbols, no merges, the repo's own special tokens.

The special tokens get new, dense ids; `rewrite_ids` carries them into every place of the configs that states one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from porter.jsontypes import JSON, JSONObject, as_int
from porter.tiny.document import Documents, walk

CONFIG = "tokenizer_config.json"
SYMBOLS = 256
SPARE_ROWS = 8
ROW_STEP = 32
REAL_FILES = frozenset({"tokenizer.json"})
BPE_FILES = frozenset({"vocab.json", "merges.txt"})
"""Enough for a class of transformers that tokenizer_config.json names."""
NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "cls_token", "sep_token", "mask_token")
ID_ENDINGS = ("_token_id", "_token_index", "_token_ids", "_token_indices", "_tok_id")


@dataclass(frozen=True, slots=True)
class StandIn:
    """`files` to write; `ids`: an id of the repo's tokenizer to its new one; `rows`: the vocabulary that it needs."""

    files: dict[str, JSONObject]
    ids: dict[int, int]
    tokens: dict[str, int]
    rows: int


def has_real_tokenizer(names: Iterable[str], files: Mapping[str, JSONObject]) -> bool:
    """Whether a tokenizer can be loaded from files alone, without the repo's code."""
    found, config = frozenset(names), files.get(CONFIG, {})
    mapped = config.get("auto_map")
    own = isinstance(mapped, dict) and "AutoTokenizer" in mapped
    named = isinstance(config.get("tokenizer_class"), str) and not own
    return found >= REAL_FILES or (named and found >= BPE_FILES)


def byte_symbols() -> list[str]:
    """One printable character for each byte, in byte order: itself where printable, else one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(SYMBOLS)]


def token_text(value: JSON) -> str | None:
    """The text of a token that is stated as a string or as an AddedToken record."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value else None


def special_tokens(files: Mapping[str, JSONObject], extra: Mapping[str, int | None]) -> dict[str, int | None]:
    """Every special token with its id as the repo states it (None where it states none), lowest id first."""
    known: dict[str, int | None] = {}
    decoder = files.get(CONFIG, {}).get("added_tokens_decoder")
    for key, entry in decoder.items() if isinstance(decoder, dict) else ():
        text = token_text(entry)
        if text and key.isdigit():
            known[text] = int(key)
    for text, stated in files.get("added_tokens.json", {}).items():
        known.setdefault(text, as_int(stated))
    for file in (CONFIG, "special_tokens_map.json"):
        for text in _named(files.get(file, {})):
            known.setdefault(text, None)
    for text, token_id in extra.items():
        if known.get(text) is None:
            known[text] = token_id
    return dict(sorted(known.items(), key=lambda item: (item[1] is None, item[1] or 0)))


def _named(doc: JSONObject) -> list[str]:
    more = doc.get("additional_special_tokens")
    values = [doc.get(key) for key in NAMED_TOKENS] + (more if isinstance(more, list) else [])
    return [text for text in map(token_text, values) if text]


def stand_in(files: Mapping[str, JSONObject], extra: Mapping[str, int | None], ids: Iterable[int] = ()) -> StandIn:
    """A tokenizer with the specials of `files` and `extra`; `ids` are those that configs state: each gets a token."""
    known = special_tokens(files, extra)
    for number in sorted(set(ids) - {number for number in known.values() if number is not None}):
        known[f"<|id_{number}|>"] = number
    tokens = {text: SYMBOLS + index for index, text in enumerate(known)}
    mapping = {number: tokens[text] for text, number in known.items() if number is not None}
    rows = -(-(SYMBOLS + len(tokens) + SPARE_ROWS) // ROW_STEP) * ROW_STEP
    written = {"tokenizer.json": _tokenizer(tokens), CONFIG: _config(files.get(CONFIG, {}))}
    return StandIn(written, mapping, tokens, rows)


def _tokenizer(tokens: Mapping[str, int]) -> JSONObject:
    flags: JSONObject = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level: JSONObject = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    vocab: JSONObject = {symbol: index for index, symbol in enumerate(byte_symbols())}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": text, **flags} for text, number in tokens.items()],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "vocab": vocab, "merges": []},
    }


def _config(old: JSONObject) -> JSONObject:
    names = (*NAMED_TOKENS, "additional_special_tokens", "chat_template")
    kept = {key: value for key, value in old.items() if key in names}
    return {**kept, "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}


def stated_ids(docs: Documents) -> set[int]:
    """Every token id that a document states under a key that says so."""
    found = set()
    for doc in docs.files.values():
        for path, value in walk(doc):
            number = as_int(value)
            if number is not None and number >= 0 and _names_id(path):
                found.add(number)
    return found


def rewrite_ids(docs: Documents, ids: Mapping[int, int]) -> None:
    """Replace every stated token id by its new one."""
    for file, doc in docs.files.items():
        for path, value in list(walk(doc)):
            number = as_int(value)
            if number is not None and number in ids and _names_id(path):
                docs.set(file, path, ids[number])


def _names_id(path: tuple[str, ...]) -> bool:
    key = path[-2] if path[-1].isdigit() and len(path) > 1 else path[-1]
    return key.endswith(ID_ENDINGS)

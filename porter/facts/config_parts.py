"""Which of a repo's nested configs is the language model's and which the vision tower's, by what they hold."""

from __future__ import annotations

from collections.abc import Iterator

from porter.facts.code import CodeReading, json_config
from porter.facts.synonyms import HIDDEN, LAYERS, TEXT_KEYS, VISION_KEYS
from porter.source.values import Instance, LibraryConfig, Val, plain


def split_configs(code: CodeReading) -> tuple[Val | None, Val | None]:
    """(text, vision) config objects by what they hold, for repos whose code does not tell."""
    text = vision = None
    for name, value in _nested(code.config, 2):
        keys = _keys(value)
        sized = bool({"patch_size", "image_size", "img_size"} & keys) and bool({*HIDDEN, *LAYERS} & keys)
        is_vision = sized and "vocab_size" not in keys
        if vision is None and (is_vision or (name in VISION_KEYS and not {"vocab_size"} & keys)):
            vision = value
        elif text is None and ("vocab_size" in keys or name in TEXT_KEYS or _causal(value)):
            text = value
    if text is None and "vocab_size" in _keys(code.config):
        text = code.config
    return text, vision


def _nested(config: Val, depth: int) -> Iterator[tuple[str, Val]]:
    inner = config.value
    pairs = inner.values if isinstance(inner, LibraryConfig) else inner.attrs if isinstance(inner, Instance) else {}
    for name, value in list(pairs.items()):
        nested = Val(json_config(value.value), value.src) if isinstance(value.value, dict) else value
        if isinstance(nested.value, (Instance, LibraryConfig)):
            yield name, nested
            if depth > 1:
                yield from _nested(nested, depth - 1)


def _keys(config: Val) -> set[str]:
    inner = config.value
    pairs = inner.values if isinstance(inner, LibraryConfig) else inner.attrs if isinstance(inner, Instance) else {}
    return {name for name, value in pairs.items() if value.value is not None}


def _causal(config: Val) -> bool:
    inner = config.value
    pairs = inner.values if isinstance(inner, LibraryConfig) else {}
    names = plain(pairs.get("architectures", Val([])))
    return isinstance(names, list) and any("CausalLM" in str(name) for name in names)

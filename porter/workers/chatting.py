"""What the repo's own chat function writes in place of an image: it is called with a tokenizer that only listens."""

from __future__ import annotations

import inspect
from typing import Any

BEFORE, AFTER = "porterbefore", "porterafter"
QUESTIONS = ("question", "query", "prompt", "text", "msgs")


class Heard(Exception):
    """The text that came to the tokenizer."""


class Listener:
    """A tokenizer that answers everything but a call: that it takes for the finished prompt."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(self, text: Any, *_: Any, **__: Any) -> Any:
        raise Heard(text if isinstance(text, str) else text[0])


def image_text(model: Any, tokenizer: Any, placeholder: str, tiles: Any) -> str | None:
    """The text that stands for one image of these tiles; None without a chat function that could be followed."""
    chat = getattr(model, "chat", None)
    arguments = _arguments(chat, tokenizer, placeholder, tiles) if chat is not None else None
    if chat is None or arguments is None:
        return None
    try:
        chat(**arguments)
    except Heard as heard:
        return _between(str(heard), placeholder)
    except Exception:
        return None
    return None


def _arguments(chat: Any, tokenizer: Any, placeholder: str, tiles: Any) -> dict[str, Any] | None:
    names = inspect.signature(chat).parameters
    asked = next((name for name in QUESTIONS if name in names), None)
    if asked is None or "tokenizer" not in names:
        return None
    known = {
        "tokenizer": Listener(tokenizer),
        asked: f"{BEFORE}{placeholder}{AFTER}",
        "pixel_values": tiles,
        "generation_config": {},
        "num_patches_list": [len(tiles)],
    }
    return {name: value for name, value in known.items() if name in names}


def _between(text: str, placeholder: str) -> str | None:
    _, opened, rest = text.partition(BEFORE)
    body, closed, _ = rest.partition(AFTER)
    return body if opened and closed and placeholder != body else None

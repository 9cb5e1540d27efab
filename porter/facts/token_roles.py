"""What a key or a token is for, by the words in its name: the words only say where to look, and never make a fact
sure."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

Role = Literal["context", "start", "end", "placeholder", "separator"]
Kind = Literal["id", "token"]

IMAGE_WORDS = frozenset(
    ["image", "images", "img", "im", "vision", "visual", "media", "pic", "picture", "boi", "eoi", "soi"]
)
OTHER_WORDS = frozenset(
    [
        *("video", "videos", "vid", "audio", "speech", "sound", "gene", "text", "box", "ref", "quad", "point", "coord"),
        *(
            "lang",
            "chat",
            "user",
            "assistant",
            "system",
            "num",
            "number",
            "max",
            "min",
            "len",
            "length",
            "count",
            "size",
        ),
        *("per", "mask", "loss", "ignore", "bad", "pad2square", "id2label"),
    ]
)
ID_WORDS = frozenset(["id", "index", "idx"])
ROLE_WORDS: tuple[tuple[Role, frozenset[str]], ...] = (
    ("separator", frozenset(["newline", "break", "sep", "separator", "seperator", "slice", "tile", "row", "col"])),
    ("separator", frozenset(["column", "global", "thumbnail", "view", "split"])),
    ("start", frozenset(["start", "begin", "bos", "boi", "soi"])),
    ("end", frozenset(["end", "eos", "eoi", "stop"])),
    ("placeholder", frozenset(["placeholder", "prompt"])),
    ("context", frozenset(["context", "ctx", "pad", "patch", "token", "soft"])),
)  # fmt: skip
UNK_KEYS = ("unk", "unk_token")
SEPARATOR_ROLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("image_id", ("image_id", "im_id")),
    ("slice", ("slice",)),
    ("newline", ("newline", "break", "img_nl", "image_nl")),
    ("column", ("col",)),
    ("row", ("row",)),
    ("global", ("global", "thumbnail")),
    ("tile", ("tile",)),
    ("view_separator", ("separator", "seperator", "sep", "view", "split")),
)
SHARED_IDS: dict[int, tuple[str, str]] = {
    151646: ("<|object_ref_start|>", "Qwen2-VL"),
    151647: ("<|object_ref_end|>", "Qwen2-VL"),
    151648: ("<|box_start|>", "Qwen2-VL"),
    151649: ("<|box_end|>", "Qwen2-VL"),
    151650: ("<|quad_start|>", "Qwen2-VL"),
    151651: ("<|quad_end|>", "Qwen2-VL"),
    151652: ("<|vision_start|>", "Qwen2-VL"),
    151653: ("<|vision_end|>", "Qwen2-VL"),
    151654: ("<|vision_pad|>", "Qwen2-VL"),
    151655: ("<|image_pad|>", "Qwen2-VL"),
    151656: ("<|video_pad|>", "Qwen2-VL"),
    151665: ("<tool_response>", "Qwen3"),
    151666: ("</tool_response>", "Qwen3"),
    151667: ("<think>", "Qwen3"),
    151668: ("</think>", "Qwen3"),
    92546: ("<IMG_CONTEXT>", "InternVL2"),
    32000: ("<image>", "LLaVA 1.5"),
    128256: ("<|image|>", "Llama 3.2 Vision"),
    262144: ("<image_soft_token>", "Gemma 3"),
}
"""Ids that a well-known family gives to a token: a port that takes them over by habit is wrong where a repo's own
tokenizer says something else."""
CHAT_TOKENS = frozenset(["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "<pad>", "<bos>", "<eos>"])


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a key or a token: `<|image_pad|>` and `DEFAULT_IMAGE_PAD` hold `image` and `pad`."""
    spelled = "".join(letter if letter.isalnum() else " " for letter in name[:200])
    return tuple(spelled.lower().split())


@lru_cache(maxsize=4096)
def role_of(key: str) -> tuple[Role, Kind] | None:
    """(role, whether it holds an id or a string) of a key such as `image_token_id`; None for any other key."""
    words = words_of(key)
    if not words or OTHER_WORDS & set(words) or not IMAGE_WORDS & set(words):
        return _slice_role(words)
    kind: Kind = "id" if words[-1] in ID_WORDS else "token"
    if ID_WORDS & set(words[:-1]):
        return "separator", kind  # `im_id_start` opens the number of an image
    if kind == "id" and len(words) == 2:
        return None  # `image_id` is that number
    for role, names in ROLE_WORDS:
        if names & set(words):
            return role, kind
    return None


def _slice_role(words: tuple[str, ...]) -> tuple[Role, Kind] | None:
    """`slice_start`, `tile_end_token_id`: tags that need no word for image."""
    if len(words) < 2 or OTHER_WORDS & set(words) or words[0] not in ("slice", "tile"):
        return None
    if not {"start", "end", "token", "sep"} & set(words[1:]):
        return None
    return "separator", "id" if words[-1] in ID_WORDS else "token"


def separator_role(name: str) -> str | None:
    """newline, column, row, slice, tile, ... by the words of a key or a token; start and end tags say which."""
    text = "_".join(words_of(name))
    words = set(text.split("_"))
    for role, marks in SEPARATOR_ROLES:
        if any(mark in words if "_" not in mark else mark in text for mark in marks):
            return f"{role}{_side(name, words)}" if role in ("slice", "tile", "image_id") else role
    return None


def _side(name: str, words: set[str]) -> str:
    if name.startswith(("</", "<|/", "[/")) or {"end", "stop"} & words:
        return "_end"
    return "_start" if {"start", "begin"} & words or name.startswith("<") else ""


def about_images(token: str) -> bool:
    """Whether the name of a token speaks of images and of nothing else."""
    words = set(words_of(token))
    spelled = " ".join(sorted(words))
    named = bool(IMAGE_WORDS & words) or any(word in spelled for word in ("image", "img"))
    return named and not {"video", "audio", "gene", "speech"} & words and token not in CHAT_TOKENS

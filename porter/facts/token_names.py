"""Image tokens recognised by their names alone: guesses, with every candidate named."""

from __future__ import annotations

from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.token_roles import SHARED_IDS, UNK_KEYS
from porter.facts.token_sources import Stated
from porter.facts.vocabulary import Vocabulary, text_of
from porter.hub.snapshot import Snapshot

NAMES: dict[str, tuple[str, ...]] = {
    "image_context_token": (
        "<IMG_CONTEXT>",
        "<|image_pad|>",
        "<image_pad>",
        "<image_soft_token>",
        "<|media_pad|>",
        "<im_patch>",
        "<imagePatch>",
        "<|patch|>",
        "<|image|>",
        "<image>",
        "[IMG]",
        "<|image_token|>",
        "<imgpad>",
    ),
    "image_start_token": (
        "<img>",
        "<|vision_start|>",
        "<im_start>",
        "<|image_start|>",
        "<image_start>",
        "<start_of_image>",
        "<|media_start|>",
        "<|begin_of_image|>",
    ),
    "image_end_token": (
        "</img>",
        "<|vision_end|>",
        "<im_end>",
        "<|image_end|>",
        "<image_end>",
        "</image>",
        "<end_of_image>",
        "<|media_end|>",
        "<|end_of_image|>",
        "[IMG_END]",
    ),
}
STOCK = frozenset(token for token, family in SHARED_IDS.values() if family.startswith("Qwen"))
SWITCH = "mm_use_im_start_end"


def named_context(vocabulary: Vocabulary, stated: list[Stated], snapshot: Snapshot) -> Fact:
    """A context token by the field's usual names, a guess; unknown where names tell nothing."""
    name = "image_context_token"
    taken = {item.value for item in stated if item.role in ("start", "end", "separator")}
    found = [token for token in NAMES[name] if token in vocabulary.ids and token not in taken]
    found = [token for token in found if not _opens(token, vocabulary)]
    left = [token for token in found if not _of_stock(token)]
    if left:
        return _guess(name, left, vocabulary)
    if found:
        note = f"{found[0]} is in the tokenizer, but so it is in every tokenizer of its text model"
        return Fact(name, None, Confidence.UNKNOWN, vocabulary.shown(found[0]), note=note)
    filler = _filler(snapshot)
    if filler is not None:
        note = "by its name: the processor's filler; no code was seen that repeats it"
        return Fact(name, filler[0], Confidence.GUESS, (filler[1], *vocabulary.shown(filler[0])), note=note)
    return Fact(name, None, Confidence.UNKNOWN, note="no code, no file and no name tells")


def _opens(token: str, vocabulary: Vocabulary) -> bool:
    """`<image>` beside `</image>` opens a span, and does not stand for features."""
    return token.startswith("<") and f"</{token[1:]}" in vocabulary.ids


def _of_stock(token: str) -> bool:
    """Whether every tokenizer of a well-known text model has the token, images or not."""
    return token in STOCK


def _filler(snapshot: Snapshot) -> tuple[str, Evidence] | None:
    for file in ("preprocessor_config.json", "processor_config.json"):
        for key in UNK_KEYS:
            text = text_of(snapshot.json.get(file, {}).get(key))
            if text:
                return text, Evidence(file, key, text)
    return None


def _guess(name: str, found: list[str], vocabulary: Vocabulary) -> Fact:
    note = "by its name" if len(found) == 1 else f"by its name; so are {', '.join(found[1:4])}"
    return Fact(name, found[0], Confidence.GUESS, vocabulary.shown(found[0]), note=note)


def switched_off(name: str, snapshot: Snapshot) -> Fact | None:
    """A start or end token that the config switches off."""
    if snapshot.config().get(SWITCH) is not False:
        return None
    shown = (Evidence("config.json", SWITCH, "False"),)
    return Fact(name, None, Confidence.ABSENT, shown, note=f"{SWITCH} is off")


def named_tag(name: str, vocabulary: Vocabulary, context: Fact) -> Fact:
    """A start or end token by its name, where it is not of the stock of every text model."""
    found = [token for token in NAMES[name] if token in vocabulary.ids and token != context.value]
    found += _pair(name, vocabulary)
    left = [token for token in dict.fromkeys(found) if not _of_stock(token)]
    if left:
        return _guess(name, left, vocabulary)
    return Fact(name, None, Confidence.UNKNOWN)


def _pair(name: str, vocabulary: Vocabulary) -> list[str]:
    """`<image>` as the start where `</image>` ends it."""
    opens: list[str] = [
        token for token in ("<image>", "<img>", "<im>") if token in vocabulary.ids and _opens(token, vocabulary)
    ]
    return opens if name == "image_start_token" else [f"</{token[1:]}" for token in opens]

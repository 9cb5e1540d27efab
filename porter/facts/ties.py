"""Tied embeddings: what the config levels say, against whether the checkpoint stores an output head."""

from __future__ import annotations

from porter.facts.configs import Configs, evidence
from porter.facts.layout_model import Layout
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.towers import read_value
from porter.source.values import plain

SPELLINGS = ("tie_word_embeddings", "weight_tying", "tie_embeddings")


def tie_fact(configs: Configs, layout: Layout) -> Fact:
    """Certain only when no source disagrees. Loading ties by the text config, whatever the checkpoint stores."""
    stated = _levels(configs)
    stored = _head_stored(layout)
    shown = tuple(item for _, _, items in stated for item in items)
    told = tuple(f"{level} config says {str(value).lower()}" for level, value, _ in stated)
    if stored is not None:
        head = layout.of("head")
        where = head[0].name if head else layout.of("language_model")[0].name
        shown = (Evidence(layout.file, where, "an output head is stored" if head else "no output head is stored"),
                 *shown)  # fmt: skip
    if not stated:
        return _by_checkpoint(stored, shown)
    value = stated[0][1]
    notes = [f"{'; '.join(told)}: the text config wins"] if len({value for _, value, _ in stated}) > 1 else []
    if stored is True and value:
        notes.append("the config ties, yet an output head is stored: loading goes by the config and ties")
    if stored is False and not value:
        notes.append("the config does not tie, yet no output head is stored: it can only be tied")
        value = True
    return Fact("tied_embeddings", value, Confidence.LIKELY if notes else Confidence.CERTAIN, shown,
                note="; ".join(notes))  # fmt: skip


def _by_checkpoint(stored: bool | None, shown: tuple[Evidence, ...]) -> Fact:
    if stored is None:
        note = "no config states it: transformers' default for this class applies"
        return Fact("tied_embeddings", None, Confidence.UNKNOWN, note=note)
    return Fact("tied_embeddings", not stored, Confidence.LIKELY, shown, note="no config states it")


def _levels(configs: Configs) -> list[tuple[str, bool, tuple[Evidence, ...]]]:
    """What each config level says, the text config first; the same object twice counts once."""
    found: list[tuple[str, bool, tuple[Evidence, ...]]] = []
    for level, config in (("text", configs.text), ("model", configs.code.config)):
        value = read_value(configs.code.run, config, SPELLINGS)
        inner = plain(value) if value is not None else None
        if value is not None and isinstance(inner, bool):
            found.append((level, inner, evidence(value.src, 1)))
    return found


def _head_stored(layout: Layout) -> bool | None:
    """None where the checkpoint's language model was not seen with its token embeddings."""
    language = layout.of("language_model")
    if not language or language[0].network is None or not language[0].network.tokens:
        return None
    return bool(layout.of("head"))

"""Image tokens: the strings that code puts around and in place of an image, and their ids, with every source
compared. What code does wins over what files state, a stated id over a stated string, and both over names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import get_args

from porter.facts.bound_calls import asked_text
from porter.facts.configs import Configs, evidence
from porter.facts.image_labels import Label, image_label, labelled
from porter.facts.model import Confidence, Fact
from porter.facts.separators import separator_fact
from porter.facts.synonyms import CONTEXT_ID_KEYS
from porter.facts.templates import Placeholder, template_placeholder
from porter.facts.tile_tags import NUMBER, TileTags, tile_tags
from porter.facts.token_names import named_context, named_tag, switched_off
from porter.facts.token_patterns import Pattern, best_pattern, nearest_token, patterns
from porter.facts.token_roles import SHARED_IDS, Role
from porter.facts.token_sources import Compared, Level, Stated, compared_ids, stated_tokens
from porter.facts.towers import read_value
from porter.facts.vocabulary import Vocabulary, read_vocabulary
from porter.source.values import Instance, plain

TAGS: dict[str, Role] = {"image_start_token": "start", "image_end_token": "end"}
NEGATIVE = "the code marks images by a negative number, which is no id of the vocabulary"


@dataclass(slots=True)
class Sources:
    """Everything that speaks about image tokens."""

    configs: Configs
    vocabulary: Vocabulary
    stated: list[Stated]
    compared: list[Compared]
    pattern: Pattern | None
    template: Placeholder | None = None
    notes: list[str] = field(default_factory=list)
    tags: TileTags | None = None
    label: Label | None = None

    def of(self, role: Role, kind: str | None = None) -> list[Stated]:
        """Statements about a role, the likeliest first; defaults of the config class only where no file speaks."""
        found = [item for item in self.stated if item.role == role and kind in (None, item.kind)]
        keys = {item.key for item in found if item.level != "default"}
        found = [item for item in found if item.level != "default" or item.key not in keys]
        return sorted(found, key=_order)

    def named(self, item: Stated) -> str | None:
        """The token that a statement stands for."""
        return item.value if isinstance(item.value, str) else self.vocabulary.token(item.value)

    @property
    def marks(self) -> list[Compared]:
        """Comparisons that mark images with a number outside the vocabulary."""
        return [item for item in self.compared if item.index is None or item.index < 0]


LEVELS = get_args(Level)


def _order(item: Stated) -> tuple[int, int, int, str]:
    """Ids before strings within a level; keys of images before keys of vision in general."""
    rank = CONTEXT_ID_KEYS.index(item.key) if item.key in CONTEXT_ID_KEYS else len(CONTEXT_ID_KEYS)
    own = 0 if "im" in item.key.lower() else 1
    return LEVELS.index(item.level), own, rank, item.sources[0].where


def token_facts(configs: Configs, others: list[Instance]) -> list[Fact]:
    """image_context_token(_id), image_start_token, image_end_token, image_placeholder, image_separators."""
    vocabulary = read_vocabulary(configs.snapshot)
    pattern = best_pattern(patterns(configs.code, others), vocabulary)
    sources = Sources(configs, vocabulary, stated_tokens(configs), compared_ids(configs), pattern)
    sources.tags = tile_tags(configs)
    context = _context(sources)
    token = context.value if isinstance(context.value, str) else None
    sources.template = template_placeholder(configs.snapshot, token)
    around = [_tag(sources, name, role, context) for name, role in TAGS.items()]
    if sources.template is not None and sources.template.numbered:
        sources.label = image_label(configs, others, (around[0].value, token, around[1].value))
    placeholder = _placeholder(sources)
    separators = separator_fact(configs, vocabulary, sources.stated, context.value, sources.tags)
    return [
        _same_as_placeholder(context, placeholder),
        _id_fact(sources, context),
        *around,
        placeholder,
        labelled(separators, sources.label) if sources.label is not None else separators,
    ]


def _same_as_placeholder(context: Fact, placeholder: Fact) -> Fact:
    if context.value is None or context.value != placeholder.value:
        return context
    return _noted(context, "prompts use the same string as their placeholder")


def _noted(fact: Fact, *notes: str) -> Fact:
    return replace(fact, note="; ".join(dict.fromkeys(part for part in (fact.note, *notes) if part)))


def _context(sources: Sources) -> Fact:
    """The token that stands for image features, by the strongest source that tells."""
    for step in (_followed, _looked_for, _outside, _stated_id, _stated_string):
        fact = step(sources)
        if fact is not None:
            return fact
    return named_context(sources.vocabulary, sources.stated, sources.configs.snapshot)


def _followed(sources: Sources) -> Fact | None:
    pattern = sources.pattern
    if pattern is None:
        return None
    token, vocabulary = pattern.context, sources.vocabulary
    shown = (*evidence(pattern.sources, 6), *vocabulary.shown(token))
    conflicts = _disagreements(sources, token, "the code that builds the text of an image")
    sure = Confidence.CERTAIN if token in vocabulary.ids and not conflicts else Confidence.LIKELY
    return Fact("image_context_token", token, sure, shown, note="; ".join(conflicts))


def _looked_for(sources: Sources) -> Fact | None:
    """The id that the model looks for in the prompt, where the tokenizer's files know it."""
    for item in sources.compared:
        token = sources.vocabulary.token(item.index) if item.index is not None else None
        if token is not None:
            conflicts = _disagreements(sources, token, "the id that the code compares with")
            sure = Confidence.LIKELY if conflicts else Confidence.CERTAIN
            shown = (*evidence(item.sources), *sources.vocabulary.shown(token))
            return Fact("image_context_token", token, sure, shown, note="; ".join(conflicts))
    return None


def _outside(sources: Sources) -> Fact | None:
    """A model that marks images by a number of its own: the token is what its prompts say, if anything tells."""
    if not sources.marks:
        return None
    shown = evidence(sources.marks[0].sources)
    mark = sources.marks[0].index
    note = NEGATIVE if mark is None else f"{NEGATIVE} ({mark})"
    strings = [item for item in sources.of("context", "token") if item.level in ("processor", "code")]
    if not strings:
        return Fact("image_context_token", None, Confidence.UNKNOWN, shown, note=note)
    first = strings[0]
    return Fact("image_context_token", first.value, Confidence.GUESS, (*evidence(first.sources), *shown), note=note)


def _stated_id(sources: Sources) -> Fact | None:
    """The config's id and the token that the repo's own tokenizer files give it."""
    for item in sources.of("context", "id"):
        token = sources.named(item)
        if item.level not in ("config", "default") or token is None:
            continue
        conflicts = _disagreements(sources, token, f"the id under {item.key}")
        shown = (*evidence(item.sources), *sources.vocabulary.shown(token))
        sure = Confidence.GUESS if item.level == "default" and _silent(sources) else Confidence.LIKELY
        return Fact("image_context_token", token, sure, shown, note="; ".join(conflicts))
    return None


def _silent(sources: Sources) -> bool:
    return sources.configs.code.model is None


def _stated_string(sources: Sources) -> Fact | None:
    """A string that a file states, or a constant of the code."""
    strings = [item for item in sources.of("context", "token") if item.level != "config" or item.value]
    starts = {item.value for item in sources.of("start", "token")}
    strings = [item for item in strings if item.value not in starts]
    known = [item for item in strings if item.value in sources.vocabulary.ids] or strings
    if not known:
        return None
    first = known[0]
    token = str(first.value)
    others = sorted({str(item.value) for item in known if item.level == first.level} - {token})
    conflicts = _disagreements(sources, token, first.place)
    sure = Confidence.GUESS if others or token not in sources.vocabulary.ids else Confidence.LIKELY
    note = f"{first.place} also names {', '.join(others)}" if others else ""
    shown = (*evidence(first.sources), *sources.vocabulary.shown(token))
    return Fact("image_context_token", token, sure, shown, note="; ".join([note, *conflicts] if note else conflicts))


def _disagreements(sources: Sources, token: str, winner: str) -> list[str]:
    """One line for every source that says something else than the token that was chosen."""
    vocabulary, index = sources.vocabulary, sources.vocabulary.ids.get(token)
    lines = [vocabulary.clashes[token]] if token in vocabulary.clashes else []
    same = {token, sources.pattern.placeholder if sources.pattern is not None else None}
    ids = [item for item in sources.stated if item.role == "context" and item.kind == "id"]
    for item in ids:
        secondary = item.key.startswith(("vision", "media")) and any("im" in other.key for other in ids)
        used = item.level in ("config", "default", "processor")
        if used and not secondary and item.value != index and isinstance(item.value, int):
            lines.append(_line(item, vocabulary, winner))
    for item in sources.stated:
        spoken = (item.role, item.kind) == ("context", "token") and item.level in ("processor", "tokenizer")
        if spoken and item.value not in same and "pad" not in item.key:
            lines.append(f"{item.place} says {item.value}; {winner} wins")
    for mark in sources.compared:
        if mark.index is not None and mark.index != index and index is not None:
            lines.append(f"{mark.sources[0].file} {mark.sources[0].where} looks for {mark.index}; {winner} wins")
    return list(dict.fromkeys(lines))[:6]


def _line(item: Stated, vocabulary: Vocabulary, winner: str) -> str:
    token = vocabulary.token(item.value) if isinstance(item.value, int) else None
    shown = f"{item.value} ({token})" if token else f"{item.value}"
    if item.level == "default":
        return f"the config class's default of {item.key} is {shown}; what config.json states wins"
    return f"{item.place} says {shown}; {winner} wins"


def _id_fact(sources: Sources, context: Fact) -> Fact:
    name, vocabulary = "image_context_token_id", sources.vocabulary
    token = context.value if isinstance(context.value, str) else None
    if (
        sources.marks
        and sources.pattern is None
        and not any(item.index is not None and item.index >= 0 for item in sources.compared)
    ):
        return Fact(name, None, Confidence.ABSENT, evidence(sources.marks[0].sources), note=NEGATIVE)
    index = vocabulary.ids.get(token) if token is not None else None
    if index is not None and token is not None:
        fact = Fact(
            name, index, context.confidence, (*vocabulary.shown(token, 3), *context.evidence[:1]), note=context.note
        )
        return _noted(fact, *_remarks(sources, index, token))
    stated = [item for item in sources.of("context", "id") if isinstance(item.value, int) and item.value >= 0]
    if stated and stated[0].level in ("config", "processor"):
        first = stated[0]
        note = f"no tokenizer file of the repo lists {token or f'the token {first.value}'}"
        return Fact(name, first.value, Confidence.LIKELY, evidence(first.sources), note=note)
    why = f"no tokenizer file of the repo lists {token}" if token else "the token is not known"
    return Fact(name, None, Confidence.UNKNOWN, context.evidence[:2], note=why)


def _remarks(sources: Sources, index: int, token: str) -> Iterable[str]:
    """An id that the text config has no row for, or that a well-known family uses for another token."""
    configs = sources.configs
    size = read_value(configs.code.run, configs.text, ("vocab_size",))
    number = plain(size) if size is not None else None
    if isinstance(number, int) and index >= number:
        yield f"at or above the vocab_size {number} of the text config"
    other, family = SHARED_IDS.get(index, (token, ""))
    if other != token:
        yield f"{index} is {other} in {family}; the repo's own tokenizer decides"


def _tag(sources: Sources, name: str, role: Role, context: Fact) -> Fact:
    """The token before or behind the image's."""
    vocabulary, pattern = sources.vocabulary, sources.pattern
    text = "" if pattern is None else pattern.start if role == "start" else pattern.end
    if sources.tags is not None:
        return _around_tags(sources, sources.tags, name, role)
    if pattern is not None:
        shown = evidence(pattern.sources, 6)
        if not text and not any(item.level in ("config", "processor") for item in sources.of(role)):
            return Fact(name, None, Confidence.ABSENT, shown, note="the code puts nothing there")
    if pattern is not None and text:
        token = nearest_token(text, vocabulary, last=role == "start")
        note = f"next to the image; the whole text there is {text!r}" if token != text else ""
        sure = Confidence.CERTAIN if token in vocabulary.ids and not note else Confidence.LIKELY
        return Fact(name, token, sure, (*shown, *vocabulary.shown(token)), note=note)
    off = switched_off(name, sources.configs.snapshot)
    stated = [item for item in sources.of(role) if (other := sources.named(item)) and other != context.value]
    stated = [item for item in stated if sources.named(item) in vocabulary.ids] or stated
    if off is not None:
        return off
    return _stated_tag(sources, name, stated) if stated else named_tag(name, vocabulary, context)


def _around_tags(sources: Sources, tags: TileTags, name: str, role: Role) -> Fact:
    """The token around all tiles, each of which has a tag of its own next to its context tokens."""
    text = tags.start if role == "start" else tags.end
    shown = (*evidence((tags.source,)), *sources.vocabulary.shown(text or ""))
    if text is None:
        return Fact(name, None, Confidence.UNKNOWN, shown, note="what stands around the tagged tiles was not followed")
    if not text:
        return Fact(name, None, Confidence.ABSENT, shown, note="the code puts nothing there")
    return Fact(name, text, Confidence.CERTAIN if text in sources.vocabulary.ids else Confidence.LIKELY, shown)


def _stated_tag(sources: Sources, name: str, stated: list[Stated]) -> Fact:
    first = stated[0]
    token = sources.named(first)
    others = [f"{item.place} says {sources.named(item)}" for item in stated[1:] if sources.named(item) != token]
    note = "; ".join([*others[:3], f"{first.place} wins"]) if others else ""
    guessed = first.level in ("default", "code") and (bool(others) or token not in sources.vocabulary.ids)
    sure = Confidence.GUESS if guessed else Confidence.LIKELY
    return Fact(name, token, sure, (*evidence(first.sources), *sources.vocabulary.shown(token or "")), note=note)


def _placeholder(sources: Sources) -> Fact:
    """What a prompt has where an image goes: seen in code, else what the chat template writes, else what is
    stated."""
    name, pattern, template = "image_placeholder", sources.pattern, sources.template
    if pattern is not None and pattern.placeholder:
        fact = Fact(name, pattern.placeholder, Confidence.CERTAIN, evidence(pattern.sources, 6))
        differs = template is not None and not template.numbered and template.text != pattern.placeholder
        return _noted(fact, f"the chat template writes {template.text!r}" if differs and template is not None else "")
    if template is not None and template.numbered and sources.label is not None:
        shown = (template.source, *evidence((sources.label.source,)))
        return Fact(name, template.text.replace("{}", NUMBER), Confidence.LIKELY, shown, note="images are numbered")
    if template is not None and template.numbered:
        note = f"the template numbers its images: {template.text.replace('{}', 'N')!r}"
        return Fact(name, None, Confidence.UNKNOWN, (template.source,), note=note)
    if template is not None:
        return Fact(name, template.text, Confidence.LIKELY, (template.source,), note=template.note)
    asked = asked_text(sources.configs)
    if asked is not None:
        return Fact(name, asked.value, Confidence.LIKELY, evidence(asked.sources), note="code looks for it in a prompt")
    stated = sources.of("placeholder", "token")
    if stated:
        first = stated[0]
        return Fact(name, first.value, Confidence.LIKELY, evidence(first.sources), note=f"under {first.key}")
    return Fact(name, None, Confidence.UNKNOWN, note="no code and no chat template writes one")

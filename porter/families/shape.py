"""What rules a repo out whatever the family: an encoder-decoder, cross-attention, contradictions, missing code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from porter.facts.model import Evidence
from porter.families.base import Blocker, ReadingLike
from porter.families.view import View
from porter.hub.snapshot import TensorTable
from porter.jsontypes import JSON, JSONObject
from porter.source.codebase import where
from porter.source.values import Instance, Layer

CROSS = ("encoder_attn", "cross_attn", "crossattention", "cross_attention", "encdecattention", "xattn", "cross_attns")
MERGERS = (
    "qformer",
    "resampler",
    "perceiver",
    "connector",
    "projector",
    "abstractor",
    "visual",
    "vision",
    "tower",
    "pool",
)
"""Parts in which cross-attention makes image tokens, which then stand in the prompt as those of any other connector."""
SAME_LAYOUT = 0.1
"""Up to this share of all tensors may be in the index alone or in the headers alone."""
ABSENT = "is not in the repo"
NEEDED = ("AutoConfig", "AutoModel")
"""What of config.json's own `auto_map` a port is made from. A missing tokenizer or processor file is said and rules
nothing out, nor does one that a sub-config names: the repo's code may build that part by an import of its own."""


def rule_outs(view: View) -> tuple[Blocker, ...]:
    """Named blockers with their evidence, what was stated first."""
    found = [*encoder_decoder(view), *cross_attention(view)]
    return (*found, *contradictions(view.reading), *missing_code(view.reading))


def encoder_decoder(view: View) -> Iterator[Blocker]:
    shown = [*_stated_encoder_decoder(view.reading.snapshot.config()), *_by_class(view)]
    if shown:
        why = "an encoder-decoder: vLLM would have to attend to the encoder's output beside the prompt"
        yield Blocker("encoder-decoder", f"{shown[0].file}: {shown[0].where} = {shown[0].text}; {why}", tuple(shown))


def _stated_encoder_decoder(config: Mapping[str, JSON]) -> Iterator[Evidence]:
    if config.get("is_encoder_decoder") is True:
        yield Evidence("config.json", "is_encoder_decoder", "true")
    for key in ("decoder", "text_config", "language_config", "llm_config"):
        inner = config.get(key)
        if isinstance(inner, dict) and inner.get("add_cross_attention") is True:
            yield Evidence("config.json", f"{key}.add_cross_attention", "true")
        if isinstance(inner, dict) and inner.get("is_encoder_decoder") is True:
            yield Evidence("config.json", f"{key}.is_encoder_decoder", "true")
    pair = [key for key in ("encoder", "decoder") if isinstance(config.get(key), dict)]
    if len(pair) == 2:
        yield Evidence("config.json", "encoder, decoder", "two sub-configs")


def _by_class(view: View) -> Iterator[Evidence]:
    """A language model that transformers lists among its encoder-decoders, or the decoder half of one."""
    language, library = view.reading.facts.value("language_model"), view.library
    model_type = str(language.get("model_type")) if isinstance(language, dict) else ""
    if model_type in library.encoder_decoders:
        yield Evidence("config.json", "the language model's model_type", model_type)
    stems = {name.removesuffix("ForConditionalGeneration") for name in library.encoder_decoders.values()}
    names = {f"{stem}{end}" for stem in stems for end in ("ForConditionalGeneration", "ForCausalLM", "Decoder")}
    for path, module in view.modules:
        if path and module.cls.name in names:
            yield Evidence(*_place(module), module.cls.name)


def _place(module: Instance | Layer) -> tuple[str, str]:
    """(file, line) of a module's class in the repo, or of the call that builds a library's."""
    if isinstance(module, Instance):
        return module.cls.file, where(module.cls.node)
    return module.place.file, module.place.where


def cross_attention(view: View) -> Iterator[Blocker]:
    """Cross-attention inside the language model's own layers: stated, stored, or built by the code."""
    shown = [*_stated_cross(view.reading.snapshot.config()), *_named_cross(view)]
    if shown:
        why = "image features enter by cross-attention, not as tokens of the prompt"
        yield Blocker(
            "cross-attention", f"{shown[0].file}: {shown[0].where} = {shown[0].text}; {why}", tuple(shown[:6])
        )


def _stated_cross(config: Mapping[str, JSON]) -> Iterator[Evidence]:
    levels: list[tuple[str, JSON]] = [("", dict(config))]
    levels += [(f"{key}.", config.get(key)) for key in ("text_config", "language_config", "llm_config")]
    for prefix, inner in levels:
        for key, value in (inner if isinstance(inner, dict) else {}).items():
            if "cross_attention" in key and "hidden_size" not in key and value not in (None, False, [], 0):
                yield Evidence("config.json", f"{prefix}{key}", str(value)[:60])


def _named_cross(view: View) -> Iterator[Evidence]:
    seen: set[str] = set()
    names = [tensor.name for tensor in view.reading.snapshot.tensors.tensors]
    whole = "\n".join(names).lower()
    for name in names if any(word in whole for word in CROSS) else ():
        lowered = name.lower()
        part = next((part for part in lowered.split(".") if part.startswith(CROSS)), None)
        if part is not None and part not in seen and not any(word in lowered for word in MERGERS):
            seen.add(part)
            yield Evidence("checkpoint", name, part)
    for path, module in view.modules:
        part = next((part for part in path.lower().split(".") if part.startswith(CROSS)), None)
        if part is None or part in seen or any(word in path.lower() for word in MERGERS):
            continue
        seen.add(part)
        yield Evidence(*_place(module), path)


def two_layouts(table: TensorTable) -> bool:
    """Index and headers tell of different models; a few names that one of them lacks do not hide what the layout is."""
    differing = sum(fault.kind in ("not_stored", "unlisted") for fault in table.index_faults)
    return differing > SAME_LAYOUT * len(table.tensors)


def contradictions(reading: ReadingLike) -> Iterator[Blocker]:
    """What two files of the repo say of the same thing, where nothing tells which is right."""
    layout = reading.facts.value("weights_layout")
    listed = layout.get("disagreements") if isinstance(layout, dict) else None
    for item in listed if isinstance(listed, list) and two_layouts(reading.snapshot.tensors) else []:
        yield Blocker("contradiction", f"the checkpoint's index and headers disagree: {item}")
    language = reading.facts.value("language_model")
    if isinstance(language, dict):
        yield from _depth(reading, language)


def _depth(reading: ReadingLike, part: JSONObject) -> Iterator[Blocker]:
    """Layers that the config states for the language model against the layers that are stored."""
    stated, prefix = part.get("layers"), part.get("prefix")
    if not isinstance(stated, int) or isinstance(stated, bool) or not isinstance(prefix, str) or not prefix:
        return
    stored = _deepest(reading, f"{prefix}.")
    if stored is not None and stored < stated:
        why = f"the language model has {stated} layers by its config, the checkpoint holds {stored} under {prefix}"
        yield Blocker("contradiction", why, (Evidence("checkpoint", f"{prefix}.*", f"{stored} layers"),))


def _deepest(reading: ReadingLike, prefix: str) -> int | None:
    """The number of layers of the longest list under a prefix."""
    lists: dict[str, int] = {}
    for tensor in reading.snapshot.tensors.tensors:
        if not tensor.name.startswith(prefix):
            continue
        parts = tensor.name[len(prefix) :].split(".")
        index = next((place for place, part in enumerate(parts) if part.isdigit()), None)
        if index is not None and len(parts[index]) < 6:
            head = ".".join(parts[:index])
            lists[head] = max(lists.get(head, 0), int(parts[index]) + 1)
    return max(lists.values(), default=None)


def missing_code(reading: ReadingLike) -> Iterator[Blocker]:
    """Model and config classes that `auto_map` names and the repo lacks, in one line."""
    needed = {key: line for key, line in absent_code(reading).items() if key.startswith(NEEDED)}
    if needed:
        shown = tuple(
            Evidence("config.json", f"auto_map.{key}", line.partition(" ")[0]) for key, line in needed.items()
        )
        yield Blocker("missing code", missing_line(reading), shown)


def missing_line(reading: ReadingLike) -> str:
    """Everything that `auto_map` names and the repo lacks, as one line; "" when nothing is missing."""
    lines = list(absent_code(reading).values())
    files = [line.partition(" ")[0] for line in lines if line.endswith(ABSENT)]
    others = [line for line in lines if not line.endswith(ABSENT)]
    named = "is named by auto_map and" if len(files) == 1 else "are named by auto_map and"
    verb = "is" if len(files) == 1 else "are"
    return "; ".join([*([f"{', '.join(files)} {named} {verb} not in the repo"] if files else []), *others])


def absent_code(reading: ReadingLike) -> dict[str, str]:
    """`auto_map` key → what the repo lacks of it, each file once.

    What a sub-config names is passed over where the model's own code is there: it builds its parts itself.
    """
    auto_map = reading.facts.value("auto_map")
    entries: Mapping[str, JSON] = auto_map if isinstance(auto_map, dict) else {}
    built = reading.configs.code.model is not None
    found: dict[str, str] = {}
    for key, item in entries.items():
        if not isinstance(item, dict) or item.get("found") is not False or (built and key.startswith("config.json:")):
            continue
        file = item.get("file")
        if not isinstance(file, str):
            continue
        has = file in reading.snapshot.python
        line = f"{file} has no class {item.get('class')}" if has else f"{file} {ABSENT}"
        if line not in found.values():
            found[key] = line
    return found

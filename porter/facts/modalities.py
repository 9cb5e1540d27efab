"""What a model takes besides text, each kind with what speaks for it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from porter.facts.code import CodeReading
from porter.facts.model import Confidence, Evidence, Fact
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON, JSONObject
from porter.source.codebase import where
from porter.source.values import ClassRef

PROCESSORS = ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json")
TEMPLATES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json", "processor_config.json")
WORDS: Mapping[str, tuple[str, ...]] = {"audio": ("audio", "speech"), "video": ("video",)}
IMAGE_KEYS = ("vision", "visual", "image", "img")
IMAGE_INPUTS = frozenset({"pixel_values", "images", "image", "pixel_value", "image_tensors"})
IMAGE_PARTS = ("vision", "visual", "image_vit", "patch_embed", "img_processor")
SIZES = frozenset({"patch_size", "image_size"})
LAYERS = frozenset({"hidden_size", "num_hidden_layers", "num_layers", "depth", "layers", "dim", "nlayers", "n_layer"})
KNOWN_PARTS = (
    *IMAGE_KEYS, "audio", "speech", "video", "text", "llm", "language", "thinker", "talker", "decoder", "encoder",
    "projector", "connector", "resampler", "perceiver", "quantization", "generation", "rope", "backbone", "slice",
    "clip", "vit", "sam", "model", "mm", "training", "lora", "task", "token",
)  # fmt: skip
ENOUGH = 2
MAX_TENSORS = 20_000


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that speaks for a modality: `weight` 2 settles it alone, two of weight 1 do together."""

    weight: int
    evidence: Evidence


def modality_fact(snapshot: Snapshot, code: CodeReading) -> Fact:
    """Image, video and audio as the config, the processors and the code take them; a tokenizer's tokens prove nothing:
    families share vocabularies."""
    found: dict[str, tuple[Evidence, ...]] = {}
    for kind in WORDS:
        signs = list(_signs(snapshot, code, kind))
        if sum(sign.weight for sign in signs) >= ENOUGH:
            found[kind] = tuple(sign.evidence for sign in signs[:3])
    image = next(_image(snapshot, code), None)
    if image is not None:
        found["image"] = (image,)
    evidence = tuple(item for kind in sorted(found) for item in found[kind])
    others = sorted(_other_encoders(snapshot))
    note = f"encoders of another kind: {', '.join(others)}" if others else ""
    sure = Confidence.LIKELY if found else Confidence.UNKNOWN
    return Fact("modalities", [*sorted(found)] if found else None, sure, evidence, note=note)


def _signs(snapshot: Snapshot, code: CodeReading, kind: str) -> Iterator[Sign]:
    words = WORDS[kind]
    sources: tuple[Callable[[], Iterator[Sign]], ...] = (
        lambda: _from_config(snapshot, words),
        lambda: _from_processors(snapshot, words),
        lambda: _from_code(code, words),
        lambda: _from_templates(snapshot, words),
    )
    for source in sources:
        first = max(source(), key=lambda sign: sign.weight, default=None)
        if first is not None:
            yield first


def _from_config(snapshot: Snapshot, words: tuple[str, ...]) -> Iterator[Sign]:
    for key, value in snapshot.config().items():
        if not any(word in key for word in words) or isinstance(value, bool):
            continue
        if isinstance(value, dict) and value and not VOCABULARY & set(value):
            yield Sign(2, Evidence("config.json", key, "a config of its own"))
        elif isinstance(value, int) and "token" in key:
            yield Sign(1, Evidence("config.json", key, str(value)))


def _from_processors(snapshot: Snapshot, words: tuple[str, ...]) -> Iterator[Sign]:
    for file in PROCESSORS:
        document = snapshot.json.get(file, {})
        if document and any(file.startswith(word) for word in words):
            yield Sign(2, Evidence(file, "", "the file is there"))
        for key, value in document.items():
            if any(word in key for word in words) and value not in (None, False, "", {}, []):
                yield Sign(2, Evidence(file, key, _short(value)))


def _from_code(code: CodeReading, words: tuple[str, ...]) -> Iterator[Sign]:
    """An argument that the model's `forward` or a processor's `__call__` really uses."""
    for file, name, function in _entrances(code):
        for argument in _arguments(function):
            if any(word in argument for word in words) and _is_used(function, argument):
                yield Sign(2, Evidence(file, where(function), f"{name}(..., {argument})"))


def _from_templates(snapshot: Snapshot, words: tuple[str, ...]) -> Iterator[Sign]:
    for file in TEMPLATES:
        template = snapshot.json.get(file, {}).get("chat_template") if file.endswith(".json") else None
        text = template if isinstance(template, str) else snapshot.text.get(file, "") if file[-1] != "n" else ""
        for word in words:
            if f"'{word}'" in text or f'"{word}"' in text:
                yield Sign(1, Evidence(file, "chat_template", f"content of type {word}"))


def _entrances(code: CodeReading) -> Iterator[tuple[str, str, ast.FunctionDef]]:
    """The functions that take a model's or a processor's inputs."""
    model = code.run.find_method(code.model.cls, "forward") if code.model is not None else None
    if model is not None:
        yield model[0].file, "forward", model[1]
    for file in code.run.code.files():
        for name, node in file.definitions.items():
            if isinstance(node, ast.ClassDef) and name.endswith("Processor"):
                found = code.run.find_method(ClassRef(file.path, node), "__call__")
                if found is not None:
                    yield found[0].file, f"{name}.__call__", found[1]


def _arguments(function: ast.FunctionDef) -> list[str]:
    spec = function.args
    return [argument.arg for argument in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]


def _is_used(function: ast.FunctionDef, name: str) -> bool:
    """The body reads the argument for more than a check that nobody gave it."""
    tests = {id(node) for item in ast.walk(function) if isinstance(item, ast.If) for node in ast.walk(item.test)}
    reads = (node for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return any(node.id == name and id(node) not in tests for node in reads)


def _image(snapshot: Snapshot, code: CodeReading) -> Iterator[Evidence]:
    """What speaks for images, best first."""
    yield from _image_config(snapshot.config())
    for file in PROCESSORS[:2]:
        document = snapshot.json.get(file, {})
        stated = [key for key in ("image_processor_type", "image_mean", "crop_size") if document.get(key)]
        if stated:
            yield Evidence(file, stated[0], _short(document[stated[0]]))
    for file, name, function in _entrances(code):
        taken = [argument for argument in _arguments(function) if argument in IMAGE_INPUTS]
        if taken:
            yield Evidence(file, where(function), f"{name}(..., {taken[0]})")
    for tensor in snapshot.tensors.tensors[:MAX_TENSORS]:
        if any(part in tensor.name for part in IMAGE_PARTS):
            yield Evidence(tensor.file, tensor.name, "a vision tensor")


VOCABULARY = frozenset({"vocab_size", "max_position_embeddings", "num_key_value_heads"})
"""What only the config of a language model states, whatever the key it stands under is called."""


def _image_config(config: JSONObject) -> Iterator[Evidence]:
    parts = {key: value for key, value in config.items() if isinstance(value, dict) and value}
    heard = {key for key, part in parts.items() if any(w in key for w in WORDS["audio"]) and not VOCABULARY & set(part)}
    named = [key for key in parts if any(word in key for word in IMAGE_KEYS)]
    sized = [key for key, value in parts.items() if SIZES & set(value) and key not in heard]
    for key in (*named, *sized):
        yield Evidence("config.json", key, "a vision config")
    for key, value in config.items():
        if any(word in key for word in ("vision_tower", "vision_encoder", "vision_model")) and isinstance(value, str):
            yield Evidence("config.json", key, value)


def _other_encoders(snapshot: Snapshot) -> Iterator[str]:
    """Configs of parts that are neither text nor one of the kinds above, such as a gene encoder's."""
    for key, value in snapshot.config().items():
        named = key.endswith(("_config", "_encoder")) and not any(word in key for word in KNOWN_PARTS)
        if named and isinstance(value, dict) and LAYERS & set(value) and not SIZES & set(value):
            yield key


def _short(value: JSON) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"

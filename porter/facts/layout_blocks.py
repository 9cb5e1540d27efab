"""The config blocks of a repo that describe encoders, wherever they are nested, and which one describes a tower."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from porter.facts.layout_model import Part, patch_width
from porter.facts.layout_units import FOREIGN_WORDS, VISUAL_WORDS, words_of
from porter.facts.synonyms import HEADS, HIDDEN, IMAGE_SIZE, LAYERS, PATCH_SIZE
from porter.facts.word_lists import words
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON, JSONObject

MAX_BLOCKS = 200
MAX_DEPTH = 5
NAMES = ("model_type", "model_name", "_name_or_path", "name", "vision_tower")
LANGUAGE_WORDS = words("text llm language decoder lm qformer projector connector")
FIELDS = {"hidden_size": HIDDEN, "layers": LAYERS, "heads": HEADS, "patch_size": PATCH_SIZE, "image_size": IMAGE_SIZE}


@dataclass(frozen=True, slots=True)
class Block:
    """One JSON object of a config file; `numbers` are the fields that it states, by porter's names."""

    file: str
    path: tuple[str, ...]
    numbers: Mapping[str, int]
    words: frozenset[str]
    model_type: str

    @property
    def where(self) -> str:
        return ".".join(self.path) or "(top level)"


def blocks_of(snapshot: Snapshot) -> list[Block]:
    """Every object with a width or a number of layers and no vocabulary, of config.json and of nested config files."""
    files = [name for name in snapshot.json if name == "config.json" or name.endswith("/config.json")]
    found: list[Block] = []
    for name in sorted(files, key=lambda name: (name.count("/"), name))[:8]:
        found.extend(_blocks(name, snapshot.json[name]))
    return found[:MAX_BLOCKS]


def _blocks(file: str, config: JSONObject) -> Iterator[Block]:
    waiting: list[tuple[tuple[str, ...], JSONObject]] = [((), config)]
    count = 0
    while waiting and count < 20 * MAX_BLOCKS:
        path, value = waiting.pop(0)
        count += 1
        numbers = {name: number for name, keys in FIELDS.items() if (number := _number(value, keys)) is not None}
        if "vocab_size" not in value and ({"hidden_size", "layers"} & numbers.keys() or _names_a_tower(value, numbers)):
            yield Block(file, path, numbers, _words(file, path, value), _text(value.get("model_type")))
        if len(path) < MAX_DEPTH:
            waiting.extend(((*path, key), inner) for key, inner in value.items() if isinstance(inner, dict))


def _names_a_tower(value: JSONObject, numbers: Mapping[str, int]) -> bool:
    return "patch_size" in numbers and ("architectures" in value or "auto_map" in value)


def _number(value: JSONObject, keys: tuple[str, ...]) -> int | None:
    """The first of several spellings that is a positive whole number, or a pair of the same one."""
    for key in keys:
        found: JSON = value.get(key)
        if isinstance(found, list) and len(found) == 2 and found[0] == found[1]:
            found = found[0]
        if isinstance(found, int) and not isinstance(found, bool) and found > 0:
            return found
    return None


def _words(file: str, path: tuple[str, ...], value: JSONObject) -> frozenset[str]:
    names = [_text(value.get(key)) for key in NAMES]
    stated = value.get("architectures")
    names += [_text(item) for item in stated[:4]] if isinstance(stated, list) else []
    pieces = (*path, *file.split("/")[:-1], *names)
    return frozenset(words_of(tuple(piece.replace(".", "_").replace("/", "_") for piece in pieces)))


def _text(value: JSON) -> str:
    return value.lower()[:200] if isinstance(value, str) else ""


def block_for(part: Part, blocks: list[Block], *, only: bool) -> Block | None:
    """The block that describes a tower: by its number of layers, its width, then its words; None when none fits."""
    scored = [(_score(part, block), index) for index, block in enumerate(blocks)]
    best = max(scored, key=lambda item: (item[0], -item[1]), default=None)
    needed = 2 if only else 4
    return blocks[best[1]] if best is not None and best[0] >= needed else None


def _score(part: Part, block: Block) -> int:
    depth = part.network.depth if part.network is not None else None
    width = patch_width(part.network) if part.network is not None else None
    layers, hidden = block.numbers.get("layers"), block.numbers.get("hidden_size")
    score = 0
    if depth is not None and layers is not None:
        score += 4 if layers == depth else 2 if layers == depth + 1 else -3
    if width is not None and hidden is not None:
        score += 3 if hidden == width else -3
    kind = (part.kind or "").split("_")[0]
    score += 2 * any(kind and kind in word for word in block.words)
    score += 2 * bool(block.words & (VISUAL_WORDS | {"visual", "encoder"})) + ("patch_size" in block.numbers)
    return score - 6 * bool(block.words & (LANGUAGE_WORDS | FOREIGN_WORDS - {"text"}))

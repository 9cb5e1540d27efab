"""From a reading to a tiny model: what is shrunk, which tokenizer is used, what prompts and images need. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from porter.facts.model import ModelFacts
from porter.facts.reading import RepoReading
from porter.facts.synonyms import CONTEXT_ID_KEYS
from porter.jsontypes import JSON, JSONObject, as_int
from porter.tiny import tokenizer
from porter.tiny.document import Change, Documents, Path, pair, walk
from porter.tiny.materialise import TinyFiles
from porter.tiny.roles import ALIASES, Hints
from porter.tiny.shrink import CONFIG, Request, shrink

SIZED = (CONFIG, "preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
KEPT = (*SIZED, "generation_config.json")
TOKENIZER_JSON = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
DTYPE_KEYS = ("torch_dtype", "dtype")
ID_NAMES = (*CONTEXT_ID_KEYS, "media_token_id")
PROMPT_ROOM = 256
IMAGES_PER_PROMPT = 2
NOWHERE: Path = ("",)


@dataclass(frozen=True, slots=True)
class TinyModel:
    """`tile` (pixels) and `tokens_per_tile` after shrinking; `max_model_len` holds the largest prompt of the ladder."""

    files: TinyFiles
    changes: tuple[Change, ...]
    tile: int
    tokens_per_tile: int | None
    max_model_len: int
    notes: tuple[str, ...]


def tiny_model(reading: RepoReading) -> TinyModel:
    """The tiny twin of a repo. Facts that are unknown leave what they are about as it is."""
    facts, snapshot = reading.facts, reading.snapshot
    docs = Documents.of({name: snapshot.json[name] for name in KEPT if name in snapshot.json})
    real = tokenizer.has_real_tokenizer([*snapshot.binary, *snapshot.text], snapshot.json)
    stand_in = None if real else _stand_in(reading, docs)
    shrunk = shrink(docs.files, _request(reading, stand_in.rows if stand_in else None))
    final = Documents(shrunk.files)
    _float32(final)
    changes = (*docs.changes, *shrunk.changes, *final.changes)
    words = {name: snapshot.json[name] for name in TOKENIZER_JSON if name in snapshot.json}
    files = TinyFiles({**final.files, **(stand_in.files if stand_in else words)}, real)
    tile = shrunk.tile or side_of(reading)
    tokens = _tokens_per_tile(facts, tile)
    return TinyModel(files, changes, tile, tokens, _model_len(reading, tokens), _notes(changes, real))


def _int(facts: ModelFacts, name: str) -> int | None:
    value = facts.value(name)
    return as_int(max(value, key=lambda v: as_int(v) or 0)) if isinstance(value, list) and value else as_int(value)


def _text(facts: ModelFacts, name: str) -> str | None:
    value = facts.value(name)
    return value if isinstance(value, str) and value else None


def _stand_in(reading: RepoReading, docs: Documents) -> tokenizer.StandIn:
    facts = reading.facts
    extra: dict[str, int | None] = {}
    for name in ("image_context_token", "image_start_token", "image_end_token"):
        text = _text(facts, name)
        if text:
            extra[text] = _int(facts, f"{name}_id")
    made = tokenizer.stand_in(reading.snapshot.json, extra, tokenizer.stated_ids(docs))
    tokenizer.rewrite_ids(docs, made.ids)
    for name in ID_NAMES:
        found = reading.resolve("model", name).value
        stated = as_int(found.get("value")) if isinstance(found, dict) else None
        if isinstance(found, dict) and found.get("path") is None and stated in made.ids and stated is not None:
            docs.set(CONFIG, (name,), made.ids[stated])
    return made


def _hints(reading: RepoReading, scope: Literal["vision", "text"], part: JSONObject) -> Hints:
    """Places and sizes of one part, as the repo's own code reads them."""
    key = _text(reading.facts, f"{scope}_config_key")
    places: dict[str, Path] = {}
    sizes: dict[str, int] = {}
    for role in ALIASES:
        found = reading.resolve(scope, role).value
        if isinstance(found, dict) and as_int(found.get("value")) is not None:
            sizes[role] = cast(int, found["value"])
            if isinstance(found.get("path"), str) and found["path"]:
                places[role] = tuple(str(found["path"]).split("."))
    stated = {"hidden_size": "hidden_size", "num_hidden_layers": "layers", "num_attention_heads": "heads"}
    for role, name in {**stated, "patch_size": "patch_size", "vocab_size": "vocab_size"}.items():
        size = as_int(part.get(name))
        if size is not None:
            sizes.setdefault(role, size)
    path: Path = tuple(key.split(".")) if key else (() if scope == "text" else NOWHERE)
    return Hints(path, places, sizes)


def _request(reading: RepoReading, vocab: int | None) -> Request:
    facts = reading.facts
    towers = facts.value("vision_tower")
    tower = towers[0] if isinstance(towers, list) and towers and isinstance(towers[0], dict) else {}
    language = facts.value("language_model")
    ratio = facts.value("downsample_ratio")
    merge = round(1 / ratio) if isinstance(ratio, (int, float)) and 0 < ratio <= 1 else 1
    tapped = reading.resolve("model", "select_layer").value
    place = tapped.get("path") if isinstance(tapped, dict) else None
    code_only = any(e.file.endswith(".py") and "process" in e.file for e in facts["image_size"].evidence[:1])
    return Request(
        text=_hints(reading, "text", language if isinstance(language, dict) else {}),
        vision=(_hints(reading, "vision", tower),),
        merge=max(merge, 1),
        feature_layers=(tuple(place.split(".")),) if isinstance(place, str) and place else (),
        vocab=vocab,
        tile=0 if code_only else _int(facts, "image_size"),
        tokens_per_tile=_int(facts, "tokens_per_tile"),
    )


def _float32(docs: Documents) -> None:
    for file, doc in docs.files.items():
        for path, value in list(walk(doc)):
            if path[-1] in DTYPE_KEYS and isinstance(value, str):
                docs.set(file, path, "float32")


def side_of(reading: RepoReading) -> int:
    """Pixels of a tile at full size."""
    return _int(reading.facts, "image_size") or 224


def tokens_of(reading: RepoReading) -> int | None:
    return _int(reading.facts, "tokens_per_tile")


def full_length(reading: RepoReading) -> int:
    """Tokens of the ladder's largest prompt at full size."""
    return _model_len(reading, tokens_of(reading))


def _tokens_per_tile(facts: ModelFacts, tile: int) -> int | None:
    old, size = _int(facts, "tokens_per_tile"), _int(facts, "image_size")
    return max(1, old * tile * tile // (size * size)) if old and size else old


def _model_len(reading: RepoReading, tokens: int | None) -> int:
    """Room for the largest images of one prompt, within the positions that the decoder has."""
    tiles = max(_int(reading.facts, "max_tiles") or 1, _most_tiles(reading)) + 1
    needed = (tokens or 256) * tiles * IMAGES_PER_PROMPT + PROMPT_ROOM
    found = reading.resolve("text", "max_position_embeddings").value
    limit = as_int(found.get("value")) if isinstance(found, dict) else None
    return min(-(-needed // 256) * 256, limit or needed)


def _most_tiles(reading: RepoReading) -> int:
    """Tiles of the largest resolution, where config.json lists resolutions by which images are cut."""
    tile = _int(reading.facts, "image_size") or 0
    lists = [value for value in reading.snapshot.config().values() if isinstance(value, list) and value]
    found = [[pair(item) for item in value] for value in lists]
    sizes = [size for items in found if all(items) for size in items if size is not None]
    return max([height * width // (tile * tile) for height, width in sizes] if tile else [], default=1)


def _notes(changes: tuple[Change, ...], real: bool) -> tuple[str, ...]:
    names = sorted({re.split(r"[.:]", change.path)[-1] for change in changes if change.path.startswith(CONFIG)})
    shown = [name for name in names if not name.endswith(("_id", "eps", "epsilon", *DTYPE_KEYS))]
    notes = [f"errors only in sizes that were shrunk: {', '.join(shown)}"] if shown else []
    return (*notes, *(() if real else ("the repo's own tokenizer: a byte-level stand-in was used",)))


def plain_facts(facts: ModelFacts) -> Mapping[str, JSON]:
    """The values alone, for a worker."""
    return {name: fact.value for name, fact in facts.items()}

"""What generated tests stand on: a repo's tiny twin, expected token counts, checkpoint names with layers folded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from porter.facts.reading import RepoReading
from porter.jsontypes import JSON, JSONObject
from porter.planning.spec import Spec
from porter.tiny.code import without_code
from porter.tiny.materialise import TOKENIZER_FILES
from porter.tiny.model import tiny_model

LAYER = re.compile(r"\.(\d+)\.(?=[^.]+\.)")


@dataclass(frozen=True, slots=True)
class Fixtures:
    """`files` are JSON documents of the tiny repo; `tile` is a tile's side in pixels."""

    files: dict[str, str]
    tokens_per_tile: int
    max_model_len: int
    tile: int
    names: tuple[str, ...]


def fixtures(reading: RepoReading, spec: Spec, *, keep_code: bool) -> Fixtures:
    """The tiny repo with a byte-level stand-in tokenizer: nothing of the repo's own vocabulary is copied."""
    bare = {name: text for name, text in reading.snapshot.text.items() if name not in TOKENIZER_FILES}
    tiny = tiny_model(replace(reading, snapshot=replace(reading.snapshot, binary={}, text=bare)))
    names = folded_names(tensor.name for tensor in reading.snapshot.tensors.tensors)
    files = {
        name: _text(document if keep_code else without_code(document)) for name, document in tiny.files.json.items()
    }
    if names:
        files["checkpoint_names.json"] = _text(list(names))
    return Fixtures(files, tiny.tokens_per_tile or spec.tokens_per_tile or 1, tiny.max_model_len, tiny.tile, names)


def _text(document: JSON | JSONObject) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=isinstance(document, dict)) + "\n"


def folded_names(names: Iterable[str]) -> tuple[str, ...]:
    """One name per kind: of numbered layers the lowest; a number that stands right before the leaf is kept."""
    lowest: dict[str, tuple[tuple[int, ...], str]] = {}
    for name in names:
        numbers = tuple(int(number) for number in LAYER.findall(name))
        template = LAYER.sub(".#.", name)
        if template not in lowest or numbers < lowest[template][0]:
            lowest[template] = (numbers, name)
    return tuple(sorted(name for _, name in lowest.values()))

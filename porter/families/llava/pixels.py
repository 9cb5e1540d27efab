"""Pixels and the HF processor: a class of transformers that makes one square image, asked for by the repo's files."""

from __future__ import annotations

from collections.abc import Mapping

from porter.facts.images import PROCESSOR_KEYS
from porter.families.base import ReadingLike
from porter.families.internvl.judgement import Notes, blocked, differs
from porter.families.internvl.towers import TowerAnchor
from porter.families.library import PREFIX, Library
from porter.families.llava.anchors import LlavaAnchors
from porter.families.llava.anyres import PINPOINTS, pinpoints
from porter.families.llava.kinds import Kind
from porter.jsontypes import JSON, JSONObject

FILES = ("preprocessor_config.json", "processor_config.json")
ENDINGS = ("ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor")
NEWLINE = "image_newline"
ANYRES = (PINPOINTS, NEWLINE)


def judge_pixels(
    reading: ReadingLike,
    kind: Kind,
    anchors: LlavaAnchors,
    library: Library,
    token: str,
    strategy: str,
    tower: TowerAnchor | None,
) -> tuple[dict[str, JSON], Notes]:
    """(arguments of the HF processor that no file states, notes)."""
    wrong = _problem(reading, kind, library)
    if wrong:
        return {}, blocked("pixels", wrong)
    patch = reading.facts.value("patch_size")
    wanted: dict[str, JSON] = {
        "image_token": token,
        "patch_size": patch,
        "num_additional_image_tokens": 1 if tower is not None and tower.has_cls else 0,
        "vision_feature_select_strategy": strategy,
    }
    stated = reading.snapshot.json.get("processor_config.json", {})
    if all(stated.get(name) == value for name, value in wanted.items()):
        return {}, Notes()
    shown = "processor_config.json" if stated else "no file"
    return wanted, differs(
        "HF processor", anchors.base.hf_processor, f"{shown} states its arguments", "get_hf_processor"
    )


def _problem(reading: ReadingLike, kind: Kind, library: Library) -> str | None:
    snapshot = reading.snapshot
    anyres = _anyres(reading, kind)
    if anyres:
        return anyres
    own = [entry.key for entry in snapshot.auto_map if entry.key in PROCESSOR_KEYS]
    if own:
        return f"the repo brings its own {own[0]}"
    code = [item for item in reading.facts["resize_scheme"].evidence if item.file.endswith(".py")]
    if code and not _named(snapshot.json):
        return f"the repo's code makes pixels itself ({code[0].file} {code[0].where})"
    name, document = _named(snapshot.json) or ("", {})
    if not name:
        return "no file of the repo names an image processor"
    folder = kind.processors.get(_stem(name))
    if folder is None or f"{PREFIX}models/{folder}/image_processing_{folder}.py" not in library.code.texts:
        known = ", ".join(f"{stem}ImageProcessor" for stem in kind.processors)
        return f"{name} is not the image processor of transformers that this base takes ({known})"
    if kind.anyres and document.get(PINPOINTS) != pinpoints(reading):
        return f"the files disagree about {PINPOINTS}"
    return _not_square(document, reading.facts.value("image_size"))


def _anyres(reading: ReadingLike, kind: Kind) -> str | None:
    """What tells of tiles for a base without them, or is lacking for one with them."""
    found = [name for name in ANYRES if _has(reading, name)]
    if found and not kind.anyres:
        return f"{found[0]}: images are cut into tiles that are packed row by row"
    if not kind.anyres:
        return None
    if pinpoints(reading) is None:
        return "config.json lists no resolutions by which images would be cut into tiles"
    stored = reading.snapshot.tensors.tensors
    return f"no {NEWLINE} is stored" if stored and NEWLINE not in found else None


def _has(reading: ReadingLike, name: str) -> bool:
    documents = (reading.snapshot.config(), *(reading.snapshot.json.get(file, {}) for file in FILES))
    stored = any(tensor.name.rpartition(".")[2] == name for tensor in reading.snapshot.tensors.tensors)
    return stored or any(name in document for document in documents)


def _named(documents: Mapping[str, JSONObject]) -> tuple[str, JSONObject] | None:
    """(class, settings) of the image processor that a file names, in a file of its own or inside another."""
    for file in FILES:
        document = documents.get(file, {})
        inner = document.get("image_processor")
        for place in (document, inner if isinstance(inner, dict) else {}):
            name = place.get("image_processor_type") or place.get("feature_extractor_type")
            if isinstance(name, str):
                return name, place
    return None


def _stem(name: str) -> str:
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)


def _not_square(document: JSONObject, side: JSON) -> str | None:
    """Why images do not end up as squares of the tower's size; None when they do."""
    crops = document.get("do_center_crop", "crop_size" in document) is not False and "crop_size" in document
    size = document.get("crop_size" if crops else "size")
    sides = [size.get("height"), size.get("width")] if isinstance(size, dict) else [size, size]
    return None if sides == [side, side] else f"images are made {size!r}, the tower takes squares of {side}"

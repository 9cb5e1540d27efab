"""Tokens, tiling and pixels: the repo's processing against the tree's InternVL processor."""

from __future__ import annotations

from porter.facts.model import Confidence
from porter.facts.synonyms import PILS_OWN, filter_number
from porter.facts.tile_tags import NUMBER
from porter.families.base import ReadingLike
from porter.families.internvl.anchors import HELPERS, Anchors, ProcessorAnchor
from porter.families.internvl.grids import GridJudgement
from porter.families.internvl.judgement import Notes, blocked, differs
from porter.families.internvl.sources import resolved
from porter.jsontypes import JSON, objects
from porter.planning.spec import PixelSpec, Source, TagSpec

TOKEN_FACTS = {
    "ctx_image_token": "image_context_token",
    "start_image_token": "image_start_token",
    "end_image_token": "image_end_token",
}
TAG_HOOK = ("self", "num_patches", "num_features")
PIXEL_HOOK = ("self", "images", "min_dynamic_patch", "max_dynamic_patch", "dynamic_image_size")
USUAL = GridJudgement(Notes())
SEEN = (Confidence.CERTAIN, Confidence.LIKELY)
TILING_FACTS = {
    "min_dynamic_patch": "min_tiles",
    "max_dynamic_patch": "max_tiles",
    "use_thumbnail": "use_thumbnail",
}


def judge_tokens(reading: ReadingLike, anchors: Anchors) -> tuple[dict[str, str], str | None, Notes]:
    """(processor arguments that differ from their defaults, a placeholder that differs from the base's, notes)."""
    notes, arguments = Notes(), {}
    context = reading.facts.value("image_context_token")
    if not isinstance(context, str) or not context:
        notes = notes.plus(
            blocked("image context token", "no file of the repo tells which token stands for image features")
        )
    for parameter, name in TOKEN_FACTS.items():
        fact, default = reading.facts[name], anchors.processor.tokens.get(parameter)
        value = fact.value if isinstance(fact.value, str) else "" if fact.confidence is Confidence.ABSENT else None
        if value is not None and value != default:
            arguments[parameter] = value
            notes = notes.plus(differs(name.replace("_", " "), repr(default), repr(value), parameter))
    placeholder = reading.facts.value("image_placeholder")
    other = placeholder if isinstance(placeholder, str) and placeholder not in ("", anchors.placeholder) else None
    if other is not None and not anchors.replacement_hook:
        notes = notes.plus(
            blocked("image placeholder", f"this vLLM has no hook for another one than {anchors.placeholder}")
        )
    if other is not None:
        notes = notes.plus(
            differs("image placeholder", anchors.placeholder, other, "get_placeholder_str, dummy text, replacement")
        )
    return arguments, other, notes.plus(_numbered(reading, anchors, other))


def _numbered(reading: ReadingLike, anchors: Anchors, placeholder: str | None) -> Notes:
    """What a placeholder with the image's number needs: a step of its own, and tokens that nothing merges with."""
    if placeholder is None or NUMBER not in placeholder:
        return Notes()
    if placeholder.count(NUMBER) != 1 or not all(reading.facts.value(name) for name in TOKEN_FACTS.values()):
        return blocked("image placeholder", f"no start and end token stand around the image of {placeholder}")
    if not anchors.prompt_hook:
        return blocked("image placeholder", f"this vLLM has no step that rewrites a prompt with {placeholder}")
    words = "numbered images have a text of their own; what the code writes around videos is not ported"
    return differs("videos", "frames with their number", "none", words) if has_video(reading) else Notes()


def has_video(reading: ReadingLike) -> bool:
    modalities = reading.facts.value("modalities")
    return isinstance(modalities, list) and "video" in modalities


def label_of(reading: ReadingLike, placeholder: str | None) -> str | None:
    """The text before each image of a prompt with numbered placeholders; None where they are not."""
    if placeholder is None or NUMBER not in placeholder:
        return None
    found = (row.get("token") for row in objects(reading.facts.value("image_separators")) if row.get("role") == "label")
    return next((token for token in found if isinstance(token, str)), "")


def judge_tags(reading: ReadingLike, anchors: Anchors) -> tuple[TagSpec | None, Notes]:
    """Tags before tiles; any other token that code puts between the parts of an image is none that the base writes."""
    fact = reading.facts["image_separators"]
    around = {reading.facts.value(name) for name in (*TOKEN_FACTS.values(), "image_placeholder")}
    found = fact.value if isinstance(fact.value, list) and fact.confidence in SEEN else []
    rows = [row for row in found if isinstance(row, dict) and row.get("role") != "label"]
    listed = [row for row in rows if row.get("token") not in around]
    roles = {str(row.get("role")): row for row in listed}
    if not roles:
        return None, Notes()
    tile, overview = roles.pop("tile", {}), roles.pop("global", {})
    tag, first = tile.get("token"), tile.get("first")
    if roles or not isinstance(tag, str) or NUMBER not in tag or not isinstance(first, int):
        shown = ", ".join(str(row.get("token")) for row in listed)
        return None, blocked("image separators", f"the base writes nothing between the tiles of an image: {shown}")
    if anchors.processor.image_text_hook != TAG_HOOK:
        return None, blocked("image separators", f"{anchors.processor.processor} has no get_image_repl{TAG_HOOK}")
    last = overview.get("token")
    spec = TagSpec(tag, first, last if isinstance(last, str) else None)
    return spec, differs(
        "tags of tiles", "none", ", ".join([tag, *([spec.overview] if spec.overview else [])]), "get_image_repl"
    )


def judge_tiling(reading: ReadingLike, anchors: Anchors) -> dict[str, Source]:
    """Where each tiling argument stands; one tile per image when the repo names no tiling at all."""
    found = _tiling(reading)
    if anchors.processor_settings:
        return found
    return {name: Source("constant", item.value) if item.kind == "processor" else item for name, item in found.items()}


def _tiling(reading: ReadingLike) -> dict[str, Source]:
    found = {
        name: source
        for name, fact in TILING_FACTS.items()
        if (source := resolved(reading, "model", name, reading.facts.value(fact))) is not None
    }
    stated = resolved(reading, "model", "dynamic_image_size")
    tiled = "max_dynamic_patch" in found and reading.facts.value("resize_scheme") != "single"
    if stated is not None and isinstance(stated.value, bool):
        found["dynamic_image_size"] = stated
        tiled = tiled and stated.value
    else:
        found["dynamic_image_size"] = Source("constant", tiled)
    one = {"min_dynamic_patch": Source("constant", 1), "max_dynamic_patch": Source("constant", 1)}
    defaults = {"min_dynamic_patch": Source("constant", 1), "use_thumbnail": Source("constant", False)}
    return {**defaults, **found} if tiled else {**one, **defaults, **found}


def judge_pixels(
    reading: ReadingLike, anchors: Anchors, by: tuple[str, str] | None, inside: bool, cut: GridJudgement = USUAL
) -> tuple[PixelSpec | None, Notes]:
    """The repo's pixels where they differ from the tree's.

    `by` names buffers that the processor can apply in the model's place; `inside`: the model applies them itself.
    """
    mean, std = _triple(reading, "image_mean"), _triple(reading, "image_std")
    if by is not None:
        mean, std = (_buffer(reading, name) for name in by)
        if mean is None or std is None:
            return None, blocked("normalisation", f"the values of {by[0]} and {by[1]} could not be read")
    unsettled = mean is None and not inside and reading.facts["image_mean"].confidence is not Confidence.ABSENT
    if unsettled:
        mean, std = anchors.processor.mean, anchors.processor.std
    resample = reading.facts.value("resample")
    number = filter_number(resample)
    if number is None:
        return None, blocked("pixels", f"the resampling filter {resample!r} is none that PIL has")
    rescale = reading.facts.value("rescale") is not False
    usual = (mean, std, number, rescale) == (anchors.processor.mean, anchors.processor.std, PILS_OWN, True)
    if usual and cut.grid is None and cut.tensors is None:
        return None, Notes()
    lacking = _lacking(anchors.processor)
    if lacking:
        return None, blocked("pixels", f"{anchors.processor.image_processor} of this vLLM has no {', '.join(lacking)}")
    base = f"mean {anchors.processor.mean}, std {anchors.processor.std}, resample {PILS_OWN}"
    repo = f"mean {mean}, std {std}, resample {number}" + ("" if rescale else ", no rescale")
    repo += f", {cut.tensors} resizes" if cut.tensors else ""
    spec = PixelSpec(number, rescale, mean, std, tensors=cut.tensors, grid=cut.grid)
    return spec, differs("pixels", base, repo, "own image processor")


def _lacking(processor: ProcessorAnchor) -> list[str]:
    """What an own image processor overrides or calls, and this tree does not have."""
    hook = [] if processor.pixel_hook == PIXEL_HOOK else [f"_images_to_pixel_values_lst({', '.join(PIXEL_HOOK)})"]
    return [*hook, *(name for name in HELPERS if name not in processor.helpers)]


def _triple(reading: ReadingLike, name: str) -> tuple[float, ...] | None:
    return _floats(reading.facts.value(name))


def _floats(value: JSON) -> tuple[float, ...] | None:
    numbers = [float(item) for item in value if isinstance(item, (int, float))] if isinstance(value, list) else []
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        numbers = [float(value)]
    return tuple(numbers * 3) if len(numbers) == 1 else tuple(numbers) if len(numbers) == 3 else None


def _buffer(reading: ReadingLike, name: str) -> tuple[float, ...] | None:
    listed = reading.facts.value("buffers")
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict) and item.get("attr") == name:
            return _floats(item.get("values"))
    return None

"""The image path: what happens between pixels and connector, against what the base's `extract_feature` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from porter.families.base import Blocker, ReadingLike
from porter.families.internvl.anchors import Anchors
from porter.families.internvl.judgement import Notes, blocked, differs
from porter.families.internvl.towers import TowerAnchor
from porter.jsontypes import JSON, JSONObject
from porter.planning.spec import BufferSpec, FeatureSpec, TowerSpec

KNOWN_OPS = ("normalize", "tower", "drop_tokens", "pixel_shuffle", "connector")
ORDER = {name: index for index, name in enumerate(KNOWN_OPS)}


@dataclass(frozen=True, slots=True)
class PathFinding:
    """The path in the base's terms. `layer` is hidden_states' index as the code has it, -1 for the last."""

    notes: Notes
    features: FeatureSpec | None = None
    tower: TowerSpec | None = None
    buffers: tuple[BufferSpec, ...] = ()
    shuffle: str | None = None
    ratio: float = 1.0
    layer: int = -1
    normalized_by: tuple[str, str] | None = None
    dropped: int = 0


def judge_path(reading: ReadingLike, anchors: Anchors, kind: str) -> PathFinding:
    """Judge the `feature_path` fact for a tower of a kind that the tree has."""
    fact = reading.facts["feature_path"]
    ops = [op for op in fact.value if isinstance(op, dict)] if isinstance(fact.value, list) else []
    if not ops:
        why = fact.note or "the code of the model is not there or could not be followed from pixels to the connector"
        return PathFinding(Notes(blockers=(Blocker("feature path", why, fact.evidence),)))
    problem = _problem(ops)
    if problem:
        return PathFinding(Notes(blockers=(Blocker("feature path", problem, fact.evidence),)))
    return _finding(reading, anchors, anchors.towers[kind], {str(op["op"]): op for op in ops})


def _problem(ops: Sequence[JSONObject]) -> str | None:
    names = [str(op.get("op")) for op in ops]
    unknown = [name for name in names if name not in ORDER]
    if unknown:
        return f"the image path has a step that the base does not have: {', '.join(unknown)}"
    if len(set(names)) < len(names):
        return f"the image path is {' -> '.join(names)}: layers stand before and after the merge"
    if [ORDER[name] for name in names] != sorted(ORDER[name] for name in names):
        return f"the image path is {' -> '.join(names)}, the base's is {' -> '.join(KNOWN_OPS)}"
    if any(op.get("op") == "pixel_shuffle" and op.get("version") not in ("v1", "v2") for op in ops):
        return "the tokens are merged by a rearrangement that is neither pixel shuffle v1 nor v2"
    return None


def _finding(reading: ReadingLike, anchors: Anchors, tower: TowerAnchor, ops: dict[str, JSONObject]) -> PathFinding:
    tap, cut = ops.get("tower", {}), ops.get("drop_tokens", {})
    shuffle, norm = ops.get("pixel_shuffle"), ops.get("normalize")
    front, end = _int(cut.get("count")), _int(cut.get("from_end"))
    buffers, by, notes = _normalization(reading, norm)
    shuffled = shuffle is not None
    whole = front != anchors.drop_tokens or end != 0 or not shuffled
    if whole:
        repo = _dropped(front, end) + ("" if shuffled else ", no pixel shuffle")
        base = f"{_dropped(anchors.drop_tokens, 0)}, merged by pixel shuffle"
        notes = notes.plus(differs("image tokens", base, repo, "extract_feature"))
    inside = buffers if by is None else ()
    mean, std = (inside[0].name, inside[1].name) if inside else (None, None)
    if inside:
        notes = notes.plus(
            differs("normalisation in the model", "none", f"({mean}, {std})", "buffers applied in extract_feature")
        )
    layer = tap.get("layer")
    if not isinstance(layer, int):
        notes = notes.plus(blocked("feature layer", f"the tapped layer {layer!r} is not one number"))
    spec = FeatureSpec(mean, std, front, end, shuffled, whole) if whole or inside else None
    ratio = shuffle.get("ratio") if shuffle is not None else 1.0
    return PathFinding(
        notes=notes.plus(_extra_tokens(tower, front)),
        features=spec,
        tower=_tower(reading, anchors, tower, tap),
        buffers=inside,
        shuffle=str(shuffle["version"]) if shuffle is not None else None,
        ratio=float(ratio) if isinstance(ratio, (int, float)) else 1.0,
        layer=layer if isinstance(layer, int) else -1,
        normalized_by=by,
        dropped=front,
    )


def _dropped(front: int, end: int) -> str:
    """How many tokens go, in words."""
    parts = [f"first {front}"] if front else []
    parts += [f"last {end}"] if end else []
    return f"{', '.join(parts)} dropped" if parts else "no token dropped"


def _int(value: JSON) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _extra_tokens(tower: TowerAnchor, front: int) -> Notes:
    if tower.prefix is not None:
        return Notes() if front else blocked("image tokens", f"{tower.cls} has learnt rows before the patches")
    if front > (1 if tower.has_cls else 0):
        return blocked(
            "image tokens",
            f"{front} tokens are dropped, but {tower.cls} has {1 if tower.has_cls else 0} besides the patches",
        )
    return Notes()


def _tower(reading: ReadingLike, anchors: Anchors, tower: TowerAnchor, tap: JSONObject) -> TowerSpec | None:
    """The override of `_init_vision_model`; None when the base builds this tower itself."""
    if tower.kind == anchors.base_tower:
        return None
    last = tap.get("output") == "last_hidden_state" and tap.get("layer") == -1
    stored = any(".post_layernorm." in f".{tensor.name}" for tensor in reading.snapshot.tensors.tensors)
    known = bool(reading.snapshot.tensors.tensors)
    post_norm = last and tower.norms_last and (stored or not known)
    return TowerSpec(tower.cls, tower.module, post_norm if tower.post_norm else None, tower.inner, tower.scales)


def _normalization(
    reading: ReadingLike, op: JSONObject | None
) -> tuple[tuple[BufferSpec, ...], tuple[str, str] | None, Notes]:
    """Buffers that the port must hold: (buffers, (mean, std) names when the processor can do it instead, notes)."""
    if op is None:
        return (), None, Notes()
    listed = reading.facts.value("buffers")
    named = {
        str(item.get("attr")): item for item in (listed if isinstance(listed, list) else []) if isinstance(item, dict)
    }
    names = (str(op.get("mean")), str(op.get("std")))
    found = [named.get(name) for name in names]
    if any(item is None for item in found):
        return (
            (),
            None,
            blocked("normalisation in the model", f"{names[0]} and {names[1]} are used but registered nowhere"),
        )
    if all(item is not None and item.get("persistent") is False for item in found):
        return (), names, Notes()
    specs = tuple(BufferSpec(name, _shape(item)) for name, item in zip(names, found, strict=True) if item is not None)
    return specs, None, Notes()


def _shape(item: JSONObject) -> tuple[int, ...]:
    shape = item.get("shape")
    return tuple(size for size in shape if isinstance(size, int)) if isinstance(shape, list) else ()

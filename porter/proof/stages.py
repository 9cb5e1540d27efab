"""Where two computations part: rows of compared places to stages, and the first stage that differs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from porter.jsontypes import JSON, JSONObject, as_float, as_int

STAGES = (
    "prompt ids",
    "pixel values",
    "patch embed",
    "tower",
    "merge",
    "connector",
    "merged embeddings",
    "language model",
)
TOLERANCE = 1e-5
"""Largest difference of a stage, relative to the reference's largest value in that row: rounding makes 2e-6."""

Status = Literal["equal", "differs", "not seen"]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """One compared place of the model: a module's input or output. See `porter/workers/differences.py`."""

    path: str
    side: str
    point: str | None = None
    part: str | None = None
    block: int | None = None
    blocks: int | None = None
    whole: bool = False
    kind: str = ""
    shapes: tuple[Shape | None, Shape | None] = (None, None)
    max_diff: float | None = None
    rel_diff: float | None = None
    signs: Mapping[str, JSON] | None = None
    tolerance: float = TOLERANCE

    @classmethod
    def from_json(cls, row: JSONObject) -> Place:
        signs = row.get("signs")
        return cls(
            path=str(row.get("path")),
            side=str(row.get("side")),
            point=_text(row.get("point")),
            part=_text(row.get("part")),
            block=as_int(row.get("block")),
            blocks=as_int(row.get("of")),
            whole=row.get("whole") is True,
            kind=str(row.get("kind") or ""),
            shapes=shapes_of(row.get("shapes")),
            max_diff=as_float(row.get("max_diff")),
            rel_diff=as_float(row.get("rel_diff")),
            signs=signs if isinstance(signs, dict) else None,
        )

    @property
    def seen(self) -> bool:
        return None not in self.shapes

    @property
    def status(self) -> Status:
        if not self.seen:
            return "not seen"
        return "equal" if self.rel_diff is not None and self.rel_diff <= self.tolerance else "differs"


@dataclass(frozen=True, slots=True)
class Inside:
    """The first place within a stage that differs; `after` is the last one before it that does not."""

    place: Place
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of one prompt under one set of weights; `layer` is (number, count) within a tower or decoder."""

    name: str
    status: Status
    layer: tuple[int, int] | None = None
    place: Place | None = None
    inside: Inside | None = None
    set: str = ""
    prompt: str = ""

    @property
    def title(self) -> str:
        """`tower layer 3 of 4`."""
        return f"{self.name} layer {self.layer[0]} of {self.layer[1]}" if self.layer else self.name

    @property
    def signs(self) -> Mapping[str, JSON]:
        return (self.place.signs if self.place else None) or {}

    @property
    def rel_diff(self) -> float | None:
        return self.place.rel_diff if self.place else None

    def to_json(self) -> JSONObject:
        shapes = self.place.shapes if self.place else (None, None)
        return {
            "name": self.name,
            "status": self.status,
            "layer": list(self.layer) if self.layer else None,
            "max_diff": self.place.max_diff if self.place else None,
            "rel_diff": self.rel_diff,
            "tolerance": self.place.tolerance if self.place else TOLERANCE,
            "reference_shape": list(shapes[0]) if shapes[0] is not None else None,
            "vllm_shape": list(shapes[1]) if shapes[1] is not None else None,
            "set": self.set,
            "prompt": self.prompt,
        }

    def line(self) -> str:
        """What differs and by how much, in words."""
        return f"{self.title} differs{self._amount()} (prompt {self.prompt}, {self.set} weights){self._within()}"

    def _amount(self) -> str:
        rows, width = self.signs.get("rows"), self.signs.get("width")
        if isinstance(rows, list) and len(rows) == 2 and rows[0] != rows[1]:
            return f": rows {rows[0]} in the reference against {rows[1]}"
        if isinstance(width, list) and len(width) == 2:
            return f": width {width[0]} in the reference against {width[1]}"
        if self.signs.get("nan"):
            return ": a value is not a number"
        return f" by {self.rel_diff:.1e} (relative)" if self.rel_diff is not None else ""

    def _within(self) -> str:
        if self.inside is None:
            return ""
        place = self.inside.place
        what = "what goes into" if place.side == "in" else "what comes out of"
        kind = f" ({place.kind})" if place.kind else ""
        return f", first in {what} {place.path}{kind}"


POINTS: Mapping[str, str] = {
    "ids": "prompt ids",
    "pixels": "pixel values",
    "tapped": "tower",
    "merged": "merge",
    "features": "connector",
    "logits": "language model",
}
Located = tuple[str, tuple[int, int] | None]


def located(places: Iterable[Place]) -> Iterator[tuple[Located, Place]]:
    """The stage of each place; places in the order of the reference's calls. Those between stages are left out."""
    in_tower = in_decoder = False
    for place in places:
        stage = _stage_of(place, in_tower, in_decoder)
        in_tower = in_tower or (place.part == "tower" and place.block is not None)
        in_decoder = in_decoder or (place.part == "language_model" and place.block is not None)
        if stage is not None:
            yield stage, place


def _stage_of(place: Place, in_tower: bool, in_decoder: bool) -> Located | None:
    if place.point is not None and place.point in POINTS:
        return POINTS[place.point], None
    if place.whole and place.side == "in":
        first = {"tower": "patch embed", "language_model": "merged embeddings"}
        return (first[str(place.part)], None) if place.block == 1 and place.part in first else None
    layer = (place.block, place.blocks or place.block) if place.block else None
    if place.part == "tower":
        return _in_tower(place, layer, in_tower)
    if place.part == "connector":
        return None if place.side == "in" and not place.kind else ("connector", None)
    if place.part == "language_model" or in_decoder:
        return ("language model", layer) if in_decoder or layer else None
    return ("connector", None) if in_tower and place.kind else None


def _in_tower(place: Place, layer: tuple[int, int] | None, in_tower: bool) -> Located | None:
    """Past its layers only what the connector gets counts: a tower may make more than is used."""
    if layer:
        return "tower", layer
    return None if in_tower or not place.kind else ("patch embed", None)


def stages_of(places: Iterable[Place], set_name: str = "", prompt: str = "") -> list[Stage]:
    """The stages of one prompt in their order, those that nothing was seen of included."""
    groups: dict[Located, list[Place]] = {}
    for stage, place in located(places):
        groups.setdefault(stage, []).append(place)
    for name in STAGES:
        if not any(stage[0] == name for stage in groups):
            groups[name, None] = []
    ordered = sorted(groups, key=lambda stage: (STAGES.index(stage[0]), stage[1] or (10**6, 0)))
    return [_judged(stage, groups[stage], set_name, prompt) for stage in ordered]


def _judged(stage: Located, places: Sequence[Place], set_name: str, prompt: str) -> Stage:
    """The last place of a stage decides; those before it tell where inside."""
    name, layer = stage
    seen = [place for place in places if place.seen]
    if not seen:
        return Stage(name, "not seen", layer, places[-1] if places else None, None, set_name, prompt)
    last, status = seen[-1], seen[-1].status
    inside = _inside(seen) if status == "differs" and len(seen) > 1 else None
    return Stage(name, status, layer, last, inside, set_name, prompt)


def _inside(seen: Sequence[Place]) -> Inside | None:
    index = next(i for i, place in enumerate(seen) if place.status == "differs")
    return Inside(seen[index], seen[index - 1] if index else None)


def first_difference(stages: Sequence[Stage]) -> Stage | None:
    """Of one prompt: the first stage that differs of those whose difference reaches the end.

    A stage that is equal again ends a difference: what went before it is not used, or differs only in its layout.
    """
    seen = [stage for stage in stages if stage.status != "not seen"]
    if seen and seen[0].name == "prompt ids" and seen[0].status == "differs":
        return seen[0]
    last_equal = max((i for i, stage in enumerate(seen) if stage.status == "equal"), default=-1)
    return seen[last_equal + 1] if last_equal + 1 < len(seen) else None


def earliest(found: Iterable[Stage | None]) -> Stage | None:
    """The one that comes first on the way, of all prompts and sets; of equals the largest difference."""
    known = [stage for stage in found if stage is not None]
    return min(known, key=_place_on_the_way) if known else None


def _place_on_the_way(stage: Stage) -> tuple[int, tuple[int, int], float]:
    return STAGES.index(stage.name), stage.layer or (10**6, 0), -(stage.rel_diff or 0.0)


def summary(stages: Iterable[Stage]) -> list[Stage]:
    """One row per stage, in order: of all prompts, sets and layers the one that is furthest off."""
    worst: dict[str, Stage] = {}
    for stage in stages:
        kept = worst.get(stage.name)
        if kept is None or _badness(stage) > _badness(kept):
            worst[stage.name] = stage
    return [worst.get(name, Stage(name, "not seen")) for name in STAGES]


def _badness(stage: Stage) -> tuple[int, float]:
    rank: Mapping[Status, int] = {"not seen": 0, "equal": 1, "differs": 2}
    return rank[stage.status], stage.rel_diff if stage.rel_diff is not None else float("inf")


def shapes_of(value: JSON) -> tuple[Shape | None, Shape | None]:
    """The shapes on both sides; None where there is nothing."""
    known = [_shape(item) for item in value] if isinstance(value, list) and len(value) == 2 else [None, None]
    return known[0], known[1]


def _shape(value: JSON) -> Shape | None:
    if not isinstance(value, list):
        return None
    return tuple(item for item in value if isinstance(item, int))


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) else None

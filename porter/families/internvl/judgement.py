"""The frozen result of judging a repo against the InternVL base: every part decided, or named as a blocker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from porter.families.base import Blocker, Difference
from porter.families.internvl.anchors import Anchors
from porter.jsontypes import JSON
from porter.planning.spec import BufferSpec, FeatureSpec, PixelSpec, Source, SubConfig, TagSpec, TowerSpec


@dataclass(frozen=True, slots=True)
class Notes:
    """What one part of the judgement adds."""

    differences: tuple[Difference, ...] = ()
    blockers: tuple[Blocker, ...] = ()

    def plus(self, other: Notes) -> Notes:
        return Notes((*self.differences, *other.differences), (*self.blockers, *other.blockers))


@dataclass(frozen=True, slots=True)
class Judgement:
    """All parts of a port, before names are given."""

    anchors: Anchors
    attributes: Mapping[str, Source]
    vision: SubConfig | None = None
    text: SubConfig | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    placeholder: str | None = None
    tags: TagSpec | None = None
    label: str | None = None
    pixels: PixelSpec | None = None
    tower: TowerSpec | None = None
    connector_code: tuple[str, ...] = ()
    buffers: tuple[BufferSpec, ...] = ()
    features: FeatureSpec | None = None
    lora_tokens: int | None = None
    video: bool = False
    tied: JSON = None
    unbuilt_layers: bool = False

    @property
    def tiled(self) -> bool:
        source = self.attributes.get("dynamic_image_size")
        return source is not None and source.value is True


def blocked(what: str, why: str) -> Notes:
    return Notes(blockers=(Blocker(what, why),))


def differs(what: str, base: object, repo: object, answer: str) -> Notes:
    return Notes(differences=(Difference(what, str(base), str(repo), answer),))

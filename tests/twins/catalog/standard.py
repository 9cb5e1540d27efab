"""The variants that every family gets: a subclass, a copy with other names, a copy with a buffer, a near miss."""

from __future__ import annotations

from collections.abc import Mapping

from tests.twins.shapes import Edit, Family, Insert, Twin

Birds = tuple[str, str, str, str]


def standard(
    family: Family,
    birds: Birds,
    names: Mapping[str, str],
    near: tuple[Edit, str],
) -> tuple[Twin, ...]:
    """Four repos of a family, named by `birds`; `names` are other names of submodules, `near` what the last one does
    otherwise."""
    (one, two, three, four), (edit, why) = birds, near
    vision = {"vision_config": "eye_config", "image_token_id": "picture_token_id"}
    text = {"text_config": "llm_config"}
    buffer = Insert(f"{three.title()}Model", "__init__", 'self.register_buffer("pixel_mean", torch.zeros(3))')
    return (
        Twin(f"{one}-subclass", family, one.title(), one, style="subclass", keys=vision),
        Twin(f"{two}-copy", family, two.title(), f"{two}_vl", keys=vision, names=names),
        Twin(f"{three}-copy", family, three.title(), three, keys=text, inserts=(buffer,)),
        Twin(
            f"{four}-near", family, four.title(), f"{four}_vl", keys=vision, names=names, edits=(edit,), near_miss=why
        ),
    )

"""The vision towers as checkpoint and config show them, with no code read."""

from __future__ import annotations

from math import isqrt

from porter.facts.layout_blocks import Block, block_for
from porter.facts.layout_model import Layout, Part, patch_width
from porter.facts.layout_rows import Row
from porter.facts.model import Evidence
from porter.facts.tower_kinds import CLASS_TOKENS, NO_CLASS_TOKEN
from porter.jsontypes import JSONObject

SAME_NAMES = {"siglip": {"siglip2_vision_model": "siglip2", "siglip2": "siglip2"}}
"""Kinds whose names are those of another kind: the config's model_type tells them apart."""


def towers_in(layout: Layout, blocks: list[Block]) -> tuple[list[JSONObject], tuple[Evidence, ...], tuple[str, ...]]:
    """(towers, evidence, notes) of a checkpoint."""
    values: list[JSONObject] = []
    shown: list[Evidence] = []
    notes: list[str] = []
    parts = layout.of("tower")
    for part in parts:
        block = block_for(part, blocks, only=len(parts) == 1)
        values.append(_tower(part, block))
        shown.extend(_evidence(layout.file, part, block))
        notes.extend(_notes(part, block))
    return values, tuple(shown[:6]), tuple(notes)


def _tower(part: Part, block: Block | None) -> JSONObject:
    stated = block.numbers if block is not None else {}
    depth = part.network.depth if part.network is not None else None
    width = patch_width(part.network) if part.network is not None else None
    return {
        "kind": kind_of_part(part, block),
        "class": None,
        "prefix": part.name,
        "attr": part.prefix[-1] if part.prefix else None,
        "path": part.name,
        "hidden_size": width or stated.get("hidden_size"),
        "layers": depth or stated.get("layers"),
        "heads": stated.get("heads"),
        "patch_size": patch_of(part) or stated.get("patch_size"),
        "has_cls": has_class_token(part),
        "in_repo": False,
        "native": None,
    }


def kind_of_part(part: Part, block: Block | None) -> str | None:
    """The kind by names; where two kinds have the same ones, by the shape of the patch embedding or the model_type."""
    renamed = SAME_NAMES.get(part.kind or "")
    if renamed is None:
        return part.kind
    flat = part.network is not None and any(row.shape is not None and len(row.shape) == 2
                                            for row in part.network.patches)  # fmt: skip
    return "siglip2" if flat else renamed.get(block.model_type if block is not None else "", part.kind)


def patch_of(part: Part) -> int | None:
    """The patch size, from the shape of the patch embedding: a square convolution, or a layer on flat patches."""
    shapes = [row.shape for row in part.network.patches if row.shape is not None] if part.network is not None else []
    if len(shapes) != 1:
        return None
    shape = shapes[0]
    if len(shape) >= 4:
        return shape[-1] if shape[-1] == shape[-2] else None
    side = isqrt(shape[1] // 3) if len(shape) == 2 else 0
    return side if side and side * side * 3 == shape[1] else None


def has_class_token(part: Part) -> bool | None:
    if any(_is_class_token(row) for row in part.rows):
        return True
    return False if part.kind in NO_CLASS_TOKEN else None


def _is_class_token(row: Row) -> bool:
    return any(piece in CLASS_TOKENS for piece in row.path[-2:])


def _evidence(file: str, part: Part, block: Block | None) -> list[Evidence]:
    layers = part.network.depth if part.network is not None else None
    count = f", {layers} layers" if layers is not None else ""
    text = f"names of {part.kind}{count}" if part.kind else f"an encoder of no known kind{count}"
    shown = [Evidence(file, part.name, text)]
    if block is not None:
        stated = ", ".join(f"{name} {number}" for name, number in block.numbers.items())
        shown.append(Evidence(block.file, block.where, stated))
    return shown


def _notes(part: Part, block: Block | None) -> list[str]:
    notes: list[str] = []
    if part.kind is None and part.network is not None:
        notes.append(f"{part.name}: {seen_in(part)}")
    if part.extra:
        notes.append(f"{part.name}: {part.kind} has no {', '.join(part.extra[:4])}")
    if block is None or part.network is None:
        return notes
    pairs = (("layers", part.network.depth), ("hidden_size", patch_width(part.network)), ("patch_size", patch_of(part)))
    for name, stored in pairs:
        stated = block.numbers.get(name)
        if stored is not None and stated is not None and stored != stated:
            notes.append(f"{part.name}: {block.where} says {name} {stated}, the checkpoint holds {stored}: it wins")
    return notes


def seen_in(part: Part) -> str:
    """What a layer of an unknown network holds."""
    inside = len(part.network.main.path) + 1 if part.network is not None else 0
    modules = dict.fromkeys(".".join(row.module[inside:]) for row in part.rows if len(row.module) > inside)
    shown = [name for name in modules if name][:8]
    return f"its layers hold {', '.join(shown)}" if shown else "no layers were recognised"

"""What vLLM fuses: the targets of a layout as its layers take them, and the forms in which checkpoints store them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from porter.hub.snapshot import TensorInfo
from porter.weights.infer import Inferred, Target, infer_mapper
from porter.weights.mapper import SHARD
from tests.weights.layouts import LAYOUTS, Layout, Shape
from tests.weights.renamings import RENAMINGS

Stored = dict[str, tuple[str, Shape]]
"""Checkpoint name to (the place it belongs to, its shape)."""

JOINED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
WHOLE = ("qkv", "wqkv")


def fused_targets(layout: Layout) -> list[Target]:
    """Parts with names of their own make one parameter; a fused one can be filled whole or by its shards."""
    found = []
    for name, shape in layout.items():
        group = _group(name, layout)
        if group is not None:
            fused, parts = group
            whole = name.replace(parts[0], fused)
            if parts[0] in name.split("."):
                rows = sum(layout[name.replace(parts[0], part)][0] for part in parts)
                found.append(Target(whole, (rows, *shape[1:]), False, whole))
            part = next(part for part in parts if part in name.split("."))
            found.append(Target(name, shape, True, name.replace(part, fused)))
            continue
        found.append(Target(name, shape, True, name))
        found += [Target(place, rows, False, name) for place, rows in _shards(name, shape)]
    return found


def _group(name: str, layout: Layout) -> tuple[str, tuple[str, ...]] | None:
    words = name.split(".")
    for fused, parts in JOINED.items():
        part = next((part for part in parts if part in words), None)
        if part and "experts" not in words and all(name.replace(part, other) in layout for other in parts):
            return fused, parts
    return None


def _shards(name: str, shape: Shape) -> Iterator[tuple[str, Shape]]:
    word = next((word for word in WHOLE if word in name.split(".")), None)
    if word is not None and shape[0] % 3 == 0:
        for shard in "qkv":
            yield name.replace(f"{word}.", f"{word}{SHARD}{shard}."), (shape[0] // 3, *shape[1:])


def as_it_is(layout: Layout) -> Stored:
    return {name: (name, shape) for name, shape in layout.items()}


def joined(layout: Layout) -> Stored:
    """q, k and v in one tensor, gate and up in one."""
    found: Stored = {}
    for target in fused_targets(layout):
        if SHARD in target.name or target.shape is None:
            continue
        if target.fills == target.name:
            found[target.name] = target.name, target.shape
    return found


def split(layout: Layout) -> Stored:
    """What the tower fuses, in three tensors."""
    found: Stored = {}
    for name, shape in layout.items():
        shards = list(_shards(name, shape))
        if not shards:
            found[name] = name, shape
        for place, rows in shards:
            word, _, rest = place.rpartition(SHARD)
            stem = word.rpartition(".")[0]
            shard, _, leaf = rest.partition(".")
            found[f"{stem}.{shard}_proj.{leaf}"] = place, rows
    return found


FORMS: dict[str, Callable[[Layout], Stored]] = {"as it is": as_it_is, "joined": joined, "split": split}


def inferred_for(layout: str, form: str, renaming: str) -> tuple[Inferred, Stored]:
    """The mapper for one model in one form under one renaming, and where each of its tensors belongs."""
    rename = RENAMINGS[renaming]
    stored = {rename(name): where for name, where in FORMS[form](LAYOUTS[layout]).items()}
    source = [TensorInfo(name, "model.safetensors", "BF16", shape) for name, (_, shape) in stored.items()]
    return infer_mapper(source, fused_targets(LAYOUTS[layout])), stored


def right(inferred: Inferred, stored: Stored) -> bool:
    """Nothing left over on either side, and every tensor where it belongs."""
    return inferred.complete and all(inferred.rules.apply(name) == place for name, (place, _) in stored.items())

"""Following a tower of the repo's own: how many blocks features have passed, and which tokens it drops itself.

Blocks are opaque; what lies between them (class token, position embedding, taps, final norm) is followed. A tower that
cannot be followed to a known number of tokens stays opaque as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from porter.source.interpreter import TowerShape
from porter.source.layers import children
from porter.source.tensors import Features, Piece, Pixels, TowerOutput, fresh
from porter.source.values import Function, Instance, Layer, Val

if TYPE_CHECKING:
    from porter.source.interpreter import Interpreter

CONVOLUTIONS = ("Conv2d", "Conv3d", "Conv2dLayer")


@dataclass(frozen=True, slots=True)
class Inside:
    """The tower being followed: its shape, and the identities of its blocks."""

    shape: TowerShape
    blocks: frozenset[int]


def follow(run: Interpreter, tower: Instance, shape: TowerShape, args: list[Val], kwargs: dict[str, Val]) -> Val | None:
    """What the tower's forward gives for pixels: Features, or a TowerOutput; None when it could not be followed."""
    blocks = find_blocks(run, tower)
    found = run.find_method(tower.cls, "forward")
    if not blocks or found is None or run.inside is not None:
        return None
    run.inside = Inside(replace_layers(shape, len(blocks)), blocks)
    notes, captured, blind = len(run.notes), len(run.captured), len(run.blind)
    try:
        result = run.call_function(Function(found[0].file, found[1], tower, found[0]), args, kwargs, 6)
        return _result(result, run.inside.shape)
    finally:
        run.inside = None
        del run.notes[notes:], run.captured[captured:], run.blind[blind:]


def replace_layers(shape: TowerShape, count: int) -> TowerShape:
    return shape if shape.layers else replace(shape, layers=count)


def find_blocks(run: Interpreter, module: object, depth: int = 3) -> frozenset[int]:
    """The items of the longest list of modules near the top of the tower."""
    best: frozenset[int] = frozenset()
    for _, child in children(run, module):
        if isinstance(child, Layer) and child.cls.name in ("ModuleList", "Sequential"):
            items = frozenset(id(item.value) for item in child.items if isinstance(item.value, Instance))
            best = max(best, items, key=len)
        if depth:
            best = max(best, find_blocks(run, child, depth - 1), key=len)
    return best


def patches(shape: TowerShape) -> Features:
    """The output of the patch convolution: [batch, channel, rows, columns]."""
    grid = shape.grid
    rows, columns = (Piece("token", grid, grid),), (Piece("token", 1, grid),)
    return Features((fresh("batch", 1), fresh("channel", shape.hidden), rows, columns), 0)


def with_class_token(features: Features, shape: TowerShape) -> Features:
    """Tokens after the class token was put before them."""
    axes = (features.axes[0], fresh("token", shape.grid**2 + shape.extra), *features.axes[2:])
    return replace(features, axes=axes)


def step_inside(run: Interpreter, module: Instance | Layer, values: list[Val]) -> Val | None:
    """The patch convolution, or one block; None for any other module."""
    inside = run.inside
    if inside is None:
        return None
    if isinstance(module, Layer):
        return _embedded(module, values, inside.shape)
    features = next((value for value in values if isinstance(value.value, Features)), None)
    if features is None or id(module) not in inside.blocks or not isinstance(features.value, Features):
        return None
    seen = features.value.layer
    passed = (seen if isinstance(seen, int) else 0) + 1
    return Val(replace(features.value, layer=passed, steps=()), features.src)


def _embedded(layer: Layer, values: list[Val], shape: TowerShape) -> Val | None:
    """The patch embedding: the first convolution or Linear on pixels; later convolutions before the blocks are
    part of it."""
    pixels = any(isinstance(value.value, Pixels) for value in values)
    if pixels and layer.cls.name in CONVOLUTIONS:
        return Val(patches(shape))
    if pixels and layer.cls.name == "Linear":
        return Val(Features((fresh("batch", 1), fresh("token", shape.grid**2), fresh("channel", shape.hidden)), 0))
    early = next((v for v in values if isinstance(v.value, Features) and v.value.layer == 0), None)
    return early if layer.cls.name in CONVOLUTIONS else None


def _result(result: Val, shape: TowerShape) -> Val | None:
    inner = result.value
    if isinstance(inner, Layer) and "Output" in inner.cls.name:
        last = inner.kwargs.get("last_hidden_state") or (inner.args[0] if inner.args else None)
        return _result(last, shape) if last is not None and _plain_output(inner, shape) else None
    if isinstance(inner, (list, tuple)) and inner and isinstance(inner[0], Val):
        return _result(inner[0], shape)
    if not isinstance(inner, Features) or inner.layer is None or not shape.layers:
        return None
    settled = _settle(inner, shape)
    if settled is None:
        return None
    plain = settled.layer == -1 and not settled.dropped
    return Val(TowerOutput(settled, shape.layers) if plain else settled, result.src)


def _plain_output(output: Layer, shape: TowerShape) -> bool:
    """Whether `hidden_states`, where given, is the usual tuple: embeddings, then one entry per block."""
    states = output.kwargs.get("hidden_states")
    entries = states.value if states is not None else None
    return not isinstance(entries, list) or len(entries) in (0, (shape.layers or 0) + 1)


def _settle(features: Features, shape: TowerShape) -> Features | None:
    """Count the layer from the end, keep what was dropped, and name the output; None when the tokens do not add up."""
    if not shape.layers or not isinstance(features.layer, int) or not _whole(features, shape):
        return None
    layer = features.layer - shape.layers - 1
    normed = any(str(step["op"]).endswith("Norm") for step in features.steps)
    other = [step for step in features.steps if not str(step["op"]).endswith("Norm")]
    if other or (normed and layer != -1):
        return None
    return replace(features, layer=layer, steps=(), output="last_hidden_state" if layer == -1 else "hidden_states")


def _whole(features: Features, shape: TowerShape) -> bool:
    """Whether every token is there, or known to be dropped; merged ones may stand in the channels."""
    full = shape.grid**2 + shape.extra
    if len(features.axes) == 3 and features.axes[1] == fresh("token", features.shape[1]):
        return features.shape[1] + features.dropped + features.dropped_end == full
    sizes = [piece.size for axis in features.axes for piece in axis if piece.axis == "token"]
    return len(features.axes) in (2, 3) and not features.dropped and not shape.extra and prod(sizes) == full

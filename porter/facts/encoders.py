"""Whether a tower of the repo's own computes what a ViT over flattened patches with learnt rows does, step by step.

The names of its parameters only say what it may be; here its code says it: patches, positions, rows before the patches,
and in each block which norm, which Linear and which activation stand where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isclose
from typing import TypeVar

from porter.facts.configs import Configs
from porter.facts.radio import is_radio, is_scaled, rows_of, settings_of
from porter.facts.tower_settings import HIDDEN_ACT
from porter.jsontypes import JSON
from porter.source.interpreter import Stop
from porter.source.traces import Node, Traced, Unread, axes_of, parts, permuted, reshaped
from porter.source.tracing import Tracer
from porter.source.values import Instance

BATCH = 13
"""A size that no width, side or count is a multiple of by chance."""
STEPS = 60_000
PLAIN: Mapping[str, JSON] = {"norm_type": "layer_norm", "qk_normalization": False, "initializer_factor": 1.0}
"""What every tower that can be read has."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Encoder:
    """What the code settles; `unclear` is why nothing is settled."""

    settings: Mapping[str, JSON] = field(default_factory=dict)
    """By the names that configs have for them."""
    rows: int = 0
    """Learnt rows before the patches."""
    scaled: bool = False
    """Whether each branch is multiplied with a stored vector."""
    table: int | None = None
    """The image size that the table of positions is for, where it is fitted to each image."""
    mlp_ratio: float | None = None
    """What a library's config states in place of the MLP's width."""
    unclear: str = ""


@dataclass(frozen=True, slots=True)
class _Block:
    path: str
    settings: Mapping[str, JSON]
    scaled: bool


class _Other(Exception):
    """A step that this kind of tower does not have."""


def read_encoder(configs: Configs, image_size: int) -> Encoder:
    """Follow the tower's forward for square images of a size."""
    tower = configs.tower
    if tower is not None and is_radio(tower.module, tower.config):
        return _of_library(settings_of(tower.config), is_scaled(configs.snapshot))
    if tower is None or not isinstance(tower.module, Instance):
        return Encoder(unclear="the code of the tower is not there")
    run = configs.code.run
    run.budget, run.left = max(run.budget, STEPS), max(run.left, STEPS)
    tracer = Tracer(run)
    pixels = tracer.graph.add("pixels", (BATCH, 3, image_size, image_size))
    try:
        out = tracer.module(tower.module, [pixels], {})
        return _encoder(_tensor(out), pixels)
    except (Unread, _Other) as error:
        return Encoder(unclear=f"what {tower.class_name} computes could not be read: {error}")
    except (Stop, RecursionError):
        return Encoder(unclear=f"{tower.class_name} is too large to follow")


def _of_library(given: dict[str, JSON], scaled: bool) -> Encoder:
    """Transformers' own RADIO by its settings."""
    width, ratio, side, patch = (given[key] for key in ("hidden_size", "mlp_ratio", "max_img_size", "patch_size"))
    if given["use_swiglu_ffn"] or not (scaled or given["layerscale_value"] == 1.0):
        return Encoder(unclear="its MLP is a gated one, or its branches are scaled by what no checkpoint stores")
    if not isinstance(width, int) or not isinstance(ratio, (int, float)):
        return Encoder(unclear="its widths could not be read")
    if not isinstance(side, int) or not isinstance(patch, int):
        return Encoder(unclear="the size of its table of positions could not be read")
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps", "qkv_bias")
    settings: dict[str, JSON] = {name: given[name] for name in names}
    settings |= {"intermediate_size": int(width * ratio), **PLAIN}
    return Encoder(settings, rows_of(given), scaled, side // patch * patch, float(ratio))


def _tensor(out: object) -> Traced:
    while isinstance(out, (dict, list)) and out:
        out = next(iter(out.values())) if isinstance(out, dict) else out[0]
    if not isinstance(out, Traced):
        raise _Other("it returns no tensor")
    return out


def _encoder(out: Traced, pixels: Traced) -> Encoder:
    found: list[_Block] = []
    state = out
    while _is_sum(state) and all(item.node.op != "parameter" for item in state.node.inputs):
        middle, mlp = _added(state, _mlp)
        state, attention = _added(middle, _attention)
        if (mlp.path, mlp.scaled) != (attention.path, attention.scaled):
            raise _Other("one of a block's branches is scaled alone, or is another block's")
        if mlp.settings["layer_norm_eps"] != attention.settings["layer_norm_eps"]:
            raise _Other("the norms of a block differ")
        found.insert(0, _Block(mlp.path, {**mlp.settings, **attention.settings}, mlp.scaled))
    if not found or any((block.settings, block.scaled) != (found[0].settings, found[0].scaled) for block in found):
        raise _Other("its blocks differ" if found else "nothing is added to what a block is given")
    if [block.path.rpartition(".")[2] for block in found] != [str(index) for index in range(len(found))]:
        raise _Other("its blocks stand in another order than their numbers")
    settings = {**found[0].settings, "num_hidden_layers": len(found), "hidden_size": state.shape[2], **PLAIN}
    return Encoder(settings, _rows(state, pixels), found[0].scaled)


def _is_sum(tensor: Traced) -> bool:
    return tensor.node.op == "+" and len(tensor.node.inputs) == 2 and _whole(tensor)


def _whole(tensor: Traced) -> bool:
    """Whether a tensor is all of an operator's output, as it lies there."""
    return tensor.axes == axes_of(tensor.shape) and not tensor.picked


def _added(total: Traced, parse: Callable[[Traced, Traced], T]) -> tuple[Traced, T]:
    """(what a branch is added to, the branch): the one of two summands that is made of the other's norm."""
    if not _is_sum(total):
        raise _Other(f"{total.node.op} where a branch is added to what it is made of")
    first, second = total.node.inputs
    try:
        return first, parse(second, first)
    except _Other:
        return second, parse(first, second)


def _one(tensor: Traced, op: str, role: str = "", block: str = "") -> Traced:
    """What an operator with one input is given. Raises _Other for another operator, or a layer of another name."""
    node = tensor.node
    path = node.layer.path if node.layer is not None else ""
    if node.op != op or path.rpartition(".")[2] != role or not path.startswith(block):
        raise _Other(f"{node.op} {path}".strip() + f" where the {role or op} is expected")
    if node.op == "linear" and role != "qkv" and not _biased(node):
        raise _Other(f"{path} has no bias")
    return node.inputs[0]


def _biased(node: Node) -> bool:
    return node.layer is not None and node.layer.argument(2, "bias", True) is not False


def _scaled(branch: Traced) -> tuple[Traced, bool]:
    """A branch without the stored vector that it is multiplied with."""
    if branch.node.op != "*" or len(branch.node.inputs) != 2:
        return branch, False
    vectors = [item for item in branch.node.inputs if item.node.op == "parameter" and item.shape == branch.shape[-1:]]
    others = [item for item in branch.node.inputs if item not in vectors]
    if len(vectors) != 1 or not _whole(branch):
        raise _Other("a branch is multiplied with something else than a vector")
    return others[0], True


def _mlp(branch: Traced, state: Traced) -> _Block:
    inner, scaled = _scaled(branch)
    act = _one(inner, "linear", "fc2")
    made = _one(act, "act")
    known = HIDDEN_ACT.get((str(act.node.numbers[0]), str(act.node.numbers[1])))
    path, eps = _normed(_one(made, "linear", "fc1"), state, "norm2")
    if known is None or not all(map(_whole, (inner, act, made))) or not _inside(path, inner, made):
        raise _Other(f"an MLP with the activation {act.node.numbers}, or of another block")
    return _Block(path, {"hidden_act": known, "intermediate_size": made.shape[-1], "layer_norm_eps": eps}, scaled)


def _inside(block: str, *tensors: Traced) -> bool:
    """Whether the layers that made tensors stand in a block."""
    return all(item.node.layer is not None and item.node.layer.path.startswith(f"{block}.") for item in tensors)


def _attention(branch: Traced, state: Traced) -> _Block:
    inner, scaled = _scaled(branch)
    heads = _one(inner, "linear", "proj")
    query, key, value, scale = _core(heads)
    (_, tokens, width), whole = state.shape, _all_of(heads)
    count = whole.shape[1]
    if len(whole.shape) != 4 or heads != reshaped(permuted(whole, (0, 2, 1, 3)), (BATCH, tokens, width)):
        raise _Other("the heads are put together in another order")
    if not isclose(scale, (width // count) ** -0.5):
        raise _Other(f"attention is scaled by {scale}")
    path, eps = _normed(_one(query, "linear", "qkv"), state, "norm1")
    cut = reshaped(_all_of(query), (BATCH, tokens, 3, count, width // count))
    if [query, key, value] != _heads(cut) or not _inside(path, inner, query) or not _whole(inner):
        raise _Other("query, key and value are cut from one Linear in another order")
    settings: dict[str, JSON] = {"num_attention_heads": count, "qkv_bias": _biased(query.node), "layer_norm_eps": eps}
    return _Block(path, settings, scaled)


def _heads(cut: Traced) -> list[Traced]:
    """[batch, token, 3, head, channel] as query, key and value of [batch, head, token, channel]."""
    made = [reshaped(part, (*cut.shape[:2], *cut.shape[3:])) for part in parts(cut, 2, 3)]
    return [permuted(part, (0, 2, 1, 3)) for part in made]


def _all_of(tensor: Traced) -> Traced:
    """All of the operator's output behind a view."""
    sizes: dict[int, int] = {}
    for axis in tensor.axes:
        for piece in axis:
            sizes[int(piece.axis)] = sizes.get(int(piece.axis), 1) * piece.size
    for piece, _ in tensor.picked:
        sizes[int(piece.axis)] = sizes.get(int(piece.axis), 1) * piece.size
    return Traced(tensor.node, axes_of([sizes.get(index, 1) for index in range(max(sizes) + 1)]))


def _core(heads: Traced) -> tuple[Traced, Traced, Traced, float]:
    """(query, key, value, scale) of attention, in one operator or in its steps."""
    node = heads.node
    if node.op == "attention":
        query, key, value = node.inputs
        return query, key, value, float(str(node.numbers[0]))
    if node.op != "matmul" or node.inputs[0].node.op != "softmax" or node.inputs[0].node.numbers != (3,):
        raise _Other(f"{node.op} where attention is expected")
    scores, value = node.inputs[0].node.inputs[0], node.inputs[1]
    scores, outer = _times(scores)
    if scores.node.op != "matmul" or not _whole(scores):
        raise _Other("scores that are no product of query and key")
    query, inner = _times(scores.node.inputs[0])
    key, also = _times(permuted(scores.node.inputs[1], (0, 1, 3, 2)))
    return query, key, value, outer * inner * also


def _times(tensor: Traced) -> tuple[Traced, float]:
    """A tensor without the number that it is multiplied with or divided by."""
    node = tensor.node
    if node.op not in ("*", "/") or len(node.inputs) != 1 or not isinstance(node.numbers[0], (int, float)):
        return tensor, 1.0
    if not _whole(tensor):
        raise _Other("scores that are moved about")
    return node.inputs[0], float(node.numbers[0]) if node.op == "*" else 1 / node.numbers[0]


def _normed(tensor: Traced, state: Traced, role: str) -> tuple[str, float]:
    """(path of the block, eps) of the norm of a block's state."""
    given, layer = _one(tensor, "norm", role), tensor.node.layer
    if given != state or not _whole(tensor) or tensor.node.numbers != ("LayerNorm",) or layer is None:
        raise _Other(f"{role} is not the LayerNorm of what the branch is added to")
    eps = layer.argument(1, "eps", 1e-5)
    plain = layer.argument(2, "elementwise_affine", True) is True and layer.argument(3, "bias", True) is True
    if not isinstance(eps, float) or not plain:
        raise _Other(f"{role} is a LayerNorm of another form")
    return layer.path.rpartition(".")[0], eps


def _rows(state: Traced, pixels: Traced) -> int:
    """How many learnt rows stand before the patches, which have learnt positions."""
    node = state.node
    if node.op != "cat" or node.numbers != (1,) or len(node.inputs) != 2 or not _whole(state):
        raise _Other("the blocks begin with something else than learnt rows and patches")
    rows, tokens = node.inputs
    learnt = rows.node.inputs[0] if rows.node.op == "expand" else rows
    if learnt.node.op != "parameter" or learnt.shape != (1, *rows.shape[1:]) or not _whole(rows):
        raise _Other("what stands before the patches is not learnt rows")
    _patches(tokens, pixels)
    return rows.shape[1]


def _patches(tokens: Traced, pixels: Traced) -> None:
    """Raises _Other unless tokens are a Linear over patches, channels first, and a table of as many positions."""
    if not _is_sum(tokens):
        raise _Other("no positions are added to the patches")
    table = next((item for item in tokens.node.inputs if item.node.op == "parameter"), None)
    made = next((item for item in tokens.node.inputs if item.node.op == "linear"), None)
    if made is not None and _biased(made.node):
        raise _Other("the Linear over patches has a bias")
    if table is None or made is None or table.shape[-2:] != made.shape[1:] or not _whole(table) or not _whole(made):
        raise _Other("positions are no table with one row for each patch")
    cut, side = made.node.inputs[0], pixels.shape[-1]
    grid = int(made.shape[1] ** 0.5)
    patch = side // grid
    split = reshaped(pixels, (BATCH, 3, grid, patch, grid, patch)) if grid * patch == side else pixels
    if cut != reshaped(permuted(split, (0, 2, 4, 1, 3, 5)), (BATCH, grid * grid, 3 * patch * patch)):
        raise _Other("patches are cut from the image in another order")

"""Whether a tower fits its table of positions to images of another size, and how its code does that."""

from __future__ import annotations

from math import isqrt

from porter.facts.configs import Configs
from porter.facts.encoders import BATCH, STEPS
from porter.source.interpreter import Interpreter, Stop
from porter.source.layers import children
from porter.source.traces import Graph, Traced, Unread, axes_of, permuted, reshaped
from porter.source.tracing import Tracer
from porter.source.values import ConstTensor, Instance, Layer

BICUBIC = ("bicubic", False)
"""Mode and align_corners of InternViT's."""


def fits_positions(configs: Configs, image_size: int) -> str:
    """Why the table is not known to be fitted to images of a size as InternViT does it; "" where it is."""
    tower = configs.tower
    if tower is None or not isinstance(tower.module, Instance):
        return "the code of the tower is not there"
    run = configs.code.run
    run.budget, run.left = max(run.budget, STEPS), max(run.left, STEPS)
    tracer = Tracer(run)
    try:
        owner = _owner(run, tower.module)
        if owner is None:
            return "no module holds both the patches' convolution and a table of positions"
        out = tracer.module(owner, [tracer.graph.add("pixels", (BATCH, 3, image_size, image_size))], {})
        return "" if isinstance(out, Traced) and _is_fitted(tracer.graph, out) else "positions are added in another way"
    except Unread as error:
        return f"what its positions are fitted by could not be read: {error}"
    except (Stop, RecursionError):
        return "the code of its positions is too large to follow"


def _owner(run: Interpreter, module: object, depth: int = 3) -> Instance | None:
    """The module with the convolution that makes patches and tables of its own."""
    inner = children(run, module)
    if isinstance(module, Instance) and any(isinstance(item, Layer) and item.cls.name == "Conv2d" for _, item in inner):
        return module if any(isinstance(value.value, ConstTensor) for value in module.attrs.values()) else None
    found = (_owner(run, child, depth - 1) for _, child in inner) if depth else iter(())
    return next((item for item in found if item is not None), None)


def _is_fitted(graph: Graph, out: Traced) -> bool:
    """class token and patches, plus the table's first row and its others as a picture, resized."""
    if out.node.op != "+" or len(out.node.inputs) != 2:
        return False
    first, second = out.node.inputs
    tokens, table = (first, second) if any(item.node.op == "conv" for item in first.node.inputs) else (second, first)
    return _is_tokens(graph, tokens) and _is_table(graph, table, tokens.shape[1] - 1)


def _is_tokens(graph: Graph, tokens: Traced) -> bool:
    if tokens.node.op != "cat" or tokens.node.numbers != (1,) or len(tokens.node.inputs) != 2:
        return False
    row, patches = tokens.node.inputs
    learnt = row.node.inputs[0] if row.node.op == "expand" else row
    made = Traced(patches.node, axes_of((BATCH, tokens.shape[2], *_grid(patches.shape[1]))))
    flat = permuted(reshaped(made, (BATCH, tokens.shape[2], patches.shape[1])), (0, 2, 1))
    return patches.node.op == "conv" and patches == flat and learnt.node.op == "parameter" and row.shape[1] == 1


def _grid(count: int) -> tuple[int, int]:
    side = isqrt(count)
    if side * side != count:
        raise Unread(f"{count} patches are no square")
    return side, side


def _is_table(graph: Graph, table: Traced, count: int) -> bool:
    if table.node.op != "cat" or table.node.numbers != (1,) or len(table.node.inputs) != 2:
        return False
    first, fitted = table.node.inputs
    whole = first.node.inputs[0] if first.node.op == "slice" else first
    rows, width = whole.shape[1], whole.shape[2]
    if whole.node.op != "parameter" or fitted.node.op != "interpolate" or fitted.node.numbers != BICUBIC:
        return False
    others = graph.add("slice", (1, rows - 1, width), [whole], [1, 1, rows, 1])
    picture = permuted(reshaped(others, (1, *_grid(rows - 1), width)), (0, 3, 1, 2))
    resized = graph.add("interpolate", (1, width, *_grid(count)), [picture], BICUBIC)
    back = permuted(reshaped(resized, (1, width, count)), (0, 2, 1))
    return first == graph.add("slice", (1, 1, width), [whole], [1, 0, 1, 1]) and fitted == back

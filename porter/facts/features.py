"""The way from pixels to the language model: tower, tokens dropped, pixel shuffle, connector layers, in the
order of the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from porter.facts.code import CodeReading, methods
from porter.facts.towers import TowerReading, read_tower
from porter.source.interpreter import Interpreter, Stop, TowerShape
from porter.source.pooling import ADAPTIVE, POOLED, POOLS
from porter.source.tensors import Axis, Features, Pixels, TowerOutput, shuffle_kind, token_order
from porter.source.values import ClassRef, Function, Instance, Layer, Src, Val

METHODS = (
    "extract_feature",
    "extract_features",
    "get_image_features",
    "encode_images",
    "encode_image",
    "get_image_embeddings",
    "get_vision_features",
    "encode",
)
METHOD_WORDS = ("vision", "image", "visual", "feature", "pixel", "embed")
METHOD_STEPS = 60_000
POOLING = (*POOLS, *ADAPTIVE, "interpolate", "mean")
SKIP = ("__init__", "generate", "chat", "batch_chat", "from_pretrained", "get_input_embeddings", "set_input_embeddings")
PIXEL_WORDS = ("pixel", "image", "tile", "patch", "frames")


@dataclass(slots=True)
class FeaturePath:
    """`features` as the code hands them to the language model, `tower` the module they came from, `method` where.

    `opaque` says that the tower is code of the repo that could not be followed inside.
    """

    features: Features
    tower: TowerReading
    method: str
    file: str
    sources: tuple[Src, ...] = ()
    layer_sources: tuple[Src, ...] = ()
    pixel_ops: tuple[tuple[str, str], ...] = ()
    opaque: bool = False
    lost: str = ""
    """A layer behind the last one that was followed, or what else shows that the path goes on unseen."""
    others: tuple[TowerReading, ...] = ()
    """Further towers whose features stand beside the first one's."""


def read_features(reading: CodeReading, image_size: int | None, text_width: int | None) -> FeaturePath | None:
    """Follow the method that takes pixels through the tower and the connector.

    `image_size` is used where the code leaves the size to the processor; `text_width` is the language model's
    hidden size, by which the end of the path is recognised.
    """
    run = reading.run
    towers: dict[int, TowerReading] = {}

    def shape(module: Instance | Layer) -> TowerShape | None:
        if id(module) not in towers:
            towers[id(module)] = read_tower(run, module, image_size)
        return towers[id(module)].shape

    run.tower = shape
    best: tuple[int, FeaturePath] | None = None
    for owner, node, instance in candidates(reading):
        found = _follow(reading, owner_function(owner, node, instance), node, towers, text_width)
        if found is None:
            continue
        score = _score(found.features, text_width) - (200 if found.lost else 0)
        if best is None or score > best[0]:
            best = (score, found)
        if score >= 100:
            break
    return best[1] if best is not None else None


def owner_function(owner: ClassRef, node: ast.FunctionDef, instance: Instance) -> Function:
    return Function(owner.file, node, instance, owner)


def candidates(reading: CodeReading) -> Iterator[tuple[ClassRef, ast.FunctionDef, Instance]]:
    """Methods that may take pixels, likeliest names first, `forward` last."""
    found: list[tuple[int, int, ClassRef, ast.FunctionDef, Instance]] = []
    for order, (path, module) in enumerate(reading.modules()):
        if not isinstance(module, Instance) or path.count(".") > 1:
            continue
        for owner, node in methods(reading.run, module):
            rank = _rank(node)
            if rank is not None:
                found.append((rank, order, owner, node, module))
    for _, _, owner, node, module in sorted(found, key=lambda item: item[:2])[:80]:
        yield owner, node, module


def _rank(node: ast.FunctionDef) -> int | None:
    names = [argument.arg for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
    if node.name in SKIP or len(names) < 2:
        return None
    if node.name == "forward":
        return 60 if pixel_argument(node) else 80
    for index, word in enumerate((*METHODS, *METHOD_WORDS)):
        if node.name == word or (word in METHOD_WORDS and word in node.name):
            return index
    return 40 if pixel_argument(node) else None


def pixel_argument(node: ast.FunctionDef) -> str | None:
    """The argument that takes pixel values, by the words people use for it."""
    names = [argument.arg for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]][1:]
    for word in PIXEL_WORDS:
        for name in names:
            if word in name and not name.endswith(
                ("flags", "sizes", "mask", "size", "ids", "counts", "num", "embeds", "grid_thw")
            ):
                return name
    return names[0] if len(names) == 1 else None


def _follow(
    reading: CodeReading,
    function: Function,
    node: ast.FunctionDef,
    towers: dict[int, TowerReading],
    text_width: int | None,
) -> FeaturePath | None:
    run = reading.run
    argument = pixel_argument(node)
    if argument is None:
        return None
    result = _with_pixels(run, function, argument)
    ends = [item for item in run.captured if item.steps or item.dropped]
    end = _features_of(result) or (ends[-1] if ends else None) or (run.captured[-1] if run.captured else None)
    if end is None:
        return None
    last = max([end, *ends], key=lambda item: len(item.steps))
    used = [item for key in last.towers if (item := towers.get(key)) is not None]
    if not used:
        return None
    lost = "" if _features_of(result) is last else _lost(run.blind, last, node.name)
    return FeaturePath(
        features=last,
        tower=used[0],
        method=node.name,
        file=function.file,
        sources=(Src(function.file, f"line {node.lineno}", f"def {node.name}"),),
        layer_sources=_sources(last.layer_sources),
        pixel_ops=run.pixel_ops.get(id(used[0].module), ()),
        opaque=any(id(tower.module) in run.opaque for tower in used),
        lost=lost or _other_width(last, text_width),
        others=tuple(used[1:]),
    )


def _with_pixels(run: Interpreter, function: Function, argument: str) -> Val:
    """What the function returns for pixels, within its share of the steps; nothing known when they run out."""
    run.captured.clear()
    run.blind.clear()
    share = min(run.budget, METHOD_STEPS)
    kept = run.budget - share
    run.budget = share
    try:
        return run.call_function(function, [], {argument: Val(Pixels((1, 3, 1, 1)))}, 3)
    except (Stop, RecursionError):
        return Val(None)
    finally:
        run.budget = kept + max(run.budget, 0)


def _other_width(features: Features, text_width: int | None) -> str:
    """Features that are not as wide as the language model go on somewhere; "" when they fit, or nothing tells."""
    width = features.shape[-1] if features.axes else None
    fits = text_width is None or width == text_width
    return "" if fits else f"the language model ({text_width} wide; the last features seen are {width})"


def _lost(blind: list[str], features: Features, method: str) -> str:
    """The first layer of the connector that got something unknown; "" when every one was followed.

    Beside the language model stand heads that are called on unknown values too: a layer counts when it shares its
    module with followed ones, or when the method does nothing but features.
    """
    owners = {str(step.get("attr") or "").rpartition(".")[0] for step in features.steps} - {""}
    near = [path for path in blind if path.rpartition(".")[0] in owners or method != "forward"]
    return near[0] if near else ""


def _sources(values: tuple[object, ...]) -> tuple[Src, ...]:
    return tuple(value for value in values if isinstance(value, Src))


def _features_of(value: Val) -> Features | None:
    inner = value.value
    if isinstance(inner, (list, tuple)) and inner:
        first = inner[0]
        inner = first.value if isinstance(first, Val) else first
    if isinstance(inner, TowerOutput):
        return inner.last if inner.pooled is None else inner.pooled
    return inner if isinstance(inner, Features) else None


def _score(features: Features, text_width: int | None) -> int:
    width = features.shape[-1] if features.axes else 0
    linear = any(step["op"] == "Linear" for step in features.steps)
    return len(features.steps) + (100 if linear and width == text_width else 0) + (1 if features.dropped else 0)


def operations(path: FeaturePath) -> list[dict[str, object]]:
    """The path as the `feature_path` fact spells it."""
    ops: list[dict[str, object]] = []
    normalize = normalization(path.pixel_ops)
    if normalize is not None:
        ops.append({"op": "normalize", **normalize})
    elif path.pixel_ops:
        ops.append({"op": "pixel_arithmetic", "steps": [list(step) for step in path.pixel_ops]})
    features = path.features
    ops.append(
        {
            "op": "tower",
            "attr": path.tower.attr.rpartition(".")[2],
            "layer": layer_of(features),
            "output": features.output,
        }
    )
    if features.dropped or features.dropped_end:
        ops.append({"op": "drop_tokens", "count": features.dropped, "from_end": features.dropped_end})
    ops.extend(_arranged(path))
    return ops


def layer_of(features: Features) -> int | list[int] | None:
    """Which hidden state the features are, or which ones side by side."""
    return list(features.layer) if isinstance(features.layer, tuple) else features.layer


def _arranged(path: FeaturePath) -> list[dict[str, object]]:
    """Pixel shuffle and connector layers, in order."""
    grid = path.tower.shape.grid if path.tower.shape is not None else 0
    ops: list[dict[str, object]] = []
    previous: tuple[str, float] | None = ("none", 1.0)
    layers: list[dict[str, object]] = []
    order, mixed = None, False  # behind a Linear only the order of tokens is left to see
    for axes, step in [*_arrangements(path.features), (path.features.axes, None)]:
        if step is not None and step["op"] in POOLING and not layers:
            ops.append(_pool(step))
            continue
        same = is_pooled(axes) or (mixed and token_order(axes) == order)
        kind = previous if same else shuffle_kind(axes, grid)
        order, mixed = token_order(axes), step is not None and (mixed or step["op"] == "Linear")
        if kind != previous and not (layers and step is None and kind is None):
            ops.extend([{"op": "connector", "layers": layers}] if layers else [])
            layers = []
            ops.append(
                {"op": "pixel_shuffle", "version": kind[0] if kind else "other", "ratio": kind[1] if kind else None}
            )
        previous = kind
        if step is not None:
            layers.append({key: value for key, value in step.items() if key != "axes"})
    if layers:
        ops.append({"op": "connector", "layers": layers})
    return ops


def is_pooled(axes: tuple[Axis, ...]) -> bool:
    """Whether tokens were averaged, convolved or asked for by queries: none of the tower's own is left."""
    return any(piece.axis == POOLED for axis in axes for piece in axis)


def merge_ratio(path: FeaturePath, shuffle: dict[str, object] | None) -> float | None:
    """The side of the merged grid over the tower's; None where the tokens are no such grid, or the end was not seen."""
    grid = path.tower.shape.grid if path.tower.shape is not None else 0
    if shuffle is not None:
        ratio = shuffle.get("ratio")
        return ratio if isinstance(ratio, (int, float)) else None
    if path.lost or not is_pooled(path.features.axes):
        return None if path.lost else 1.0
    side = prod(path.features.shape[1:-1]) ** 0.5
    queries = any(str(step["op"]).lower().endswith("attention") for step in path.features.steps)
    return side / grid if grid and side.is_integer() and not queries else None


def _pool(step: dict[str, object]) -> dict[str, object]:
    shown = {key: value for key, value in step.items() if key in ("kernel", "stride", "size", "dim")}
    return {"op": "pool", "kind": step["op"], **shown}


def _arrangements(features: Features) -> list[tuple[tuple[Axis, ...], dict[str, object]]]:
    found = []
    for step in features.steps:
        axes = step.get("axes")
        found.append((axes if isinstance(axes, tuple) else features.axes, step))
    return found


def normalization(ops: tuple[tuple[str, str], ...]) -> dict[str, object] | None:
    """`(x - mean) / std` with two buffers; None for anything else."""
    if len(ops) == 2 and ops[0][0] == "sub" and ops[1][0] == "div" and "?" not in (ops[0][1], ops[1][1]):
        return {"mean": ops[0][1], "std": ops[1][1]}
    return None

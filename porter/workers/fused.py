"""What a checkpoint calls the parts of a parameter that vLLM fuses, from the module classes' own data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def constituents(model: Any, name: str, tensor: Any) -> list[dict[str, Any]]:
    """Checkpoint-side parts of one parameter as {name, shape}; empty when it is loaded under its own name only."""
    path, _, leaf = name.rpartition(".")
    owner = model.get_submodule(path)
    experts = list(_expert_parts(model, name, tensor))
    if experts:
        return experts
    sizes = shard_sizes(owner)
    if len(sizes) < 2:
        return []
    axis = _sharded_axis(tensor, sum(sizes))
    if axis is None:
        return []
    names = _part_names(model, path, len(sizes)) or _shard_names(owner, path, len(sizes))
    scale = tensor.shape[axis] / sum(sizes)
    return [
        {"name": f"{part}.{leaf}", "shape": _with(tensor.shape, axis, round(size * scale))}
        for part, size in zip(names, sizes, strict=True)
    ]


def shard_sizes(owner: Any) -> list[int]:
    """Rows of each part: query, key, value of a fused attention projection, or the outputs of a merged one."""
    if all(hasattr(owner, field) for field in ("total_num_heads", "total_num_kv_heads", "head_size")):
        width = getattr(owner, "v_head_size", None) or owner.head_size
        return [
            owner.total_num_heads * owner.head_size,
            owner.total_num_kv_heads * owner.head_size,
            owner.total_num_kv_heads * width,
        ]
    return [int(size) for size in getattr(owner, "output_sizes", None) or ()]


def _sharded_axis(tensor: Any, total: int) -> int | None:
    axes = [axis for axis, size in enumerate(tensor.shape) if size == total]
    return axes[0] if axes else None


def _with(shape: Iterable[int], axis: int, size: int) -> list[int]:
    return [size if position == axis else value for position, value in enumerate(shape)]


def _part_names(model: Any, path: str, count: int) -> list[str]:
    """Full module paths of the parts. The innermost module that knows the fused name decides."""
    for prefix, module in _ancestors(model, path):
        for table in (_stacked(module), _packed(module)):
            inner = path[len(prefix) :].lstrip(".")
            for fused, parts in table.items():
                if len(parts) == count and _ends_with(inner, fused):
                    stem = inner[: len(inner) - len(fused)]
                    return [".".join(filter(None, (prefix, stem.rstrip("."), part))) for part in parts]
    return []


def _shard_names(owner: Any, path: str, count: int) -> list[str]:
    """Names for parts that no mapping of the model spells: the shard behind an @, which a stacked rule can address."""
    if not hasattr(owner, "validate_shard_id"):
        return []
    is_attention = hasattr(owner, "total_num_kv_heads")
    return [f"{path}@{'qkv'[number] if is_attention else number}" for number in range(count)]


def _ancestors(model: Any, path: str) -> Iterator[tuple[str, Any]]:
    pieces = path.split(".")
    for depth in range(len(pieces), -1, -1):
        prefix = ".".join(pieces[:depth])
        yield prefix, model.get_submodule(prefix)


def _ends_with(path: str, fused: str) -> bool:
    return path == fused or path.endswith("." + fused)


def _stacked(module: Any) -> dict[str, list[str]]:
    """{fused: parts in shard order} of a mapper that stacks; `.q_proj` -> (`.qkv_proj`, "q")."""
    mapper = getattr(module, "hf_to_vllm_mapper", None)
    rules = getattr(mapper, "orig_to_new_stacked", None) or {}
    table: dict[str, list[tuple[int, str]]] = {}
    for part, (fused, shard) in rules.items():
        order = {"q": 0, "k": 1, "v": 2}.get(shard, shard)
        if isinstance(order, int):
            table.setdefault(fused.strip("."), []).append((order, part.strip(".")))
    return {fused: [part for _, part in sorted(parts)] for fused, parts in table.items()}


def _packed(module: Any) -> dict[str, list[str]]:
    table = getattr(module, "packed_modules_mapping", None)
    if not isinstance(table, dict):
        return {}
    return {fused: list(parts) for fused, parts in table.items() if len(parts) > 1}


def _expert_parts(model: Any, name: str, tensor: Any) -> Iterator[dict[str, Any]]:
    """Experts are one parameter in vLLM and one tensor per expert and matrix in a checkpoint."""
    for prefix, module in _ancestors(model, name.rpartition(".")[0]):
        mapping = getattr(module, "get_expert_mapping", None)
        if mapping is None or len(tensor.shape) != 3:
            continue
        inner = name[len(prefix) :].lstrip(".")
        rows = [row for row in mapping() if row[0] in inner]
        halves = len({row[3] for row in rows})
        for fused, part, _, _ in rows:
            stem = prefix + "." if prefix else ""
            _, height, width = tensor.shape
            place = stem + inner.replace(fused, part, 1)
            yield {"name": place + "weight" * place.endswith("."), "shape": [height // halves, width]}
        if rows:
            return

"""Tensors that a quantiser stores beside the weights: scales, zero points, maps."""

from __future__ import annotations

from collections.abc import Iterable

from porter.facts.layout_rows import Path, Row

SIDES: dict[str, str] = {
    "absmax": "bitsandbytes",
    "quant_map": "bitsandbytes",
    "nested_absmax": "bitsandbytes",
    "nested_quant_map": "bitsandbytes",
    "SCB": "bitsandbytes",
    "weight_format": "bitsandbytes",
    "bitsandbytes__nf4": "bitsandbytes",
    "bitsandbytes__fp4": "bitsandbytes",
    "g_idx": "gptq",
    "weight_scale_inv": "fp8",
    "weight_scale": "compressed-tensors",
    "weight_scale_2": "modelopt",
    "weight_zero_point": "compressed-tensors",
    "weight_shape": "compressed-tensors",
    "weight_g_idx": "compressed-tensors",
    "weight_global_scale": "compressed-tensors",
    "input_global_scale": "compressed-tensors",
    "input_scale": "fp8",
    "input_zero_point": "compressed-tensors",
    "k_scale": "fp8",
    "v_scale": "fp8",
}


def split_sides(rows: Iterable[Row]) -> tuple[list[Row], dict[str, list[Row]]]:
    """(weights, side tensors by method)."""
    rows = list(rows)
    beside: dict[Path, set[str]] = {}
    for row in rows:
        beside.setdefault(row.path[:-1], set()).add(row.path[-1])
    weights: list[Row] = []
    sides: dict[str, list[Row]] = {}
    for row in rows:
        method = _method(row, beside[row.path[:-1]])
        (weights if method is None else sides.setdefault(method, [])).append(row)
    return weights, sides


def _method(row: Row, beside: set[str]) -> str | None:
    last = row.path[-1]
    if last in SIDES and len(row.path) > 1:
        return SIDES[last]
    if last in ("qzeros", "scales") and "qweight" in beside:
        return "gptq" if "g_idx" in beside else "gptq or awq"
    if last in ("scales", "biases") and {"scales", "biases"} <= beside:
        return "mlx"
    return None

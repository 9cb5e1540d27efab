"""Whether the checkpoint is quantised: by config, by the names beside the weights, and by dtypes."""

from __future__ import annotations

from collections.abc import Iterator

from porter.facts.layout_model import Layout
from porter.facts.model import Confidence, Evidence, Fact
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON, JSONObject

KEYS = ("quantization_config", "compression_config", "quantization")
FILES = {"quantize_config.json": "gptq", "quant_config.json": "awq", "hf_quant_config.json": "modelopt"}
BITS_KEYS = ("bits", "w_bit", "num_bits", "weight_bits", "quant_bits")
LOADS = {"load_in_4bit": 4, "_load_in_4bit": 4, "load_in_8bit": 8, "_load_in_8bit": 8}
SAME = {
    "gptq or awq": ("gptq", "awq", "gptq_marlin", "awq_marlin", "auto-round"),
    "gptq": ("auto-round", "gptq_marlin"),
    "bitsandbytes": ("bnb",),
    "fp8": ("fbgemm_fp8", "modelopt", "compressed-tensors"),
    "compressed-tensors": ("fp8", "fbgemm_fp8", "modelopt", "quark"),
    "modelopt": ("modelopt_fp4", "nvfp4"),
}
"""What the tensors look like → methods of configs that store the same."""
NEEDS_SIDES = ("bitsandbytes", "gptq", "awq", "mlx", "compressed-tensors")
FLOAT8 = ("F8_E4M3", "F8_E5M2")
BYTE = 8
MAX_DEPTH = 4


def quantization_fact(snapshot: Snapshot, layout: Layout) -> Fact:
    """{method, bits, source}; absent when neither config nor checkpoint shows any."""
    stated = next(_stated(snapshot), None)
    seen = _seen(layout)
    if stated is None and seen is None:
        sure = Confidence.ABSENT if layout.source != "none" or snapshot.config() else Confidence.UNKNOWN
        return Fact("quantization", None, sure)
    if stated is None:
        assert seen is not None
        value: JSONObject = {"method": seen[0], "bits": seen[2], "source": "checkpoint"}
        return Fact("quantization", value, Confidence.LIKELY, (seen[1],), note="no config states it")
    method, bits_stated, place = stated
    notes = [*_conflicts(method, seen, layout)]
    value = {"method": method, "bits": bits_stated if bits_stated is not None else seen[2] if seen else None,
             "source": "config and checkpoint" if seen is not None and not notes else "config"}  # fmt: skip
    sure = Confidence.LIKELY if notes or method is None else Confidence.CERTAIN
    return Fact("quantization", value, sure, (place, seen[1]) if seen is not None else (place,), note="; ".join(notes))


def _conflicts(method: str | None, seen: tuple[str, Evidence, int | None] | None, layout: Layout) -> Iterator[str]:
    if seen is not None and method is not None and not _same(seen[0], method):
        yield f"the config says {method}, the tensors look like {seen[0]}: the config is what loading reads"
    if seen is None and method in NEEDS_SIDES and layout.source != "none":
        yield f"the config says {method}, but the checkpoint holds none of its side tensors"


def _same(seen: str, method: str) -> bool:
    return seen == method.lower() or method.lower() in SAME.get(seen, ())


def _stated(snapshot: Snapshot) -> Iterator[tuple[str | None, int | None, Evidence]]:
    """(method, bits, where) of every quantisation block, the top level of config.json first."""
    waiting: list[tuple[tuple[str, ...], JSONObject]] = [((), snapshot.config())]
    steps = 0
    while waiting and steps < 500:
        path, value = waiting.pop(0)
        steps += 1
        for key in KEYS:
            block = value.get(key)
            if isinstance(block, dict) and block:
                method = _method(block) or ("mlx" if "group_size" in block and key == "quantization" else None)
                where = ".".join((*path, key))
                yield method, _bits(block), Evidence("config.json", where, f"{method}, {_bits(block)} bits")
        if len(path) < MAX_DEPTH:
            waiting.extend(((*path, key), inner) for key, inner in value.items() if isinstance(inner, dict))
    for name, method in FILES.items():
        block = snapshot.json.get(name)
        if isinstance(block, dict) and block:
            yield _method(block) or method, _bits(block), Evidence(name, "(top level)", method)


def _method(block: JSONObject) -> str | None:
    found = block.get("quant_method") or block.get("quant_algo")
    if isinstance(found, str) and found:
        return found.lower()[:60]
    return "bitsandbytes" if any(block.get(key) is True for key in LOADS) else None


def _bits(block: JSONObject) -> int | None:
    for key, bits in LOADS.items():
        if block.get(key) is True:
            return bits
    for value in _nested(block, 3):
        for key in BITS_KEYS:
            found: JSON = value.get(key)
            if isinstance(found, int) and not isinstance(found, bool) and 0 < found <= 32:
                return found
    method = _method(block) or ""
    return BYTE if "fp8" in method or "int8" in method else None


def _nested(block: JSONObject, depth: int) -> Iterator[JSONObject]:
    yield block
    for inner in list(block.values())[:50]:
        if depth and isinstance(inner, dict):
            yield from _nested(inner, depth - 1)


def _seen(layout: Layout) -> tuple[str, Evidence, int | None] | None:
    """(method, what shows it, bits): by side tensors, else by float8 weights."""
    sides = layout.of("side")
    if sides:
        part = max(sides, key=lambda part: part.tensors)
        row = part.rows[0]
        shown = Evidence(layout.file, part.name, f"{part.tensors} tensors such as {row.pattern(part.prefix)}")
        return part.kind or "", shown, 4 if any("nf4" in r.path[-1] or "fp4" in r.path[-1] for r in part.rows) else None
    count = sum(row.count for part in layout.parts for row in part.rows if row.dtype in FLOAT8)
    return ("fp8", Evidence(layout.file, "dtypes", f"{count} tensors in float8"), BYTE) if count else None

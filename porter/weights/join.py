"""From what a worker saw while loading to a report: every tensor and parameter in the lists it belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from porter.hub.snapshot import TensorInfo, TensorTable
from porter.jsontypes import JSONObject
from porter.weights import disagreements
from porter.weights.patterns import template_of
from porter.weights.report import Bytes, Finding, Totals, WeightsReport

_SHAPE_ERROR = re.compile(r"AssertionError|shape|size|dimension|narrow|out of range|start \(", re.IGNORECASE)
_FLOATS = ("F64", "F32", "F16", "BF16")
_SMALL_FLOATS = ("F8_E4M3", "F8_E5M2")
RUN_TIME = {
    "inv_freq": "rotary cache, computed at run time",
    "cos_cached": "rotary cache, computed at run time",
    "sin_cached": "rotary cache, computed at run time",
    "position_ids": "position numbers, computed at run time",
    "masked_bias": "attention mask, computed at run time",
    "num_batches_tracked": "training counter",
}
_SIDE = re.compile(
    r"\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.\w+|SCB|weight_format|g_idx|weight_scale(_inv)?"
    r"|input_scale|weight_zero_point|scales|qzeros)$"
)
_TAIL = re.compile(r"(^|\.)(post_layernorm|layer_norm_post|ln_post|head|pooler|attn_pool)\.")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row of the worker's parameter table, with the checkpoint-side names it can be filled from."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: str
    loadable: bool
    tied_to: str | None
    rows: int | None
    parts: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape in a checkpoint, where a vocabulary has no padding."""
        return self.shape if self.rows is None else (self.rows, *self.shape[1:])


def parameters_of(answer: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The `parameters` table of a worker's answer."""
    return tuple(
        Parameter(
            row["name"],
            tuple(row["shape"]),
            row["dtype"],
            row["kind"],
            row["loadable"],
            row["tied_to"],
            row["rows"],
            tuple((part["name"], tuple(part["shape"])) for part in row["fused"]),
        )
        for row in answer["parameters"]
    )


def report_of(
    parameters: Sequence[Parameter],
    case: Mapping[str, Any],
    table: TensorTable,
    *,
    destinations: Mapping[str, str] | None = None,
    quantized: bool = False,
    notes: tuple[str, ...] = (),
) -> WeightsReport:
    """One case of the worker's `join` answer against the stored tensors, which it was given.

    `destinations` are the places of those that an index names and no file holds; `quantized`: the config names a
    quantiser, so that its side tensors are expected.
    """
    seen = _Seen(parameters, case, table, destinations or {}, quantized)
    by_list: dict[str, list[Finding]] = {"unmapped": [], "shape": [], "dropped": []}
    for tensor in seen.tensors:
        if not case["tensors"][tensor.name]["filled"]:
            where, finding = seen.unfilled(tensor)
            by_list[where].append(finding)
    by_list["shape"] += seen.dtype_clashes()
    needed, harmless = seen.ghosts_without_parameter()
    return WeightsReport(
        totals=seen.totals(),
        unmapped=tuple(by_list["unmapped"]),
        missing=(*seen.missing(by_list["shape"]), *needed),
        shape=tuple(by_list["shape"]),
        duplicate=tuple(seen.duplicates()),
        partial=tuple(seen.partial(by_list["shape"])),
        dropped=tuple(by_list["dropped"]),
        index=(*disagreements.misplaced(table), *harmless),
        errors=(*disagreements.absent_files(table), *case["errors"]),
        bytes=Bytes(table.bytes_fetched, table.bytes_total),
        notes=(*table.notes, *notes, *(f"{a} shares {b} once loaded" for a, b in case.get("shared", {}).items())),
        vllm_error=case.get("vllm_error"),
    )


class _Seen:
    """The worker's observations with the look-ups that classification needs."""

    def __init__(
        self,
        parameters: Sequence[Parameter],
        case: Mapping[str, Any],
        table: TensorTable,
        destinations: Mapping[str, str],
        quantized: bool,
    ) -> None:
        self.quantized = quantized
        self.case = case
        self.table = table
        self.tensors = table.stored()
        self.ghosts = {destinations.get(fault.name, fault.name): fault for fault in disagreements.ghosts(table)}
        self.wanted = [p for p in parameters if p.loadable and p.tied_to is None]
        self.tied = {p.name: p.tied_to for p in parameters if p.tied_to is not None}
        self.owner = {name: p for p in self.wanted for name in (p.name, *(part for part, _ in p.parts))}
        self.shapes = {p.name: p.stored_shape for p in self.wanted} | {n: s for p in self.wanted for n, s in p.parts}
        self.templates = _highest_numbers(self.owner)
        self.ended = next(iter(case["errors"]), "")

    def totals(self) -> Totals:
        coverage = self.case["parameters"]
        return Totals(
            tensors=len(self.tensors),
            parameters=len(self.wanted),
            elements=sum(coverage[p.name]["expected"] for p in self.wanted),
            filled=sum(coverage[p.name]["covered"] for p in self.wanted),
            mapped=sum(1 for tensor in self.tensors if self.case["tensors"][tensor.name]["filled"]),
        )

    def unfilled(self, tensor: TensorInfo) -> tuple[str, Finding]:
        """Which list a tensor that filled nothing belongs to, and why."""
        seen = self.case["tensors"][tensor.name]
        mapped, error = seen["mapped"], seen["error"]
        if _SIDE.search(tensor.name) and not self.quantized:
            said = "quantiser side tensor, but config.json names no quantisation: its weight would be read as it stands"
            return "unmapped", Finding(tensor.name, said, {"mapped_to": mapped})
        if error is not None:
            return self._refused(tensor, mapped, error)
        reason = self._purpose(tensor.name, mapped, seen["dropped"])
        if reason is not None:
            return "dropped", Finding(tensor.name, reason)
        said = f"not used when load_weights ended: {self.ended}" if self.ended else "skipped in silence by load_weights"
        return "unmapped", Finding(tensor.name, said, {"mapped_to": mapped})

    def _refused(self, tensor: TensorInfo, mapped: str, error: str) -> tuple[str, Finding]:
        expected = self.shapes.get(mapped)
        differs = expected is not None and tensor.shape is not None and expected != tensor.shape
        if differs or (expected is None and tensor.shape is not None and _SHAPE_ERROR.match(error)):
            detail: JSONObject = {
                "mapped_to": mapped,
                "got": list(tensor.shape or ()),
                "expected": list(expected) if expected is not None else None,
            }
            said = f"has shape {list(tensor.shape or ())}, the parameter takes {list(expected)}" if expected else error
            return "shape", Finding(tensor.name, said, detail)
        return "unmapped", Finding(tensor.name, error, {"mapped_to": mapped})

    def _purpose(self, name: str, mapped: str, dropped: bool) -> str | None:
        """Why a tensor is left out on purpose; None when nobody said so."""
        leaf = name.rpartition(".")[2]
        if leaf in RUN_TIME:
            return RUN_TIME[leaf]
        if dropped:
            return "dropped by the mapper"
        if mapped in self.tied:
            return f"tied to {self.tied[mapped]}"
        if _SIDE.search(name):
            return "quantiser side tensor"
        template, numbers = template_of(mapped)
        highest = self.templates.get(template)
        if highest is not None and any(n > high for n, high in zip(numbers, highest, strict=True)):
            return "layer beyond those that the model uses"
        return self._tower_tail(mapped)

    def _tower_tail(self, mapped: str) -> str | None:
        found = _TAIL.search(mapped)
        stem = mapped[: found.start()] if found else ""
        if stem and mapped not in self.owner and any(name.startswith(stem + ".") for name in self.owner):
            return "unused end of a tower that stops at an earlier layer"
        return None

    def dtype_clashes(self) -> Iterable[Finding]:
        """Integers, or packed floats, that landed in a plain floating-point parameter."""
        dtypes = {p.name: p.dtype for p in self.wanted}
        for tensor in self.tensors:
            for name in self.case["tensors"][tensor.name]["filled"]:
                kind = dtypes.get(name, "")
                fits = (None, *_FLOATS, *(_SMALL_FLOATS if "float8" in kind else ()))
                if tensor.dtype not in fits and "float" in kind:
                    detail: JSONObject = {"mapped_to": name, "got": tensor.dtype, "expected": kind}
                    yield Finding(tensor.name, f"{tensor.dtype} stored for a {kind} parameter", detail)

    def missing(self, misshapen: Sequence[Finding]) -> Iterable[Finding]:
        """Parameters without any source, unless a tensor meant for them is already listed for its shape."""
        for parameter in self._not_blamed(misshapen):
            row = self.case["parameters"][parameter.name]
            if row["expected"] and not row["covered"]:
                parts = [name for name, _ in parameter.parts]
                said = f"no checkpoint tensor fills this {'buffer' if parameter.kind == 'buffer' else 'parameter'}"
                said = self._index_reason(parameter) or said
                yield Finding(parameter.name, said, {"shape": list(parameter.shape), "filled_from": list(parts)})

    def _not_blamed(self, misshapen: Sequence[Finding]) -> Iterable[Parameter]:
        """One fault is told once: what a misshapen tensor should have filled is not reported again."""
        places = {str(finding.detail["mapped_to"]) for finding in misshapen}
        return (p for p in self.wanted if places.isdisjoint([p.name, *(name for name, _ in p.parts)]))

    def _index_reason(self, parameter: Parameter) -> str | None:
        """What the index promised for this parameter and no file holds."""
        names = (parameter.name, *(name for name, _ in parameter.parts))
        return next((disagreements.reason(self.ghosts[name]) for name in names if name in self.ghosts), None)

    def ghosts_without_parameter(self) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
        """Promised by the index alone, and no parameter stays empty for it: (nobody knows why, it is not needed)."""
        needed: list[Finding] = []
        harmless: list[Finding] = []
        for place, fault in self.ghosts.items():
            owner = self.owner.get(place)
            row = self.case["parameters"][owner.name] if owner else None
            why = "its parameter is filled all the same" if row else self._purpose(fault.name, place, False)
            if row is None or row["covered"] == row["expected"]:
                (harmless if why else needed).append(disagreements.finding(fault, why or ""))
        return tuple(needed), tuple(harmless)

    def partial(self, misshapen: Sequence[Finding]) -> Iterable[Finding]:
        """Parameters with some elements filled and others not; the parts that never came are named."""
        arrived = {row["mapped"] for row in self.case["tensors"].values() if row["filled"]}
        for parameter in self._not_blamed(misshapen):
            row = self.case["parameters"][parameter.name]
            if 0 < row["covered"] < row["expected"]:
                absent = [name for name, _ in parameter.parts if name not in arrived]
                said = f"{row['covered']} of {row['expected']} elements filled"
                said = "; ".join(filter(None, (said, self._index_reason(parameter))))
                yield Finding(parameter.name, said, {"absent": list(absent), "covered": row["covered"]})

    def duplicates(self) -> Iterable[Finding]:
        """One place claimed twice: by two tensors, or by one name in two files."""
        for parameter in self.wanted:
            claims = {name for pair in self.case["parameters"][parameter.name]["clashes"] for name in pair}
            if claims:
                said = f"filled twice, by {', '.join(sorted(claims))}"
                yield Finding(parameter.name, said, {"sources": sorted(claims)})
        yield from disagreements.stored_twice(self.table)


def _highest_numbers(names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    highest: dict[str, tuple[int, ...]] = {}
    pick: Callable[[int, int], int] = max
    for name in names:
        template, numbers = template_of(name)
        known = highest.get(template, numbers)
        highest[template] = tuple(map(pick, known, numbers))
    return highest

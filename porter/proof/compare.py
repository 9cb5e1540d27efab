"""The verdict on a comparison: from rows of numbers to passed, failed or unproven, with the first difference named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from porter.jsontypes import JSON, JSONObject

TOLERANCE = 3e-5
"""Largest difference of a logprob (absolute) and of image embeddings (relative): float32 rounding stays below it."""
NEVER_PROVEN = ("tensor parallelism", "CUDA kernels", "quantisation", "the real weights")

Status = Literal["passed", "failed", "unproven", "skipped"]


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt under one set of weights. None = could not be compared."""

    set: str
    prompt: str
    ids_equal: bool | None
    greedy_equal: bool | None
    max_logprob_diff: float | None
    embed_diff: float | None
    ids: tuple[int, int] | None = None
    has_embeds: tuple[bool, bool] = (False, False)

    @classmethod
    def from_json(cls, row: JSONObject) -> Row:
        ids, embeds = row.get("ids"), row.get("has_embeds")
        lengths = [value for value in ids if isinstance(value, int)] if isinstance(ids, list) else []
        known = [value is True for value in embeds] if isinstance(embeds, list) else [False, False]
        return cls(
            set=str(row["set"]),
            prompt=str(row["prompt"]),
            ids_equal=_bool(row.get("ids_equal")),
            greedy_equal=_bool(row.get("greedy_equal")),
            max_logprob_diff=_float(row.get("max_logprob_diff")),
            embed_diff=_float(row.get("embed_diff")),
            ids=(lengths[0], lengths[1]) if len(lengths) == 2 else None,
            has_embeds=(known[0], known[1]),
        )


@dataclass(frozen=True, slots=True)
class Parity:
    """What was compared and what came out; `not_proven` is never empty."""

    status: Status
    detail: str
    rows: tuple[Row, ...] = ()
    seeds: Mapping[str, int] | None = None
    not_proven: tuple[str, ...] = NEVER_PROVEN
    reference: JSONObject | None = None

    def to_json(self) -> JSONObject:
        rows: list[JSON] = [
            {
                "set": row.set,
                "prompt": row.prompt,
                "ids_equal": row.ids_equal,
                "greedy_equal": row.greedy_equal,
                "max_logprob_diff": row.max_logprob_diff,
                "embed_diff": row.embed_diff,
            }
            for row in self.rows
        ]
        return {
            "status": self.status,
            "detail": self.detail,
            "ids_equal": _all([row.ids_equal for row in self.rows]),
            "greedy_equal": _all([row.greedy_equal for row in self.rows]),
            "max_logprob_diff": _largest([row.max_logprob_diff for row in self.rows]),
            "embed_diff": _largest([row.embed_diff for row in self.rows]),
            "weights": [*(self.seeds or {})],
            "seeds": [*(self.seeds or {}).values()],
            "not_proven": [*self.not_proven],
            "tolerance": TOLERANCE,
            "rows": rows,
            "reference": self.reference,
        }


def judge(
    rows: Sequence[Row],
    *,
    seeds: Mapping[str, int],
    not_proven: Sequence[str] = (),
    reference: JSONObject | None = None,
    tolerance: float = TOLERANCE,
) -> Parity:
    """Passed only when every row was compared and none differs."""
    faults = [fault for fault in (row_fault(row, tolerance) for row in rows) if fault is not None]
    proven = (*NEVER_PROVEN, *not_proven)
    if not rows:
        return Parity("unproven", "nothing was compared", (), seeds, proven, reference)
    if faults:
        differs = [fault for fault in faults if fault[0] == "failed"]
        status, detail = (differs or faults)[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        return Parity(status, detail + more, tuple(rows), seeds, proven, reference)
    largest = _largest([row.max_logprob_diff for row in rows]) or 0.0
    embeds = _largest([row.embed_diff for row in rows])
    shown = f", image embeddings {embeds:.1e}" if embeds is not None else ""
    detail = f"{len(rows)} comparisons: ids and greedy tokens equal, logprobs within {largest:.1e}{shown}"
    missing = () if embeds is not None else ("image embeddings on their own",)
    return Parity("passed", detail, tuple(rows), seeds, (*proven, *missing), reference)


def row_fault(row: Row, tolerance: float) -> tuple[Status, str] | None:
    """The first difference of one row in the order of the computation: ids, image features, logprobs, tokens."""
    where = f"prompt {row.prompt}, {row.set} weights"
    if row.ids_equal is None:
        return "unproven", f"{where}: one side gave no result"
    if not row.ids_equal:
        lengths = f" ({row.ids[0]} in the reference, {row.ids[1]} in vLLM)" if row.ids else ""
        return "failed", f"{where}: prompt token ids differ{lengths}"
    if all(row.has_embeds) and row.embed_diff is None:
        return "failed", f"{where}: image embeddings differ in shape"
    if row.embed_diff is not None and not row.embed_diff <= tolerance:
        return "failed", f"{where}: image embeddings differ by {row.embed_diff:.1e} (pixels, tower or connector)"
    if row.max_logprob_diff is None:
        return "failed", f"{where}: logprobs are not numbers"
    if row.max_logprob_diff > tolerance:
        where += " (image embeddings equal)" if row.embed_diff is not None else ""
        return "failed", f"{where}: logprobs differ by {row.max_logprob_diff:.1e}"
    if not row.greedy_equal:
        return "failed", f"{where}: greedy tokens differ"
    return None


def _all(values: Sequence[bool | None]) -> bool | None:
    return all(values) if values and None not in values else None


def _largest(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None


def _bool(value: JSON) -> bool | None:
    return value if isinstance(value, bool) else None


def _float(value: JSON) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None

"""The verdict on a comparison: from rows of numbers to passed, failed or unproven, with the first difference named.

`porter.proof.stages` finds the stage at which the two computations part, `porter.proof.causes` what it may come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from porter.jsontypes import JSON, JSONObject, as_float
from porter.proof.causes import causes
from porter.proof.stages import Place, Shape, Stage, earliest, first_difference, shapes_of, stages_of, summary

TOLERANCE = 3e-5
"""Largest difference of a logprob (absolute) and of image embeddings (relative): float32 rounding stays below it."""
NEVER_PROVEN = ("tensor parallelism", "CUDA kernels", "quantisation", "the real weights")

Status = Literal["passed", "failed", "unproven", "skipped", "error"]


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
    embed_shapes: tuple[Shape | None, Shape | None] = (None, None)

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
            max_logprob_diff=as_float(row.get("max_logprob_diff")),
            embed_diff=as_float(row.get("embed_diff")),
            ids=(lengths[0], lengths[1]) if len(lengths) == 2 else None,
            has_embeds=(known[0], known[1]),
            embed_shapes=shapes_of(row.get("embed_shapes")),
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
    stages: tuple[Stage, ...] = ()
    first_difference: Stage | None = None
    causes: tuple[str, ...] = ()
    prompts: tuple[JSONObject, ...] = ()

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
            "stages": [stage.to_json() for stage in self.stages],
            "first_difference": self.first_difference.to_json() if self.first_difference else None,
            "causes": [*self.causes],
            "prompts": [*self.prompts],
        }


def judge(
    rows: Sequence[Row],
    *,
    seeds: Mapping[str, int],
    not_proven: Sequence[str] = (),
    reference: JSONObject | None = None,
    tolerance: float = TOLERANCE,
    places: Sequence[JSONObject] = (),
    facts: Mapping[str, JSON] | None = None,
) -> Parity:
    """Passed only when every row was compared and none differs.

    `places` are the rows of `porter/workers/differences.py`; they never change the verdict, they tell where it comes
    from. `facts` by name are shown beside the causes.
    """
    verdict = _verdict(rows, seeds, not_proven, reference, tolerance)
    traces = traced(rows, places)
    stages = tuple(summary(stage for trace in traces for stage in trace)) if places else ()
    first = earliest(map(first_difference, traces)) if verdict.status == "failed" else None
    if first is None:
        return replace(verdict, stages=stages)
    likely = causes(first, facts)
    detail = f"{verdict.detail}; first stage that differs: {first.line()}"
    detail += f"; likeliest: {likely[0]}" if likely else ""
    return replace(verdict, detail=detail, stages=stages, first_difference=first, causes=likely)


def _verdict(
    rows: Sequence[Row],
    seeds: Mapping[str, int],
    not_proven: Sequence[str],
    reference: JSONObject | None,
    tolerance: float,
) -> Parity:
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
    alone = embeds is not None and all(all(row.has_embeds) for row in rows if any(row.has_embeds))
    missing = () if alone else ("image embeddings on their own",)
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


def traced(rows: Sequence[Row], places: Sequence[JSONObject]) -> list[list[Stage]]:
    """The stages of every compared prompt: what was recorded of it between its ids and its logits."""
    found: dict[tuple[str, str], list[Place]] = {}
    for place in places:
        found.setdefault((str(place.get("set")), str(place.get("prompt"))), []).append(Place.from_json(place))
    return [stages_of(_way(row, found.get((row.set, row.prompt), [])), row.set, row.prompt) for row in rows]


def _way(row: Row, between: Sequence[Place]) -> list[Place]:
    seen: tuple[Shape | None, Shape | None] = ((), ()) if row.ids_equal is not None else (None, None)
    lengths = ((row.ids[0],), (row.ids[1],)) if row.ids else seen
    ids = Place("prompt", "out", "ids", shapes=lengths, rel_diff=0.0 if row.ids_equal else None, signs=_lengths(row))
    known = row.embed_shapes if None not in row.embed_shapes or not all(row.has_embeds) else ((), ())
    features = Place("features", "out", "features", shapes=known, rel_diff=row.embed_diff, tolerance=TOLERANCE)
    logits = Place("logits", "out", "logits", shapes=seen if row.ids_equal else (None, None), tolerance=TOLERANCE)
    signs: dict[str, JSON] = {"nan": True} if row.max_logprob_diff is None else {}
    logits = replace(logits, rel_diff=row.max_logprob_diff, max_diff=row.max_logprob_diff, signs=signs)
    return [ids, *between, features, logits]


def _lengths(row: Row) -> dict[str, JSON]:
    return {"rows": [*row.ids]} if row.ids else {}


def _all(values: Sequence[bool | None]) -> bool | None:
    return all(values) if values and None not in values else None


def _largest(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None


def _bool(value: JSON) -> bool | None:
    return value if isinstance(value, bool) else None

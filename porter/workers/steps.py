"""Two answers to one prompt side by side: each {ids, tokens, logprobs} as arrays, step by step while they agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


def answer(arrays: Any, prompt: str) -> dict[str, Any]:
    """What a prompt answered, out of the arrays of a results file."""
    return {key: arrays[f"{prompt}.{key}"] for key in ("ids", "tokens", "logprobs")}


@dataclass(frozen=True)
class Step:
    """`number` counts from 1; `gap` is the largest difference of a logprob; `tokens` are those of either side.

    `lead` is how much likelier the first side finds its own token than the other's.
    """

    number: int
    gap: float
    tokens: tuple[int, int]
    lead: float


def steps(left: Any, right: Any) -> Iterator[Step]:
    """Those that stand on the same context: all up to the one at which the greedy tokens part."""
    for index, (one, other) in enumerate(zip(left["tokens"], right["tokens"], strict=False)):
        row = left["logprobs"][index]
        lead = float(row[one]) - float(row[other]) if other < len(row) else float("inf")
        yield Step(index + 1, distance(row, right["logprobs"][index]), (int(one), int(other)), lead)
        if one != other:
            return


def distance(left: Any, right: Any) -> float:
    """The largest difference of two rows of logprobs; columns beyond the shorter are padding."""
    import numpy as np

    size = min(len(left), len(right))
    a, b = (row[:size].astype(np.float64) for row in (left, right))
    with np.errstate(invalid="ignore"):
        gaps = np.where(a == b, 0.0, np.abs(a - b))
    return float(np.nan_to_num(gaps, nan=np.inf).max()) if size else float("inf")


def farthest(left: Any, right: Any) -> float:
    """The largest gap of all their steps; infinite where one answer is shorter than the other."""
    if len(left["tokens"]) != len(right["tokens"]):
        return float("inf")
    return max((step.gap for step in steps(left, right)), default=0.0)


def fault(where: str, left: Any, right: Any, tolerance: float, before: str) -> str:
    """What the second answer has otherwise than the first, which was given `before`; "" when there is nothing.

    A token may differ only where two are as likely, within the tolerance.
    """
    import numpy as np

    if not np.array_equal(left["ids"], right["ids"]):
        return f"{where} has {len(right['ids'])} prompt tokens, {before} {len(left['ids'])}, or others"
    if len(left["tokens"]) != len(right["tokens"]):
        return f"{where} answers {len(right['tokens'])} tokens, {before} {len(left['tokens'])}"
    for step in steps(left, right):
        if step.gap > tolerance:
            return f"{where}: logprobs of step {step.number} are {step.gap:.1e} from those {before}"
        if step.tokens[0] != step.tokens[1] and not abs(step.lead) <= tolerance:
            return f"{where} answers token {step.tokens[1]} at step {step.number}, {before} {step.tokens[0]}"
    return ""

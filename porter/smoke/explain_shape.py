"""One error that people meet when they port a model to vLLM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rank = Literal["cause", "vague", "consequence"]


@dataclass(frozen=True, slots=True)
class Shape:
    """`words` are searched in an exception's message; `types` are its class names, empty = any or none.

    Named groups of `words` may stand in `cause` in braces. `frame` is searched in the innermost line of code. `vague`
    shapes come after the others, a `consequence` only where the log tells of nothing else.
    """

    name: str
    words: str
    cause: str
    change: str
    rung: str
    threads: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    frame: str = ""
    rank: Rank = "cause"

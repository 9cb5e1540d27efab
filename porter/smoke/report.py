"""What a smoke test answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from porter.jsontypes import JSON, JSONObject
from porter.proof.compare import Parity

RungStatus = Literal["passed", "failed", "skipped", "unproven", "error"]


@dataclass(frozen=True, slots=True)
class Rung:
    """One check. `detail` is one line: what was seen, why it failed, or why it did not run."""

    name: str
    status: RungStatus
    detail: str
    seconds: float = 0.0

    def to_json(self) -> JSONObject:
        return {"name": self.name, "status": self.status, "detail": self.detail, "seconds": round(self.seconds, 2)}


@dataclass(frozen=True, slots=True)
class SmokeReport:
    """All rungs in order. `engine` holds versions and figures; `parity` is None when it was not asked for."""

    device: str | None
    engine: JSONObject
    rungs: tuple[Rung, ...]
    parity: Parity | None = None
    shrunk: tuple[tuple[str, JSON, JSON], ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Nothing failed; skipped and unproven rungs are not failures."""
        return all(rung.status not in ("failed", "error") for rung in self.rungs)

    @property
    def complete(self) -> bool:
        """Every rung passed (`--strict`)."""
        return all(rung.status == "passed" for rung in self.rungs)

    def to_json(self) -> JSONObject:
        return {
            "device": self.device,
            "engine": self.engine,
            "rungs": [rung.to_json() for rung in self.rungs],
            "parity": self.parity.to_json() if self.parity is not None else None,
            "shrunk": [[path, old, new] for path, old, new in self.shrunk],
        }

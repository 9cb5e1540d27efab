"""Whether the engine that was asked for can be started here: the device, the processes, the memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from porter.errors import WorkerError
from porter.facts.reading import RepoReading
from porter.jsontypes import JSONObject
from porter.process import WorkerSettings, run_worker
from porter.smoke.devices import EngineChoice, Fit, Machine, chosen, fit
from porter.smoke.estimate import Load, sizes_of
from porter.smoke.model import ModelFolder

BATCH_TOKENS = 2048
"""The least that one step of the ladder's engine takes in tokens."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """`blocked`: rung -> why it cannot run here. `device` and `memory` are None where nothing was asked."""

    device: str | None = None
    blocked: Mapping[str, str] = field(default_factory=dict)
    memory: Fit | None = None
    command: tuple[str, ...] = ()

    def to_json(self) -> JSONObject:
        return {
            "estimate": self.memory.to_json() if self.memory else None,
            "command": " ".join(self.command) or None,
        }


def fitting(reading: RepoReading, settings: WorkerSettings, choice: EngineChoice, model: ModelFolder) -> Fitting:
    """A plain choice runs on whatever there is, and nothing is asked of the machine."""
    if choice.plain:
        return Fitting(blocked=model.blocked)
    try:
        machine = Machine.from_json(run_worker("machine", {}, settings=settings))
    except WorkerError:
        return Fitting(blocked=model.blocked)  # the engine worker will say what is wrong with this interpreter
    device = chosen(choice, machine)
    command = choice.command(reading.snapshot.repo.id, model.max_model_len, device.device)
    if device.why_not:
        return Fitting(device.device, {_first(choice): device.why_not, **model.blocked}, command=command)
    memory = _memory(reading, choice, machine, device.device, model)
    blocked = {"load": memory.why_not} if memory is not None and memory.why_not else {}
    return Fitting(device.device, {**blocked, **model.blocked}, memory, command)


def _first(choice: EngineChoice) -> str:
    """The rung that a missing device takes away: with tiny weights only the one that spreads them."""
    spread = choice.device != "cuda" and choice.weights == "tiny" and choice.world > 1
    return ("tp" if choice.tp > 1 else "pp") if spread else "load"


def _memory(
    reading: RepoReading, choice: EngineChoice, machine: Machine, device: str, model: ModelFolder
) -> Fit | None:
    """At full size alone: the tiny twin fits everywhere. None when the repo states too little."""
    sizes = sizes_of(reading) if choice.weights != "tiny" else None
    if sizes is None:
        return None
    batch = max(model.max_model_len, BATCH_TOKENS)
    load = Load(model.max_model_len, batch, device, tp=choice.tp, pp=choice.pp)
    return fit(choice, machine, device, sizes, load)

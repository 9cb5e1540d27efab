"""Many states of one checkpoint, joined with a real port in one worker."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porter.hub.snapshot import TensorInfo
from porter.process import WorkerSettings, plugin_path, run_worker
from porter.weights.infer import targets_of
from porter.weights.join import Parameter, parameters_of, report_of
from porter.weights.report import WeightsReport
from tests.weights.faults import CONFIG, NAMES, Fault, Tensors
from tests.weights.tables import as_read


@dataclass(frozen=True)
class Joined:
    """`good` are the headers with nothing wrong; `answers` by the name of the case."""

    parameters: tuple[Parameter, ...]
    good: Tensors
    settings: WorkerSettings
    answers: Mapping[str, Any]

    def report(self, case: str, tensors: Tensors) -> WeightsReport:
        return report_of(self.parameters, self.answers[case], as_read(tensors))


def join(folder: Path, cases: Mapping[str, Fault]) -> Joined:
    """All cases, in one worker. `folder` is scratch."""
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    plugin = plugin_path(Path(__file__).parent, "fixture_port", folder)
    settings = WorkerSettings(sys.executable, folder, folder / "log.txt", path=plugin)
    payload: dict[str, Any] = {"model": str(folder / "model"), "dtype": "bfloat16", "trust_remote_code": False}
    parameters = parameters_of(run_worker("parameters", payload, settings=settings))
    good = [
        TensorInfo(stored(t.name), "model.safetensors", "BF16", t.shape) for t in targets_of(parameters) if t.required
    ]
    tables = [fault.change(good) for fault in cases.values()]
    payload["cases"] = [[[t.name, t.dtype, list(t.shape or ())] for t in tensors] for tensors in tables]
    answer: Any = run_worker("join", payload, settings=settings)
    return Joined(parameters, good, settings, dict(zip(cases, answer["cases"], strict=True)))


def stored(name: str) -> str:
    """The checkpoint's name of a parameter."""
    for ours, theirs in NAMES.items():
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    return name

"""Running the ladder on the bundled example, and faults to put into its port."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from porter.facts import infer
from porter.hub import snapshot_of
from porter.process import WorkerSettings
from porter.smoke.ladder import smoke_test
from porter.smoke.report import Rung, SmokeReport
from porter.smoke.subject import SmokeOptions, Subject

EXAMPLE = Path(__file__).parents[2] / "examples" / "skylark-vl"
NEEDS_VLLM = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="this interpreter has no vLLM"),
]


def climb(port: Path, room: Path, options: SmokeOptions) -> SmokeReport:
    reading = infer(snapshot_of(str(EXAMPLE), revision=None, offline=True))
    settings = WorkerSettings(sys.executable, room / "scratch", room / "worker.log")
    return smoke_test(Subject(reading, (port, "skylark_vl")), settings, options)


def statuses(report: SmokeReport) -> dict[str, str]:
    return {rung.name: rung.status for rung in report.rungs}


def rung(report: SmokeReport, name: str) -> Rung:
    return next(rung for rung in report.rungs if rung.name == name)


def faulty(port: Path, out: Path, *edits: tuple[str, str]) -> Path:
    """A copy of the port whose model file has mistakes in it: (text as generated, text with the mistake)."""
    shutil.copytree(port, out)
    path = out / "skylark_vl" / "modeling.py"
    text = path.read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, f"the model file no longer says {old!r}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return out

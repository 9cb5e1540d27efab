"""Faults in a port, each caught at the rung that is for it, with a detail that names it.

All ladders run as forks of one process that has vLLM imported.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from porter import process
from porter.commands.new_model import NewModelRequest, new_model
from porter.commands.session import Settings
from porter.facts import infer
from porter.facts.reading import RepoReading
from porter.hub import snapshot_of
from porter.process import WorkerSettings
from porter.smoke.ladder import smoke_test
from porter.smoke.report import SmokeReport
from porter.smoke.rungs import ON_REQUEST, OWN_RUNGS, RUNGS
from porter.smoke.subject import SmokeOptions, Subject
from tests.hub.repos import sparse_file
from tests.smoke.climbing import EXAMPLE, NEEDS_VLLM, statuses
from tests.smoke.planted import FAULTS, Fault
from tests.variants import variant
from tests.warm import warm

pytestmark = NEEDS_VLLM
CONTROL = Fault("nothing", "batch", (), ())
TO_THE_END = replace(
    next(fault for fault in FAULTS if fault.name == "a wrong context token"), name="to the end", rung="parity"
)
AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Base:
    """A repo with the header of a checkpoint, and the port that porter wrote for it."""

    reading: RepoReading
    port: Path


def base(name: str, room: Path) -> Base:
    repo, port = room / "repos" / name, room / "ports" / name
    if name == "siskin":
        variant("siskin-siglip").build(repo)
    else:
        shutil.copytree(EXAMPLE, repo, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    settings = WorkerSettings(sys.executable, room / "saved" / name, room / "saved" / "log")
    saved = process.run_worker("checkpoint", {"model": str(repo), "native": False}, settings=settings)["tensors"]
    rows = cast("list[tuple[str, list[int]]]", saved)
    sparse_file(repo / "model.safetensors", [(tensor, tuple(shape)) for tensor, shape in rows])
    asked = Settings(python=sys.executable, offline=True)
    made = new_model(NewModelRequest(str(repo), asked, plugin=port, yes=True, smoke=False, trust=True))
    assert made.error is None, made.error
    return Base(infer(snapshot_of(str(repo), revision=None, offline=True)), port)


def up_to(name: str) -> tuple[str, ...]:
    """Every rung before `name` and itself: a fault may not fail an earlier one."""
    names = list(RUNGS)
    asked = names[: names.index(name) + 1]
    return tuple(other for other in asked if other == name or other not in (*ON_REQUEST, *OWN_RUNGS))


def climbed(fault: Fault, base: Base, room: Path) -> SmokeReport:
    port = fault.plant(base.port, room / "port")
    settings = WorkerSettings(sys.executable, room / "s", room / "worker.log")
    options = SmokeOptions(rungs=up_to(fault.rung), trust=True, parity=fault.rung == "parity")
    return smoke_test(Subject(base.reading, (port, fault.base)), settings, options)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, SmokeReport]]:
    room = tmp_path_factory.mktemp("p")
    faults = (*FAULTS, CONTROL, TO_THE_END)
    with warm(room, together=AT_ONCE), ThreadPoolExecutor(AT_ONCE) as pool:
        bases = {name: base(name, room) for name in {fault.base for fault in faults}}
        rooms = [room / str(number) for number in range(len(faults))]
        made = pool.map(lambda fault, place: climbed(fault, bases[fault.base], place), faults, rooms)
        yield {fault.name: report for fault, report in zip(faults, made, strict=True)}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_caught_at_its_rung_and_named(fault: Fault, reports: Mapping[str, SmokeReport]) -> None:
    bad = [rung for rung in reports[fault.name].rungs if rung.status in ("failed", "error")]
    assert bad, f"not caught: {statuses(reports[fault.name])}"
    assert bad[0].name == fault.rung, (bad[0].name, bad[0].detail)
    assert all(words in bad[0].detail for words in fault.words), bad[0].detail
    earlier = [rung for rung in reports[fault.name].rungs if rung.name in up_to(fault.rung)[:-1]]
    assert {rung.status for rung in earlier} <= {"passed"}, statuses(reports[fault.name])


def test_a_wrong_context_token_is_also_a_difference_in_the_proof(reports: Mapping[str, SmokeReport]) -> None:
    report = reports[TO_THE_END.name]
    assert not report.ok and statuses(report)["tokens"] == "failed"
    assert report.parity is not None and report.parity.status == "failed"
    assert "ids differ" in report.parity.detail


def test_the_untouched_port_passes_the_same_rungs(reports: Mapping[str, SmokeReport]) -> None:
    report = reports[CONTROL.name]
    assert statuses(report) == dict.fromkeys(up_to("batch"), "passed"), [rung.detail for rung in report.rungs]


def test_there_are_enough_faults_of_every_kind() -> None:
    assert len(FAULTS) >= 20 and len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert {fault.rung for fault in FAULTS} >= {*up_to("batch")} - {"load"}

"""The ladder: from the config to a generated answer, and the comparison with the repo's own code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from porter.commands.session import Result, Settings, Silent, Talk, scratch
from porter.commands.subject import PortChoice, chosen_port, place_of, repo_of, tree_of
from porter.errors import UsageError
from porter.jsontypes import JSONObject
from porter.ports import Port
from porter.smoke.devices import PLAIN, EngineChoice
from porter.smoke.report import SmokeReport


@dataclass(frozen=True, slots=True)
class SmokeTestRequest:
    """`rungs` empty = those that run unasked; `image` is used in place of drawn pictures; `report` is a file for the
    JSON; `timeout` in seconds, of each rung; `engine`: device, weights, processes, LoRA and server."""

    choice: PortChoice
    settings: Settings
    rungs: Sequence[str] = ()
    parity: bool = True
    image: Path | None = None
    timeout: float = 600.0
    report: Path | None = None
    trust: bool = False
    engine: EngineChoice = PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeTestResult(Result):
    report: SmokeReport

    def to_json(self) -> JSONObject:
        return self.report.to_json()


def smoke_test(request: SmokeTestRequest, talk: Talk | None = None) -> SmokeTestResult:
    """Raises what reading the repo, the port or the tree raises; a worker that fails is a failed rung."""
    from porter.commands.proving import Bench, rung_notes, smoke
    from porter.commands.reading import read_repo
    from porter.overrides import with_recorded
    from porter.smoke.rungs import with_prerequisites
    from porter.smoke.subject import SmokeOptions

    talk = talk or Silent()
    with_prerequisites(request.rungs)
    port = chosen_port(request.choice)
    repo, commit = repo_of(request.choice, port)
    with scratch(request.settings) as room:
        bench = Bench(request.settings, room, talk, request.trust, request.timeout)
        tree = tree_of(port, request.settings, talk)
        place = place_of(port, tree, bench)
        reading = read_repo(repo, request.settings, talk, commit)
        reading = with_recorded(reading, port.manifest.get("overrides") if port else None)
        options = SmokeOptions(
            rungs=asked_rungs(request, port),
            trust=request.trust,
            parity=request.parity,
            image=request.image,
            on_event=rung_notes(talk),
            choice=request.engine,
        )
        report = smoke(reading, place, tree, bench, options)
    if request.report is not None:
        write_report(report, request.report)
    passed = report.complete if request.settings.strict else report.ok
    return SmokeTestResult(report=report, failed=not passed)


def asked_rungs(request: SmokeTestRequest, port: Port | None) -> tuple[str, ...]:
    """Those typed, else those that run unasked; and what the flags add."""
    from porter.smoke.rungs import DEFAULT, OWN_RUNGS

    engine = request.engine
    more = {"lora": engine.lora, "tp": engine.tp > 1, "pp": engine.pp > 1, "serve": engine.serve}
    own = OWN_RUNGS if port is not None and port.layout == "tree" else ()
    return (*(request.rungs or (*DEFAULT, *own)), *(name for name, asked in more.items() if asked))


def write_report(report: SmokeReport, path: Path) -> None:
    import json

    try:
        path.write_text(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--report {path} cannot be written: {error.strerror}") from error

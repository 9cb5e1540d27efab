"""Every checkpoint tensor against every parameter, from headers alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from porter.commands.session import Result, Settings, Silent, Talk, scratch
from porter.commands.subject import PortChoice, check_native, chosen_port, place_of, repo_of, tree_of
from porter.errors import TreeError
from porter.hub.snapshot import Snapshot, TensorTable
from porter.jsontypes import JSON, JSONObject
from porter.ports import Port
from porter.weights.report import WeightsReport

if TYPE_CHECKING:
    from porter.commands.proving import Bench


@dataclass(frozen=True, slots=True)
class CheckWeightsRequest:
    """`names_only` leaves shapes out; `also` are further checkpoints that the same port must take."""

    choice: PortChoice
    settings: Settings
    names_only: bool = False
    also: Sequence[str] = ()
    trust: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckWeightsResult(Result):
    """One report per repo, the port's own first."""

    reports: Sequence[tuple[str, WeightsReport]]

    def to_json(self) -> JSONObject:
        first, *others = [(name, report.to_json()) for name, report in self.reports]
        also: JSON = [{"repo": name, **body} for name, body in others]
        return {**{key: value for key, value in first[1].items() if key != "ok"}, "repo": first[0], "also": also}


def check_weights(request: CheckWeightsRequest, talk: Talk | None = None) -> CheckWeightsResult:
    """Raises HubError, RepoError, TargetError, TreeError or WorkerError."""
    from porter.commands.proving import Bench

    talk = talk or Silent()
    port = chosen_port(request.choice)
    repo, commit = repo_of(request.choice, port)
    wanted = ((repo, request.settings.revision or commit), *((other, None) for other in request.also))
    with scratch(request.settings) as room:
        check = _checker(request, port, Bench(request.settings, room, talk, request.trust), talk)
        reports = []
        for name, revision in wanted:
            snapshot = _snapshot(name, revision, request, talk)
            talk.note(f"check-weights: {snapshot.repo.id}")
            reports.append((snapshot.repo.id, check(snapshot)))
    unsure = request.settings.strict and any(report.names_only for _, report in reports)
    return CheckWeightsResult(reports=reports, failed=unsure or not all(report.ok for _, report in reports))


def _checker(
    request: CheckWeightsRequest, port: Port | None, bench: Bench, talk: Talk
) -> Callable[[Snapshot], WeightsReport]:
    """The port itself where there is a vLLM to build it; for names alone, without one, the names that it had."""
    from porter.commands.proving import weights
    from porter.weights.recorded import check_names

    try:
        tree = tree_of(port, request.settings, talk)
        place = place_of(port, tree, bench)
    except TreeError:
        if port is None or not request.names_only:
            raise
        return lambda snapshot: check_names(port, snapshot.tensors)

    def check(snapshot: Snapshot) -> WeightsReport:
        readable = snapshot.tensors.tensors and not snapshot.tensors.problems
        if port is None and readable:
            check_native(tree, snapshot)
        return weights(snapshot, place, bench)

    return check


def _snapshot(repo: str, revision: str | None, request: CheckWeightsRequest, talk: Talk) -> Snapshot:
    from porter.hub import snapshot_of

    talk.note(f"reading {repo}")
    found = snapshot_of(repo, revision=revision, offline=request.settings.offline)
    return replace(found, tensors=_names(found.tensors)) if request.names_only else found


def _names(table: TensorTable) -> TensorTable:
    """The table as an index would give it."""
    if table.source != "headers":
        return table
    return replace(table, source="index", tensors=tuple(replace(t, dtype=None, shape=None) for t in table.tensors))

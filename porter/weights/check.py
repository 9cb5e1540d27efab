"""A repo's checkpoint against a port or a class of vLLM's own: from headers, in one worker, without weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from porter.errors import BadHeader, RepoError
from porter.hub.snapshot import Snapshot, TensorTable
from porter.jsontypes import JSON, JSONObject
from porter.process import REMOTE_CODE_LIMITS, EventSink, Limits, WorkerSettings, plugin_path, run_worker
from porter.tiny.materialise import TinyFiles, materialise
from porter.weights.disagreements import ghosts
from porter.weights.infer import Target, infer_mapper, targets_of
from porter.weights.join import Parameter, parameters_of, report_of
from porter.weights.report import Finding, WeightsReport, summary

SHOWN_NAMES = 4
_NOT_FOR_A_MODEL = (".index.json", "tokenizer.json", "vocab.json", "added_tokens.json", "adapter_config.json")


@dataclass(frozen=True, slots=True)
class Against:
    """What the checkpoint is held against: a plugin (folder that contains the package, module), else vLLM's own class.

    `ported`: it is a port of porter's, not a class that vLLM brought. `config` replaces the repo's config.json;
    `trust`: the worker may execute the repo's code.
    """

    plugin: tuple[Path, str] | None = None
    ported: bool = True
    config: JSONObject | None = None
    trust: bool = False
    dtype: str = "auto"


def check_weights(
    snapshot: Snapshot, settings: WorkerSettings, against: Against, *, on_event: EventSink | None = None
) -> WeightsReport:
    """Every tensor and every parameter element accounted for.

    Raises RepoError when no tensor names are known, BadHeader when a file of the checkpoint cannot be loaded at all.
    """
    table = _sound(_named(snapshot))
    tensors: list[JSON] = [[t.name, t.dtype, None if t.shape is None else list(t.shape)] for t in table.stored()]
    unseen: list[JSON] = [fault.name for fault in ghosts(table)]
    answer = _run("join", snapshot, settings, against, {"tensors": tensors, "unseen": unseen}, on_event)
    parameters = parameters_of(answer)
    names_only = table.source != "headers"
    case = cast("list[JSONObject]", answer["cases"])[0]
    notes = names_notes(case) if names_only else ()
    places = cast("Mapping[str, str]", answer["destinations"])
    quantized = answer["quantization"] is not None
    found = report_of(parameters, case, table, destinations=places, quantized=quantized, notes=notes)
    report = replace(found, names_only=names_only)
    report = _with_names(_with_quantization(report, answer), answer, against.ported)
    return report if report.ok else _with_suggestion(report, table, parameters)


def names_notes(case: JSONObject) -> tuple[str, ...]:
    blind = ("a loader that computes with shapes cannot be followed to its end without them",) if case["errors"] else ()
    return ("shapes are not known: the names alone are checked", *blind)


def targets_for(
    snapshot: Snapshot, settings: WorkerSettings, against: Against, *, on_event: EventSink | None = None
) -> tuple[Target, ...]:
    """The names and shapes that a class accepts for this repo's config, from the class built on the meta device."""
    return targets_of(parameters_of(_run("parameters", snapshot, settings, against, {}, on_event)))


def _named(snapshot: Snapshot) -> TensorTable:
    if not snapshot.tensors.tensors:
        table = _sound(snapshot.tensors)
        said = "; ".join(table.notes) or "no safetensors file and no weight index"
        raise RepoError(f"{snapshot.repo.id}: the weights cannot be named: {said}", hint=unnamed_hint(snapshot))
    return snapshot.tensors


def _sound(table: TensorTable) -> TensorTable:
    if table.problems:
        more = f" (and {len(table.problems) - 1} more)" if len(table.problems) > 1 else ""
        raise BadHeader(f"{table.problems[0]}{more}", hint="fetch that file again, or give another --revision")
    return table


def unnamed_hint(snapshot: Snapshot) -> str | None:
    """What to give instead of a repo whose weights porter cannot name."""
    base = snapshot.json.get("adapter_config.json", {}).get("base_model_name_or_path")
    if isinstance(base, str) and any("adapter" in note for note in snapshot.tensors.notes):
        return f"the weights are in the model that was adapted: --repo {base}"
    if any(name.endswith(".gguf") for name in snapshot.listing):
        return "porter reads safetensors: give the repo that the GGUF files were made from"
    if snapshot.tensors.files:
        return "pickled weights without an index: save the model again as safetensors"
    return None


def _run(
    job: str,
    snapshot: Snapshot,
    settings: WorkerSettings,
    against: Against,
    extra: Mapping[str, JSON],
    on_event: EventSink | None,
) -> JSONObject:
    documents = {name: doc for name, doc in snapshot.json.items() if not name.endswith(_NOT_FOR_A_MODEL)}
    if against.config is not None:
        documents["config.json"] = against.config
    folder = settings.scratch / "full-size-model"
    materialise(snapshot, TinyFiles(documents, real_tokenizer=False), folder, trust=against.trust)
    path = plugin_path(*against.plugin, settings.scratch) if against.plugin else ()
    limits = REMOTE_CODE_LIMITS if against.trust and settings.limits == Limits() else settings.limits
    payload = {"model": str(folder), "trust_remote_code": against.trust, "dtype": against.dtype, **extra}
    return run_worker(
        job, payload, settings=replace(settings, path=(*path, *settings.path), limits=limits), on_event=on_event
    )


def _with_quantization(report: WeightsReport, answer: JSONObject) -> WeightsReport:
    method = answer.get("unquantized")
    if method is None:
        return report
    said = f"the checkpoint is quantised with {method}, which this vLLM lacks; its names were checked as plain weights"
    return replace(report, errors=(said, *report.errors))


def _with_names(report: WeightsReport, answer: JSONObject, ported: bool) -> WeightsReport:
    """Layers built under another name than their own: faults of a port that builds them, worth a line where a class of
    vLLM's does."""
    pairs = [(str(path), str(prefix)) for path, prefix in cast("list[list[str]]", answer["prefixes"])]
    found = [Finding(path, f"built with prefix={prefix}", {"prefix": prefix}) for path, prefix in pairs]
    listed = [(str(entry), str(place)) for entry, place in cast("list[list[str]]", answer["unmatched"])]
    found += [Finding(entry, f"the quantiser leaves out {place}, which names no layer") for entry, place in listed]
    if ported and not answer["inherited"]:
        return replace(report, prefix=tuple(found))
    lines = [f"{line.pattern} ({line.count}): {line.reason}" for line in summary(tuple(found))]
    return replace(report, notes=(*report.notes, *lines[:SHOWN_NAMES]))


def _with_suggestion(report: WeightsReport, table: TensorTable, parameters: tuple[Parameter, ...]) -> WeightsReport:
    """Adds the inferred mapper when it explains more than the port's own."""
    if not report.unmapped and not report.missing:
        return report
    dropped = {finding.name for finding in report.dropped}
    inferred = infer_mapper([t for t in table.stored() if t.name not in dropped], targets_of(parameters))
    left = len(inferred.unmapped) + len(inferred.missing)
    # Without shapes a likeness of words is all there is: only what leaves nothing over is worth showing.
    explains_more = left == 0 if report.names_only else left < len(report.unmapped) + len(report.missing)
    return replace(report, suggested_mapper=inferred.rules) if explains_more else report

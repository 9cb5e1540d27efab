"""`porter check-weights` and `porter smoke-test` on a terminal."""

from __future__ import annotations

from porter.commands.check_weights import CheckWeightsResult
from porter.commands.proving import rung_checks
from porter.commands.smoke_test import SmokeTestResult
from porter.console import Console
from porter.render.new_model import show_checks, show_proof
from porter.weights.report import LISTS, Bytes, WeightsReport, summary

UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def show_weights(console: Console, result: CheckWeightsResult) -> None:
    for name, report in result.reports:
        console.line(
            f"{name}: {'every tensor and every element accounted for' if report.ok else 'not all accounted for'}"
        )
        show_report(console, report)


def show_report(console: Console, report: WeightsReport) -> None:
    totals = report.totals
    console.line(f"  {totals.mapped} of {totals.tensors} tensors fill {totals.filled} of {totals.elements} elements")
    console.line(f"  {read_bytes(report.bytes)}")
    rows = [
        (name, line.pattern, str(line.count), line.reason) for name in LISTS for line in summary(report.findings(name))
    ]
    if rows:
        console.table(rows, ("list", "tensors", "count", "reason"))
    for line in (*report.errors, *report.notes):
        console.line(f"  {line}")
    if not report.ok:
        console.line(f"  vLLM's own loading says: {report.vllm_error or 'nothing, it loads without an error'}")
    if report.suggested_mapper:
        console.heading("A mapper that explains more")
        for kind, old, new in report.suggested_mapper.steps():
            console.line(f"  {kind}: {old!r} → {new!r}")


def read_bytes(read: Bytes) -> str:
    """What it cost to know this, beside what the weights themselves would have."""
    size = "of unknown size" if read.checkpoint is None else f"of {in_units(read.checkpoint)}"
    return f"{in_units(read.fetched)} fetched for headers, of a checkpoint {size}"


def in_units(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {UNITS[unit]}" if size >= 100 else f"{size:.3g} {UNITS[unit]}"


def show_smoke(console: Console, result: SmokeTestResult) -> None:
    console.line(f"device: {result.report.device or 'none'}")
    show_checks(console, rung_checks(result.report))
    show_proof(console, result.to_json())

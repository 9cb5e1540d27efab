"""`make bench`: faults in a checkpoint that porter tells of and vLLM's own loading does not, and mappers inferred."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from porter.weights.report import LISTS  # noqa: E402
from tests.weights.faults import FAULTS_OF_ONE  # noqa: E402
from tests.weights.fused import FORMS, inferred_for, right  # noqa: E402
from tests.weights.joined import Joined, join  # noqa: E402
from tests.weights.layouts import LAYOUTS  # noqa: E402
from tests.weights.renamings import RENAMINGS  # noqa: E402

CELL = 60


def faults(joined: Joined) -> Table:
    made = Table(title="one fault each in a checkpoint of 0.9 billion parameters")
    for column in ("fault", "porter check-weights", "vLLM's own loading"):
        made.add_column(column)
    for name, fault in FAULTS_OF_ONE.items():
        report = joined.report(name, fault.change(joined.good))
        lists = [f"{len(report.findings(kind))} {kind}" for kind in LISTS if report.findings(kind)]
        made.add_row(name, ", ".join(lists), (joined.answers[name]["vllm_error"] or "no error")[:CELL])
    return made


def mappers() -> Table:
    made = Table(title="weight mappers inferred: layouts x renamings, complete and every tensor in its place")
    for column in ("attention in the checkpoint", "cases", "right"):
        made.add_column(column)
    for form in FORMS:
        cases = [inferred_for(layout, form, renaming) for layout in LAYOUTS for renaming in RENAMINGS]
        made.add_row(form, str(len(cases)), str(sum(right(*case) for case in cases)))
    return made


def main() -> int:
    """Exit code 1 when a fault is in no list."""
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as scratch:
        joined = join(Path(scratch), FAULTS_OF_ONE)
    console.print(faults(joined))
    console.print(mappers())
    told = [joined.report(name, fault.change(joined.good)) for name, fault in FAULTS_OF_ONE.items()]
    return 0 if all(any(report.findings(kind) for kind in LISTS) for report in told) else 1


if __name__ == "__main__":
    sys.exit(main())

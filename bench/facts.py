"""`make bench`: how right porter's facts are on the generated repos, by fact and by axis of the generator."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.facts.generated import measure  # noqa: E402
from tests.facts.generated.repos import measured  # noqa: E402

SOUND, UNKNOWN = 0.97, 0.10


def table(title: str, rows: Mapping[str, measure.Figures]) -> Table:
    made = Table(title=title)
    for column in ("", "facts", "right", "unknown", "wrong", "wrong and certain", "right or unknown"):
        made.add_column(column, justify="right" if column else "left")
    for name, one in rows.items():
        counts = (one.total, one.right, one.open, one.wrong + one.certain, one.certain)
        made.add_row(name, *map(str, counts), f"{one.sound:.1%}")
    return made


def within(one: measure.Figures) -> bool:
    return one.sound >= SOUND and one.unknown <= UNKNOWN and not one.certain


def main() -> int:
    """Exit code 1 when a figure is over its limit."""
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as scratch:
        everything = measured(Path(scratch))
    total = measure.figures(everything)
    batches = {name: [one for one in everything if one.batch == name] for name in ("first", "second")}
    by_batch = {name: measure.figures(ones) for name, ones in batches.items() if ones}
    axes = {f"{axis}: {value}": one for (axis, value), one in measure.per_axis(everything).items()}
    console.print(table("by axis of the generator", axes))
    console.print(table("by fact", measure.per_fact(everything)))
    repos = len({one.repo for one in everything})
    console.print(table(f"facts of {repos} generated repos", {**by_batch, "all": total}))
    console.print(
        f"right or unknown {total.sound:.2%} (limit {SOUND:.0%}), unknown {total.unknown:.2%} (limit {UNKNOWN:.0%}), "
        f"wrong and certain {total.certain} (limit 0)"
    )
    return 0 if within(total) else 1


if __name__ == "__main__":
    sys.exit(main())

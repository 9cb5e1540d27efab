"""`make bench`: how long porter takes to start, and what it imports. Interleaved rounds, medians with their range."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = "examples/skylark-vl"
ROUNDS = 10
PYTHON = sys.executable
PORTER = [str(Path(PYTHON).parent / "porter")]
HEAVY = ("torch", "vllm", "transformers", "huggingface_hub")
HELP_IMPORTS = f"""
import contextlib, io, sys
sys.argv = ["porter", "--help"]
from porter.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print(" ".join(name for name in {HEAVY!r} if name in sys.modules))
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured command; `limit` in seconds, None where it is only there to compare with."""

    name: str
    command: tuple[str, ...]
    limit: float | None = None


FIGURES = (
    Figure('python -c "pass"', (PYTHON, "-c", "pass")),
    Figure('python -c "import typer"', (PYTHON, "-c", "import typer")),
    Figure("porter --help", (*PORTER, "--help"), 0.30),
    Figure(f"porter inspect {EXAMPLE}", (*PORTER, "inspect", EXAMPLE, "--offline", "--json"), 1.0),
)


@dataclass(frozen=True, slots=True)
class Taken:
    """One run in seconds; on a busy machine `cpu` tells what of `wall` was the command itself."""

    wall: float
    cpu: float


def run(command: Sequence[str]) -> Taken:
    before, start = children_cpu(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    return Taken(time.perf_counter() - start, children_cpu() - before)


def children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(figures: Sequence[Figure], rounds: int) -> dict[Figure, list[Taken]]:
    """One round to warm up, then `rounds` in which every command runs once."""
    times: dict[Figure, list[Taken]] = {figure: [] for figure in figures}
    for number in range(rounds + 1):
        for figure in figures:
            taken = run(figure.command)
            if number:
                times[figure].append(taken)
    return times


def imported_by_help() -> str:
    shown = subprocess.run([PYTHON, "-c", HELP_IMPORTS], cwd=ROOT, capture_output=True, text=True, check=True)
    return shown.stdout.strip()


def verdict(figure: Figure, wall: float) -> str:
    if figure.limit is None:
        return ""
    return "ok" if wall <= figure.limit else "over"


def report(times: dict[Figure, list[Taken]]) -> Table:
    table = Table(title=f"warm, {ROUNDS} interleaved rounds, seconds")
    for column in ("command", "wall, median", "range", "cpu, median", "limit", ""):
        table.add_column(column, justify="left" if column == "command" else "right")
    for figure, taken in times.items():
        walls = [one.wall for one in taken]
        limit = "" if figure.limit is None else f"{figure.limit:.2f}"
        cells = (f"{median(walls):.3f}", f"{min(walls):.3f} .. {max(walls):.3f}", f"{median(t.cpu for t in taken):.3f}")
        table.add_row(figure.name, *cells, limit, verdict(figure, median(walls)))
    return table


def main() -> int:
    """Exit code 1 when a median is over its limit or `--help` imports what it must not."""
    console = Console(width=110)
    times = measure(FIGURES, ROUNDS)
    heavy = imported_by_help()
    console.print(report(times))
    console.print(f"porter --help imports of {', '.join(HEAVY)}: {heavy or 'none'}")
    over = any(verdict(figure, median(one.wall for one in taken)) == "over" for figure, taken in times.items())
    return 1 if over or heavy else 0


if __name__ == "__main__":
    sys.exit(main())

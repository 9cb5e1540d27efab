"""`make bench`: copies of every original with one operator of a tower or connector changed: does any pass for a copy?

python bench/near_misses.py [FAMILY ...] [--each N] [--seed S]     no engine, no weights
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from porter.facts import infer  # noqa: E402
from porter.families import FAMILIES  # noqa: E402
from porter.families.twin.original import ORIGINALS, original  # noqa: E402
from porter.hub import snapshot_of  # noqa: E402
from porter.vllm_tree import locate  # noqa: E402
from porter.vllm_tree.tree import Tree  # noqa: E402
from tests.twins.whole import (  # noqa: E402
    UNLIKE_ITSELF,
    answered,
    chosen,
    code_blockers,
    default_configs,
    write_copy,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One family: how many changed copies, how many the port answers with a part of its own, which of them nothing was
    said against, seconds for one."""

    family: str
    made: int
    answered: int
    passed: tuple[str, ...]
    seconds: float


def tried(family: str, tree: Tree, each: int, seed: int, room: Path) -> Row | None:
    found = original(tree.package, ORIGINALS[family])
    if found is None or family in UNLIKE_ITSELF:
        return None
    config = default_configs([found.model_type])[found.model_type]
    passed, answers, began = [], 0, perf_counter()
    changes = chosen(found, each, seed)
    for number, (what, change) in enumerate(changes):
        folder = write_copy(found, config, room / f"{family}-{number}", change)
        match = FAMILIES[family].match(infer(snapshot_of(str(folder), revision=None, offline=True)), tree)
        answers += answered(match)
        if not code_blockers(match) and not answered(match):
            passed.append(what)
    return Row(family, len(changes), answers, tuple(passed), (perf_counter() - began) / max(1, len(changes)))


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 when a changed copy passes for the original."""
    parser = argparse.ArgumentParser(prog="bench/near_misses.py")
    parser.add_argument("families", nargs="*")
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(argv)
    tree = locate(None, None, None)
    with tempfile.TemporaryDirectory() as scratch:
        names = [name for name in ORIGINALS if name in (asked.families or ORIGINALS)]
        rows = [tried(name, tree, asked.each, asked.seed, Path(scratch)) for name in names]
    table = Table(title="copies with one operator changed")
    for column in ("family", "changed copies", "answered", "taken for the original", "seconds each"):
        table.add_column(column)
    for row in filter(None, rows):
        table.add_row(
            row.family, str(row.made), str(row.answered), "\n".join(row.passed) or "none", f"{row.seconds:.2f}"
        )
    Console(width=140).print(table)
    return 1 if any(row.passed for row in rows if row is not None) else 0


if __name__ == "__main__":
    sys.exit(main())

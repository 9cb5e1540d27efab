"""`make bench`: the untouched port of the bundled example under 20 seeds, both kinds of weights each.

`python bench/seeds.py [SEEDS]`. Exit code 1 when a seed does not pass. Engines are forks of one process.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from porter.commands.new_model import NewModelRequest, new_model  # noqa: E402
from porter.commands.session import Settings  # noqa: E402
from porter.facts import infer  # noqa: E402
from porter.hub import snapshot_of  # noqa: E402
from porter.process import WorkerSettings  # noqa: E402
from porter.proof.compare import Parity  # noqa: E402
from porter.smoke.ladder import smoke_test  # noqa: E402
from porter.smoke.subject import SmokeOptions, Subject  # noqa: E402
from tests.warm import warm  # noqa: E402

EXAMPLE = ROOT / "examples" / "skylark-vl"
SEEDS = 20
AT_ONCE = 2
FIRST = 100
"""Away from the seed that porter takes unasked; each proof uses its seed and the next."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof of one seed."""

    seed: int
    parity: Parity
    seconds: float


def prove(subject: Subject, seed: int, room: Path) -> Proof:
    start = time.monotonic()
    settings = WorkerSettings(sys.executable, room / "s", room / "worker.log")
    options = SmokeOptions(rungs=("text", "image", "parity"), trust=True, seed=seed)
    report = smoke_test(subject, settings, options)
    assert report.parity is not None
    shutil.rmtree(room)
    return Proof(seed, report.parity, time.monotonic() - start)


def proofs(count: int, room: Path) -> list[Proof]:
    port = room / "port"
    with warm(room, frozenset({"engine", "parameters", "checkpoint"}), AT_ONCE), ThreadPoolExecutor(AT_ONCE) as pool:
        asked = Settings(python=sys.executable, offline=True)
        made = new_model(NewModelRequest(str(EXAMPLE), asked, plugin=port, yes=True, smoke=False, trust=True))
        assert made.error is None, made.error
        subject = Subject(infer(snapshot_of(str(EXAMPLE), revision=None, offline=True)), (port, "skylark_vl"))
        seeds = range(FIRST, FIRST + 2 * count, 2)
        return list(pool.map(lambda seed: prove(subject, seed, room / str(seed)), seeds))


def table(found: list[Proof]) -> Table:
    made = Table(title="the untouched port of the example; each seed draws normal weights, the next one stress weights")
    for column in ("seed", "proof", "logprobs within", "embeddings within", "seconds"):
        made.add_column(column, justify="left" if column == "proof" else "right")
    for one in found:
        shown = one.parity.to_json()
        gaps = [f"{shown[name]:.1e}" if shown[name] is not None else "" for name in ("max_logprob_diff", "embed_diff")]
        said = one.parity.status if one.parity.status == "passed" else f"{one.parity.status}: {one.parity.detail}"
        made.add_row(str(one.seed), said, *gaps, f"{one.seconds:.1f}")
    return made


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="p-") as folder:
        found = proofs(count, Path(folder))
    console = Console(width=120)
    console.print(table(found))
    passed = sum(one.parity.status == "passed" for one in found)
    console.print(f"{passed} of {len(found)} seeds pass, {time.monotonic() - start:.0f} s")
    return int(passed < len(found))


if __name__ == "__main__":
    sys.exit(main())

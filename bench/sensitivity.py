"""`make bench`: single mistakes planted in a correct port: is each caught, and is the stage named where it was made?

`python bench/sensitivity.py [WORDS]`: only the mistakes whose names hold WORDS. The reference of a repo runs once; the
engines are forks of one process. Exit code 1 when a mistake is not caught or fewer than 20 have the right stage.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from mistakes import MISTAKES, Mistake  # noqa: E402

from porter import process  # noqa: E402
from porter.commands.new_model import NewModelRequest, new_model  # noqa: E402
from porter.commands.session import Settings  # noqa: E402
from porter.facts import infer  # noqa: E402
from porter.facts.reading import RepoReading  # noqa: E402
from porter.hub import snapshot_of  # noqa: E402
from porter.jsontypes import JSONObject  # noqa: E402
from porter.process import EventSink, WorkerSettings  # noqa: E402
from porter.proof.compare import Parity  # noqa: E402
from porter.smoke.ladder import smoke_test  # noqa: E402
from porter.smoke.subject import SmokeOptions, Subject  # noqa: E402
from tests.variants import variant  # noqa: E402
from tests.warm import exchange, warm  # noqa: E402

RIGHT = 20
AT_ONCE = 2
RUNGS = ("text", "image", "parity")
MODELS = {
    "skylark": ("SkylarkVLForCausalLM", "SkylarkVLImageProcessor"),
    "curlew": ("CurlewForCausalLM", "CurlewImageProcessor"),
}
UNTOUCHED = Mistake("nothing", "none", "import", "")


@dataclass(frozen=True, slots=True)
class Base:
    """A repo's reading and the port that porter wrote for it, in package `module`."""

    reading: RepoReading
    port: Path
    module: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the proof said about a mistake."""

    mistake: Mistake
    parity: Parity | None
    failed: str
    seconds: float

    @property
    def caught(self) -> bool:
        return bool(self.failed)

    @property
    def stage(self) -> str:
        first = self.parity.first_difference if self.parity else None
        return first.name if first else self.failed

    @property
    def right(self) -> bool:
        return self.stage == self.mistake.stage

    def gap(self) -> str:
        rows = self.parity.rows if self.parity else ()
        gaps = [row.max_logprob_diff for row in rows if row.max_logprob_diff is not None]
        return f"{max(gaps):.1e}" if gaps else "ids"


class KeptReference:
    """`run_worker` that answers a reference asked for again with a copy of the first one's results."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.run = process.run_worker
        self.kept: dict[str, tuple[Path, str]] = {}
        self.lock = threading.Lock()

    def __call__(
        self, job: str, payload: JSONObject, *, settings: WorkerSettings, on_event: EventSink | None = None
    ) -> JSONObject:
        if job != "reference":
            return self.run(job, payload, settings=settings, on_event=on_event)
        out = Path(str(payload["out"]))
        key = json.dumps({name: value for name, value in payload.items() if name not in ("model", "out")})
        with self.lock:
            if key not in self.kept:
                answer = self.run(job, payload, settings=settings, on_event=on_event)
                copy = self.room / f"reference-{len(self.kept)}"
                shutil.copytree(out, copy)
                self.kept[key] = copy, json.dumps(answer).replace(str(out), "{out}")
        copy, text = self.kept[key]
        shutil.copytree(copy, out, dirs_exist_ok=True)
        answer = json.loads(text.replace("{out}", str(out)))
        assert isinstance(answer, dict)
        return answer


def base(name: str, room: Path) -> Base:
    repo, port = room / "repos" / name, room / "ports" / name
    if name == "skylark":
        shutil.copytree(ROOT / "examples" / "skylark-vl", repo, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        variant("curlew-clip").build(repo)
    asked = Settings(python=sys.executable, offline=True)
    made = new_model(NewModelRequest(str(repo), asked, plugin=port, yes=True, smoke=False, trust=True))
    assert made.error is None, made.error
    (module,) = (path.parent.name for path in port.glob("*/modeling.py"))
    return Base(infer(snapshot_of(str(repo), revision=None, offline=True)), port, module)


def planted(mistake: Mistake, base: Base, out: Path) -> Path:
    shutil.copytree(base.port, out)
    path = out / base.module / "modeling.py"
    path.write_text(path.read_text(encoding="utf-8") + mistake.code(*MODELS[mistake.base]), encoding="utf-8")
    return out


def proved(mistake: Mistake, base: Base, room: Path) -> Found:
    start = time.monotonic()
    subject = Subject(base.reading, (planted(mistake, base, room / "port"), base.module))
    settings = WorkerSettings(sys.executable, room / "s", room / "worker.log")
    report = smoke_test(subject, settings, SmokeOptions(rungs=RUNGS, trust=True))
    bad = [rung.name for rung in report.rungs if rung.status != "passed"]
    return Found(mistake, report.parity, bad[0] if bad else "", time.monotonic() - start)


def results(mistakes: list[Mistake], room: Path) -> list[Found]:
    with warm(room, frozenset({"engine", "parameters", "checkpoint"}), AT_ONCE):
        kept = KeptReference(room)
        exchange(kept.run, kept)
        try:
            bases = {name: base(name, room) for name in {mistake.base for mistake in mistakes}}
            rooms = [room / str(number) for number in range(len(mistakes))]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                return list(pool.map(lambda one, place: proved(one, bases[one.base], place), mistakes, rooms))
        finally:
            exchange(kept, kept.run)


def table(found: list[Found]) -> Table:
    made = Table(title="one mistake in a correct port, against the same reference")
    for column in ("mistake", "caught", "stage named", "right", "logprobs off by", "seconds"):
        made.add_column(column, justify="right" if column in ("logprobs off by", "seconds") else "left")
    for one in found:
        right = "yes" if one.right else f"no: {one.mistake.stage}"
        made.add_row(one.mistake.name, "yes" if one.caught else "NO", one.stage, right, one.gap(), f"{one.seconds:.1f}")
    return made


def main() -> int:
    words = " ".join(sys.argv[1:])
    mistakes = [mistake for mistake in MISTAKES if words in mistake.name]
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="p-") as folder:
        untouched, *found = results([UNTOUCHED, *mistakes], Path(folder))
    console = Console(width=130)
    console.print(table(found))
    caught, right = (sum(getattr(one, name) for one in found) for name in ("caught", "right"))
    console.print(f"caught {caught} of {len(found)}, the right stage named for {right}")
    console.print(f"the untouched port: {'failed: ' + untouched.failed if untouched.caught else 'passed'}")
    console.print(f"{time.monotonic() - start:.0f} s")
    return int(untouched.caught or caught < len(found) or right < min(RIGHT, len(found)))


if __name__ == "__main__":
    sys.exit(main())

"""`make bench`: every made repo by family and variant: the verdict, the lines generated, the largest difference.

python bench/families.py [NAME ...] [--planned] [--vllm DIR]     --planned: no engine, nothing is proved
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from porter.facts import infer  # noqa: E402
from porter.families import FAMILIES  # noqa: E402
from porter.families.verdict import decide  # noqa: E402
from porter.hub import snapshot_of  # noqa: E402
from porter.planning.build import port_spec  # noqa: E402
from porter.vllm_tree import locate  # noqa: E402
from porter.vllm_tree.tree import Tree  # noqa: E402
from tests import twins  # noqa: E402
from tests.llava import REPOS, write_repo  # noqa: E402
from tests.twins import TWINS, native  # noqa: E402
from tests.variants import descendants, variants  # noqa: E402

MOST_LINES = 120
VARIANTS = 3
AT_ONCE = 2  # each is mostly one thread


@dataclass(frozen=True, slots=True)
class Case:
    """One made repo: `make` writes it with weights into a folder, `plan` without."""

    name: str
    plan: Callable[[Path], object]
    make: Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a case. `lines` are those of the model file, None without a port; `proved` is the largest
    difference in log-probabilities, or why there is none."""

    name: str
    family: str
    level: str
    lines: int | None = None
    overrides: int | None = None
    proved: str = ""


def cases() -> Iterator[Case]:
    """The tables of repos: whoever adds one adds it here."""
    for one in (*variants(), *descendants()):
        command = [sys.executable, "-m", "tests.variants", one.name, "--weights"]
        yield Case(one.name, one.build, partial(_written, command))
    for name, shape in REPOS.items():
        command = [sys.executable, "-m", "tests.llava", name, "--weights"]
        yield Case(name, partial(write_repo, shape), partial(_written, command))
    for twin in (twin for twin in TWINS.values() if native.has(twin.family.name)):
        command = [sys.executable, "-m", "tests.twins", twin.name, "--weights"]
        yield Case(twin.name, partial(twins.write_repo, twin), partial(_written, command))


def _written(command: Sequence[str], folder: Path) -> None:
    """Runs a writer of repos: `COMMAND OUT ...` makes OUT/NAME."""
    line = [*command[:3], str(folder.parent), *command[3:]]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True, text=True)


def planned(case: Case, tree: Tree, room: Path) -> tuple[Row, str]:
    """The verdict and the model file as the facts alone give it."""
    folder = room / case.name
    case.plan(folder)
    reading = infer(snapshot_of(str(folder), revision=None, offline=True))
    verdict = decide(reading, tree)
    match = verdict.match
    row = Row(case.name, match.family if match is not None else "", verdict.level)
    if verdict.level != "inherit" or match is None:
        return row, ""
    spec = port_spec(reading, verdict, tree)
    text = FAMILIES[match.family].model_file(spec, relative=False, own_config=True)
    return replace(row, lines=len(text.splitlines()), overrides=len(match.differences)), text


def proved(case: Case, row: Row, room: Path, vllm: Path | None) -> Row:
    """`new-model` from nothing to the proof; a repo that no family fits has no port to prove."""
    if row.level != "inherit":
        return row
    case.make(room / "made" / case.name)
    command = [sys.executable, "-m", "porter", "new-model", str(room / "made" / case.name), "--yes", "--json"]
    command += ["--plugin", str(room / "ports" / case.name), "--trust-remote-code"]
    command += ["--vllm", str(vllm)] if vllm is not None else []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    document: dict[str, Any] = json.loads(done.stdout or "{}")
    lines = sum(len(path.read_text().splitlines()) for path in (room / "ports" / case.name).glob("*/modeling.py"))
    return replace(row, lines=lines or row.lines, proved=_proof(document))


def _proof(document: dict[str, Any]) -> str:
    failed = [check["name"] for check in document.get("checks") or [] if check["status"] == "failed"]
    parity = (document.get("smoke") or {}).get("parity") or {}
    if failed or not parity.get("ids_equal"):
        return f"not proved: {', '.join(failed) or (document.get('error') or {}).get('message', 'no port')}"
    return f"{parity['max_logprob_diff']:.1e}"


def unclean(texts: dict[str, str], tree: Tree, room: Path) -> str:
    """What ruff says against the files, by the rules of the tree where it has them; "" when nothing."""
    for name, text in texts.items():
        (room / f"{name.replace('-', '_')}.py").write_text(text, encoding="utf-8")
    rules = next(path for path in (tree.package.parent / "pyproject.toml", ROOT / "pyproject.toml") if path.is_file())
    ruff = [sys.executable, "-m", "ruff"]
    settings = ["--config", str(rules), "--no-cache", "--config", 'lint.isort.known-first-party=["vllm"]']
    settings += ["--config", "line-length=88", "--extend-ignore", "INP001"]
    checked = subprocess.run([*ruff, "check", *settings, str(room)], capture_output=True, text=True, check=False)
    width = ["--config", str(rules), "--config", "line-length=88", "--no-cache"]
    shaped = subprocess.run(
        [*ruff, "format", "--check", *width, str(room)], capture_output=True, text=True, check=False
    )
    return "".join(done.stdout for done in (checked, shaped) if done.returncode)


def table(rows: Sequence[Row]) -> Table:
    shown = Table(title="made repos: what porter makes of each")
    for column in ("family", "variant", "verdict", "lines", "overrides", "largest difference"):
        shown.add_column(column, justify="right" if column in ("lines", "overrides") else "left")
    for row in rows:
        numbers = ["" if value is None else str(value) for value in (row.lines, row.overrides)]
        shown.add_row(row.family, row.name, row.level, *numbers, row.proved)
    return shown


def in_order(rows: Iterable[Row]) -> list[Row]:
    """By family as porter lists them, what fits none last."""
    places = {name: at for at, name in enumerate(FAMILIES)}
    return sorted(rows, key=lambda row: (places.get(row.family, len(places)), row.level != "inherit", row.name))


def few(rows: Sequence[Row]) -> str:
    """Families of which less than three variants were proved, with how many were."""
    counts = Counter({row.family: 0 for row in rows if row.level == "inherit"})
    counts.update(row.family for row in rows if row.proved and not row.proved.startswith("not"))
    return ", ".join(f"{name} ({count})" for name, count in counts.items() if count < VARIANTS) or "none"


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/families.py")
    parser.add_argument("names", nargs="*", help="only these variants")
    parser.add_argument("--planned", action="store_true", help="no engine: verdicts and lines only")
    parser.add_argument("--vllm", type=Path, help="the tree to plan for")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 when the median of the generated lines is over its limit, ruff complains, or a proof fails."""
    asked = arguments(argv)
    chosen = [case for case in cases() if not asked.names or case.name in asked.names]
    tree = locate(None, asked.vllm, None)
    with tempfile.TemporaryDirectory() as scratch:
        room = Path(scratch)
        made = [planned(case, tree, room / "planned") for case in chosen]
        rows = [row for row, _ in made]
        (room / "files").mkdir()
        said = unclean({row.name: text for row, text in made if text}, tree, room / "files")
        if not asked.planned:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                rows = list(pool.map(lambda pair: proved(*pair, room, asked.vllm), zip(chosen, rows, strict=True)))
    lines = [row.lines for row in rows if row.lines is not None]
    console = Console(width=140)
    console.print(table(in_order(rows)))
    console.print(f"lines of a model file: median {median(lines)}, most {max(lines)}; ruff: {said or 'clean'}")
    if not asked.planned:
        console.print(f"families with less than {VARIANTS} variants proved: {few(rows)}")
    return 1 if median(lines) > MOST_LINES or said or any(row.proved.startswith("not") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

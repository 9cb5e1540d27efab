"""Tokens a second of a generated port beside the hand-written class of vLLM that it builds on, on the same checkpoint.

python bench/speed.py [NAME ...] [--rounds N]

The repos differ from what the native class takes in names only, so that both load the same folder. Both engines live in
one process and are asked in turn, in many short pairs. Exit code 1 when a median ratio is below the limit, by the clock
that spreads less: on a busy machine that is the time of the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import cast

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

LIMIT = 0.98
ROUNDS = 400
TOKENS = 16
PROMPTS = 2
CLOCKS = ("wall", "cpu")
ASKED = """
import json, os, sys, time
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ["TORCHDYNAMO_DISABLE"] = "1"
import numpy as np
from PIL import Image
from vllm import LLM, SamplingParams

request = json.loads(sys.stdin.read())
sampling = SamplingParams(temperature=0.0, max_tokens=request["tokens"], ignore_eos=True, detokenize=False)
random = np.random.default_rng(0)
pictures = [Image.fromarray(random.integers(0, 256, (112, 84, 3), dtype=np.uint8)) for _ in range(request["prompts"])]
prompts = [{"prompt": request["text"], "multi_modal_data": {"image": picture}} for picture in pictures]
engines = {
    "port": LLM(**request["arguments"]),
    "native": LLM(**request["arguments"], hf_overrides={"architectures": [request["native"]]}),
}


def classes(llm):
    return llm.apply_model(lambda model: f"{type(model).__module__}.{type(model).__qualname__}")[0]


def taken(llm):
    wall, cpu = time.perf_counter(), time.process_time()
    made = llm.generate(prompts, sampling, use_tqdm=False)
    count = sum(len(one.outputs[0].token_ids) for one in made)
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return {name: count / seconds for name, seconds in spent.items()}, [list(one.outputs[0].token_ids) for one in made]


rows = []
for number in range(request["rounds"] + 1):
    order = sorted(engines, reverse=bool(number % 2))
    row = {name: taken(engines[name]) for name in order}
    if row["port"][1] != row["native"][1]:
        sys.exit("the port and the native class answer different tokens")
    if number:
        rows.append({name: figures for name, (figures, _) in row.items()})
print("TAKEN " + json.dumps({"classes": {name: classes(llm) for name, llm in engines.items()}, "rows": rows}))
"""
Rows = Sequence[Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Case:
    """A made repo: `writer` is the module that writes it, `native` the architecture that takes its checkpoint too."""

    name: str
    writer: str
    native: str


CASES = (
    Case("puffin-subclass", "tests.twins", "Qwen2VLForConditionalGeneration"),
    Case("teal-subclass", "tests.twins", "Mistral3ForConditionalGeneration"),
)


def run(command: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
    """A command of this Python, in the checkout; ends the bench with the last of what it said when it fails."""
    line = [sys.executable, *command]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise SystemExit(f"{' '.join(line[:4])}: {done.stderr[-3000:]}")
    return cast("subprocess.CompletedProcess[str]", done)


def measured(case: Case, room: Path, rounds: int) -> tuple[Mapping[str, str], Rows]:
    """(the classes that ran, tokens a second of both in each round)."""
    folder, port = room / case.name, room / "port" / case.name
    run(["-m", case.writer, str(room), case.name, "--weights"])
    command = ["-m", "porter", "new-model", str(folder), "--plugin", str(port), "--yes", "--no-smoke", "--quiet"]
    run([*command, "--trust-remote-code", "--offline"])
    request = {"tokens": TOKENS, "prompts": PROMPTS, "rounds": rounds, "native": case.native, "text": asked(folder)}
    request["arguments"] = arguments(folder)
    done = run(["-c", ASKED], input=json.dumps(request), env=environment(port, room))
    found = next(line for line in done.stdout.splitlines() if line.startswith("TAKEN "))
    answer = json.loads(found.removeprefix("TAKEN "))
    return answer["classes"], answer["rows"]


def asked(folder: Path) -> str:
    """A question about an image, as the ladder puts it."""
    from porter.facts import infer
    from porter.hub import snapshot_of
    from porter.smoke.inputs import prompts, sign_of

    return str(prompts(56, sign_of(infer(snapshot_of(str(folder), revision=None, offline=True))))[1]["text"])


def arguments(folder: Path) -> dict[str, object]:
    return {
        "model": str(folder),
        "dtype": "float32",
        "enforce_eager": True,
        "max_model_len": 1024,
        "max_num_batched_tokens": 2048,
        "max_num_seqs": PROMPTS,
        "enable_prefix_caching": False,
        "mm_processor_cache_gb": 0,
        "limit_mm_per_prompt": {"image": 1},
        "seed": 0,
        "disable_log_stats": True,
    }


def environment(port: Path, room: Path) -> dict[str, str]:
    """The port as a plugin, quiet and offline."""
    from porter.ports import load_port
    from porter.process import plugin_path

    path = os.pathsep.join(map(str, plugin_path(port, load_port(str(port)).module, room / "plugin" / port.name)))
    places = {"HF_HOME": str(room / "hf"), "VLLM_CACHE_ROOT": str(room / "vllm"), "PYTHONPATH": path}
    quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    return {**os.environ, **places, **quiet, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


def ratios(rows: Rows, clock: str) -> list[float]:
    """Port over native, pair by pair."""
    return [row["port"][clock] / row["native"][clock] for row in rows]


def table(rounds: int) -> Table:
    made = Table(title=f"a port beside the class it builds on: {rounds} interleaved pairs, tokens a second")
    for column in ("repo", "native class", "native", "port", "ratio, median", "quartiles", "by cpu time", "quartiles"):
        made.add_column(column, justify="left" if "class" in column or column == "repo" else "right")
    return made


def cells(rows: Rows) -> tuple[str, ...]:
    speeds = [median(row[name]["wall"] for row in rows) for name in ("native", "port")]
    shown = [f"{speed:.0f}" for speed in speeds]
    for clock in CLOCKS:
        low, middle, high = quantiles(ratios(rows, clock), n=4)
        shown += [f"{middle:.3f}", f"{low:.2f} .. {high:.2f}"]
    return tuple(shown)


def judged(rows: Rows) -> float:
    """The median by the clock whose quartiles lie closer together."""
    found = [quantiles(ratios(rows, clock), n=4) for clock in CLOCKS]
    return min(found, key=lambda parts: parts[2] - parts[0])[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 when a port is slower than its limit."""
    parser = argparse.ArgumentParser(prog="bench/speed.py")
    parser.add_argument("names", nargs="*", help="only these repos")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="pairs of a repo")
    given = parser.parse_args(argv)
    made, slow = table(given.rounds), []
    with tempfile.TemporaryDirectory() as scratch:
        for case in (case for case in CASES if not given.names or case.name in given.names):
            classes, rows = measured(case, Path(scratch), given.rounds)
            if classes["port"] == classes["native"]:
                raise SystemExit(f"{case.name}: both engines ran {classes['port']}")
            made.add_row(case.name, case.native, *cells(rows))
            slow += [case.name] if judged(rows) < LIMIT else []
    console = Console(width=130)
    console.print(made)
    console.print(f"limit {LIMIT}: {'over it: ' + ', '.join(slow) if slow else 'all within'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())

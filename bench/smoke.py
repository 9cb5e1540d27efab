"""The rungs load, text and image of the example's port beside a bare script that does the same with `vllm.LLM`.

Paired runs, in turn; medians with their range. Exit code 1 when the median of the ratios is over the limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import cast

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PAIRS = 5
LIMIT = 1.15
STEPS = ("load", "text", "image")
BARE = """
import json, os, sys, time
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ["TORCHDYNAMO_DISABLE"] = "1"
import numpy as np
from PIL import Image
from vllm import EngineArgs, SamplingParams

request = json.loads(sys.stdin.read())
EngineArgs(**request["arguments"]).create_engine_config()
taken, start = {}, time.perf_counter()
from vllm import LLM
llm = LLM(**request["arguments"], disable_log_stats=True)
taken["load"] = time.perf_counter() - start
kept = {"temperature": 0.0, "max_tokens": 8, "ignore_eos": True, "logprobs": -1, "detokenize": False}
if "flat_logprobs" in getattr(SamplingParams, "__struct_fields__", ()):
    kept["flat_logprobs"] = True
sampling = SamplingParams(**kept)
for name, with_images in (("text", False), ("image", True)):
    start = time.perf_counter()
    for prompt in request["prompts"]:
        if bool(prompt["images"]) is with_images:
            made = [np.random.default_rng(0).integers(0, 256, (i["height"], i["width"], 3), dtype=np.uint8) for i in prompt["images"]]
            extra = {"multi_modal_data": {"image": [Image.fromarray(pixels) for pixels in made]}} if made else {}
            llm.generate([{"prompt": prompt["text"], **extra}], sampling, use_tqdm=False)
    taken[name] = time.perf_counter() - start
print("TAKEN " + json.dumps(taken))
"""  # noqa: E501


def by_porter(port: Path, room: Path) -> dict[str, float]:
    """Seconds of the three rungs, on vLLM's dummy weights."""
    from porter.smoke.subject import SmokeOptions
    from tests.smoke.climbing import climb, rung

    report = climb(port, room, SmokeOptions(rungs=("text", "image"), parity=False))
    if not report.ok:
        raise SystemExit("\n".join(f"{rung.name}: {rung.status} {rung.detail}" for rung in report.rungs))
    return {name: rung(report, name).seconds for name in STEPS}


def by_script(port: Path, room: Path) -> dict[str, float]:
    """The same model folder (the ladder's own), arguments and prompts."""
    command = [sys.executable, "-c", BARE]
    request = json.dumps({"arguments": arguments(room), "prompts": asked(room)["prompts"]})
    done = subprocess.run(
        command, input=request, env=environment(port, room), capture_output=True, text=True, check=False
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("TAKEN ")]
    if done.returncode or not found:
        raise SystemExit(done.stderr[-3000:])
    return cast("dict[str, float]", json.loads(found[0].removeprefix("TAKEN ")))


def asked(room: Path) -> Mapping[str, object]:
    """What the engine worker of that room was asked."""
    newest = max((room / "scratch" / "runs").glob("engine-*/request.json"), key=lambda path: path.stat().st_mtime)
    return cast("Mapping[str, object]", json.loads(newest.read_text(encoding="utf-8"))["payload"])


def arguments(room: Path) -> dict[str, object]:
    payload = asked(room)
    length = int(str(payload["max_model_len"]))
    return {
        "model": str(room / "scratch" / "results" / "engine-model"),
        "dtype": "float32",
        "load_format": "dummy",
        "enforce_eager": True,
        "max_model_len": length,
        "max_num_batched_tokens": max(length, 2048),
        "max_num_seqs": 4,
        "max_logprobs": -1,
        "enable_prefix_caching": False,
        "limit_mm_per_prompt": {"image": payload["max_images"]},
        "seed": 0,
    }


def environment(port: Path, room: Path) -> dict[str, str]:
    """The port as a plugin, quiet and offline, vLLM's caches kept from run to run."""
    from porter.process import plugin_path

    places = {"HF_HOME": str(room / "hf"), "VLLM_CACHE_ROOT": str(room / "scratch" / "vllm")}
    path = os.pathsep.join(map(str, plugin_path(port, "skylark_vl", room / "plugin")))
    quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    return {**os.environ, **places, **quiet, "VLLM_CPU_OMP_THREADS_BIND": "nobind", "PYTHONPATH": path}


def report(bare: Sequence[Mapping[str, float]], rungs: Sequence[Mapping[str, float]]) -> tuple[Table, float]:
    table = Table(title=f"load + text + image of the example, {len(bare)} paired runs, seconds")
    for column in ("", "bare vllm.LLM", "porter's rungs", "ratio", "range"):
        table.add_column(column, justify="left" if not column else "right")
    pairs = list(zip(bare, rungs, strict=True))
    for name in STEPS:
        table.add_row(name, *row([one[name] for one, _ in pairs], [other[name] for _, other in pairs]))
    sums = [sum(one.values()) for one, _ in pairs], [sum(other.values()) for _, other in pairs]
    table.add_row("together", *row(*sums))
    return table, median(other / one for one, other in zip(*sums, strict=True))


def row(bare: Sequence[float], rungs: Sequence[float]) -> tuple[str, ...]:
    ratios = [other / one for one, other in zip(bare, rungs, strict=True)]
    span = f"{min(ratios):.2f} .. {max(ratios):.2f}"
    return f"{median(bare):.2f}", f"{median(rungs):.2f}", f"{median(ratios):.2f}", span


def main() -> int:
    from tests.smoke.test_killed import ported

    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        port = ported(room / "skylark-vl")
        bare, rungs = [], []
        for number in range(PAIRS + 1):
            mine = by_porter(port, room)
            script = by_script(port, room)
            if number:
                rungs.append(mine)
                bare.append(script)
    table, ratio = report(bare, rungs)
    Console(width=110).print(table)
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())

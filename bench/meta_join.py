"""Every tensor of a 2B checkpoint against every parameter, beside a bare script that only builds the module on meta.

`python bench/meta_join.py FOLDER`: a repo whose architecture this interpreter's vLLM has; its config.json is enough.
The checkpoint is what the class itself accepts, in a sparse file. Paired runs, in turn, medians with their range.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.hub.repos import sparse_file  # noqa: E402

DEFAULT = ROOT.parent / "shared" / "hf_repos" / "zylluan__ft-uav_internvl2-2B"
PAIRS = 5
LIMIT = 1.15
SHARD = "model.safetensors"
BARE = """
import json, os, sys, tempfile
os.environ["VLLM_LOGGING_LEVEL"] = "WARNING"
import torch
from transformers import AutoConfig, PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from vllm.config import set_current_vllm_config
from vllm.distributed import init_distributed_environment, initialize_model_parallel
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.transformers_utils import config as known

def config_class(kind):
    class Config(PretrainedConfig):
        model_type = kind
        has_no_defaults_at_init = True
        def __init__(self, **values):
            super().__init__(**{key: nested(key, value) for key, value in values.items()})
    return Config

def nested(key, value):
    if not isinstance(value, dict) or not key.endswith("_config"):
        return value
    kind = value.get("model_type") or ""
    return CONFIG_MAPPING[kind](**value) if kind in CONFIG_MAPPING else config_class(kind)(**value)

kind = json.load(open(sys.argv[1] + "/config.json"))["model_type"]
if kind not in CONFIG_MAPPING and kind not in known._CONFIG_REGISTRY:
    AutoConfig.register(kind, config_class(kind))
config = EngineArgs(
    model=sys.argv[1], load_format="dummy", enforce_eager=True, skip_tokenizer_init=True
).create_engine_config()
with set_current_vllm_config(config):
    init_distributed_environment(1, 0, "file://" + tempfile.mkdtemp() + "/r", 0, "gloo")
    initialize_model_parallel(1, 1)
    torch.set_default_dtype(config.model_config.dtype)
    with torch.device("meta"):
        model = initialize_model(config)
print(sum(parameter.numel() for parameter in model.parameters()))
"""


def write_repo(source: Path, folder: Path) -> None:
    """The repo's JSON with a sparse file of what its native class accepts."""
    from porter.hub import snapshot_of
    from porter.process import WorkerSettings
    from porter.weights.check import Against, targets_for

    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.index.json", "SOURCE.json"))
    settings = WorkerSettings(sys.executable, folder.parent / "scratch", folder.parent / "log.txt")
    targets = targets_for(snapshot_of(str(folder), offline=True), settings, Against())
    sparse_file(folder / SHARD, [(t.name, t.shape) for t in targets if t.required and t.shape is not None])


def environment(room: Path) -> Mapping[str, str]:
    """Quiet, offline, and with vLLM's caches kept from one run to the next."""
    places = {"HF_HOME": str(room / "hf"), "VLLM_CACHE_ROOT": str(room / "vllm")}
    quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **places, **quiet}


@dataclass(frozen=True, slots=True)
class Taken:
    """One run in seconds; on a busy machine `cpu` tells what of `wall` was the command itself."""

    wall: float
    cpu: float


def timed(command: Sequence[str], room: Path) -> Taken:
    before, start = children_cpu(), time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment(room), capture_output=True, text=True, check=False)
    taken = Taken(time.perf_counter() - start, children_cpu() - before)
    if done.returncode:
        raise SystemExit(f"{command[1:4]}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return taken


def children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def ratios(bare: Sequence[Taken], joined: Sequence[Taken]) -> list[Taken]:
    """Pair by pair."""
    return [Taken(one.wall / other.wall, one.cpu / other.cpu) for one, other in zip(joined, bare, strict=True)]


def report(bare: Sequence[Taken], joined: Sequence[Taken]) -> Table:
    table = Table(title=f"full-size meta join, {len(bare)} paired runs, seconds")
    for column in ("command", "wall, median", "range", "cpu, median"):
        table.add_column(column, justify="left" if column == "command" else "right")
    rows = {"bare build on meta": bare, "porter check-weights --native": joined, "ratio": ratios(bare, joined)}
    for name, row in rows.items():
        walls = [one.wall for one in row]
        cells = (f"{median(walls):.2f}", f"{min(walls):.2f} .. {max(walls):.2f}")
        table.add_row(name, *cells, f"{median(one.cpu for one in row):.2f}")
    return table


def main(source: Path) -> int:
    """Exit code 1 when the median of the ratios is over the limit."""
    if not source.is_dir():
        Console().print(f"no {source}: the meta join is not measured")
        return 0
    with tempfile.TemporaryDirectory() as name:
        room, folder = Path(name), Path(name) / "repo"
        write_repo(source, folder)
        check = [sys.executable, "-m", "porter", "check-weights", "--native", "--repo", str(folder), "--json"]
        build = [sys.executable, "-c", BARE, str(folder)]
        bare: list[Taken] = []
        joined: list[Taken] = []
        for number in range(PAIRS + 1):
            for row, command in ((bare, build), (joined, check)):
                taken = timed(command, room)
                if number:
                    row.append(taken)
    Console(width=110).print(report(bare, joined))
    return 0 if median(one.wall for one in ratios(bare, joined)) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT))

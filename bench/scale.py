"""`make bench`: checkpoints of 1,000 to 100,000 tensors, the last of a trillion parameters, as a loopback Hub has them.

The shards are sparse files: a real header, then nothing up to the size that the header claims. The Hub and porter run
in processes of their own, so that the memory shown is porter's.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.hub.repos import sparse_file  # noqa: E402

REPO = "org/trillion"
LAYERS, HIDDEN, INNER, TOWER, TOWER_LAYERS = 60, 7168, 1536, 1152, 27
PER_SHARD = 500
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
SECONDS, INFER_SECONDS, MEGABYTES, REQUESTS, OVERHEAD = 6.0, 3.0, 500, 2, 1.05
ROUNDS = 3
READ = """
import json, math, resource, sys, time
start = time.perf_counter()
from porter.hub import snapshot_of
table = snapshot_of(sys.argv[1]).tensors
seconds, cpu = time.perf_counter() - start, time.process_time()
from porter.weights.infer import Target, infer_mapper
def renamed(name):
    return name.replace("model.visual.", "vision_tower.").replace("model.language_model.", "language_model.model.")
targets = [Target(renamed(tensor.name), tensor.shape) for tensor in table.tensors]
start, begun = time.perf_counter(), time.process_time()
found = infer_mapper(table.tensors, targets)
infer, infer_cpu = time.perf_counter() - start, time.process_time() - begun
print(json.dumps({
    "tensors": len(table.tensors), "elements": sum(math.prod(tensor.shape) for tensor in table.tensors),
    "fetched": table.bytes_fetched, "complete": found.complete, "seconds": seconds, "cpu": cpu, "infer": infer,
    "infer_cpu": infer_cpu, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """One checkpoint read; on a busy machine the CPU times tell what of the seconds was porter itself.

    `requests` as the Hub counted them for the shards, `headers` in bytes, `megabytes` at the peak of the whole process.
    """

    tensors: int
    elements: int
    seconds: float
    cpu: float
    infer: float
    infer_cpu: float
    megabytes: float
    requests: int
    shards: int
    fetched: int
    headers: int
    complete: bool

    @property
    def within(self) -> bool:
        return (
            self.seconds <= SECONDS
            and self.infer <= INFER_SECONDS
            and self.megabytes <= MEGABYTES
            and self.requests <= REQUESTS * self.shards
            and self.fetched <= OVERHEAD * self.headers
            and self.complete
        )


def layout(count: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """`count` names and shapes: a tower, a connector, and a mixture-of-experts language model that fills the rest."""
    layers = LAYERS if count >= 3_000 else 12
    names = [*tower(), ("lm_head.weight", (160_000, HIDDEN))]
    names.append(("model.language_model.embed_tokens.weight", (160_000, HIDDEN)))
    for layer in range(layers):
        names += attention(f"model.language_model.layers.{layer}.")
    yield from names[:count]
    for number in range(count - len(names)):
        expert, rest = divmod(number, 3 * layers)
        layer, kind = divmod(rest, 3)
        name = f"model.language_model.layers.{layer}.mlp.experts.{expert}.{('gate', 'up', 'down')[kind]}_proj.weight"
        yield name, (HIDDEN, INNER) if kind == 2 else (INNER, HIDDEN)


def tower() -> Iterator[tuple[str, tuple[int, ...]]]:
    for layer in range(TOWER_LAYERS):
        start = f"model.visual.blocks.{layer}."
        for name, rows in (("attn.qkv", 3 * TOWER), ("attn.proj", TOWER)):
            yield from ((f"{start}{name}.weight", (rows, TOWER)), (f"{start}{name}.bias", (rows,)))
        yield from ((f"{start}mlp.fc1.weight", (4 * TOWER, TOWER)), (f"{start}mlp.fc2.weight", (TOWER, 4 * TOWER)))
        yield from ((f"{start}norm1.weight", (TOWER,)), (f"{start}norm2.weight", (TOWER,)))
    yield "model.visual.merger.mlp.0.weight", (HIDDEN, 4 * TOWER)
    yield "model.visual.merger.mlp.2.weight", (HIDDEN, HIDDEN)


def attention(start: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, rows, columns in (("q", 8192, HIDDEN), ("k", 1024, HIDDEN), ("v", 1024, HIDDEN), ("o", HIDDEN, 8192)):
        yield f"{start}self_attn.{name}_proj.weight", (rows, columns)
    yield f"{start}mlp.gate.weight", (512, HIDDEN)
    yield f"{start}input_layernorm.weight", (HIDDEN,)
    yield f"{start}post_attention_layernorm.weight", (HIDDEN,)


def write_repo(folder: Path, count: int) -> int:
    """A repo of sparse shards with their index; returns the bytes of the headers."""
    tensors = sorted(layout(count), key=lambda item: item[0])
    shards = math.ceil(count / PER_SHARD)
    weight_map: dict[str, str] = {}
    headers = 0
    for number in range(shards):
        name = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        part = tensors[number * PER_SHARD : (number + 1) * PER_SHARD]
        headers += sparse_file(folder / name, part)
        weight_map |= dict.fromkeys((tensor for tensor, _ in part), name)
    text = json.dumps({"metadata": {}, "weight_map": weight_map}, indent=2)
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    (folder / "config.json").write_text('{"architectures": ["TrillionVL"]}', encoding="utf-8")
    return headers


def serve(folder: Path) -> None:
    """The Hub's process: its address on stdout, and when stdin ends what was asked of the shards."""
    from tests.hub_server import HubServer, OnDisk

    with HubServer() as hub:
        hub.add(REPO, {path.name: OnDisk(path) for path in folder.iterdir()}, commit="a" * 40)
        print(hub.url, flush=True)
        sys.stdin.read()
        print(
            len([one for one in hub.requests if one.path.endswith(".safetensors") and one.method == "GET"]), flush=True
        )


def taken(count: int, folder: Path) -> Taken:
    """One checkpoint, from writing it to porter's answer."""
    folder.mkdir()
    headers = write_repo(folder, count)
    command = [sys.executable, __file__, "--serve", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as hub:
        assert hub.stdin is not None
        assert hub.stdout is not None
        try:
            answer = median(hub.stdout.readline().strip(), folder.parent)
        finally:
            hub.stdin.close()
        requests = int(hub.stdout.read()) // ROUNDS
    shards = math.ceil(count / PER_SHARD)
    return Taken(**answer, requests=requests, shards=shards, headers=headers)


def median(url: str, folder: Path) -> dict[str, Any]:
    """The middle one of a few runs by time, each with an empty cache."""
    answers = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=folder) as home:
            environment = {"HF_ENDPOINT": url, "HF_HOME": home, "HOME": home, "HF_HUB_DISABLE_XET": "1"}
            command = [sys.executable, "-c", READ, REPO]
            hub = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1", **environment}
            answers.append(json.loads(subprocess.run(command, env=hub, stdout=subprocess.PIPE, check=True).stdout))
    answers.sort(key=lambda answer: answer["seconds"])
    middle: dict[str, Any] = answers[len(answers) // 2]
    return middle


def report(rows: Sequence[Taken]) -> Table:
    table = Table(title=f"headers from a loopback Hub, median of {ROUNDS} runs with an empty cache")
    columns = ("tensors", "parameters", "seconds", "cpu", "µs/tensor", "MB", "requests/shard", "bytes/headers")
    for column in (*columns, "mapper, s", "cpu"):
        table.add_column(column, justify="right")
    for row in rows:
        per = f"{row.cpu / row.tensors * 1e6:.0f}"
        ratios = (f"{row.requests / row.shards:.2f}", f"{row.fetched / row.headers:.3f}")
        cells = (f"{row.seconds:.2f}", f"{row.cpu:.2f}", per, f"{row.megabytes:.0f}", *ratios)
        mapper = (f"{row.infer:.2f}", f"{row.infer_cpu:.2f}")
        table.add_row(f"{row.tensors:,}", f"{row.elements:.2e}", *cells, *mapper)
    return table


def main() -> int:
    """Exit code 1 when the largest checkpoint is over a limit."""
    with tempfile.TemporaryDirectory() as room:
        rows = [taken(count, Path(room) / str(count)) for count in SIZES]
    console = Console(width=130)
    console.print(report(rows))
    read = f"{SECONDS} s, {MEGABYTES} MB, {REQUESTS} requests per shard, {OVERHEAD} of the headers"
    limits = f"{read}, mapper {INFER_SECONDS} s"
    console.print(f"limits at {SIZES[-1]:,} tensors: {limits}: {'ok' if rows[-1].within else 'over'}")
    return 0 if rows[-1].within else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]))
    else:
        sys.exit(main())

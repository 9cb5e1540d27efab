"""`make bench`: `porter inspect` on a cached repo whose index names 100,000 tensors: wall, CPU and peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
TENSORS = 100_000
WALL, MEMORY = 2.0, 400
ROUNDS = 5
COMMIT = "a" * 40
TOWER = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "layer_norm1", "layer_norm2",
         "mlp.fc1", "mlp.fc2")  # fmt: skip
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm")
DECODER = (*(f"self_attn.{one}" for one in ATTENTION), "mlp.gate", "input_layernorm", "post_attention_layernorm")
CONFIG = {
    "architectures": ["LargeVLForConditionalGeneration"],
    "model_type": "large_vl",
    "text_config": {"model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 4096,
                    "num_hidden_layers": 61, "vocab_size": 151936},
    "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 1152, "num_hidden_layers": 27,
                      "num_attention_heads": 16, "image_size": 384, "patch_size": 14},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds, and mebibytes at the peak."""

    wall: float
    cpu: float
    memory: float


def names() -> Iterator[str]:
    """A tower, a projector and a decoder of many experts."""
    for layer in range(27):
        for module in TOWER:
            yield from (f"vision_model.encoder.layers.{layer}.{module}.{end}" for end in ("weight", "bias"))
    yield from ("vision_model.embeddings.patch_embedding.weight", "vision_model.embeddings.position_embedding.weight")
    yield from ("projector.0.weight", "projector.2.weight", "language_model.lm_head.weight")
    yield from ("language_model.model.embed_tokens.weight", "language_model.model.norm.weight")
    for layer in range(61):
        stem = f"language_model.model.layers.{layer}"
        yield from (f"{stem}.{module}.weight" for module in DECODER)
        for expert in range(1024):
            yield from (f"{stem}.mlp.experts.{expert}.{way}_proj.weight" for way in ("gate", "up", "down"))


def write_cache(home: Path) -> None:
    """The repo `org/large` as the Hub cache below HF_HOME would hold it."""
    repo = home / "hub" / "models--org--large"
    snapshot = repo / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    weights = {name: f"model-{index % 200:05d}-of-00200.safetensors" for index, name in
               enumerate(islice(names(), TENSORS))}  # fmt: skip
    (snapshot / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    index = json.dumps({"metadata": {"total_size": 0}, "weight_map": weights})
    (snapshot / "model.safetensors.index.json").write_text(index, encoding="utf-8")


def run(home: Path) -> Taken:
    """One `porter inspect`, its own use of the machine by `wait4`. Raises RuntimeError when it fails."""
    command = [sys.executable, "-m", "porter", "inspect", "org/large", "--offline", "--json"]
    start = time.perf_counter()
    env = {**os.environ, "HF_HOME": str(home)}
    child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    return Taken(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def measure(rounds: int = ROUNDS) -> list[Taken]:
    """One run to warm up, then `rounds`."""
    with tempfile.TemporaryDirectory() as folder:
        write_cache(Path(folder))
        return [run(Path(folder)) for _ in range(rounds + 1)][1:]


def line(taken: list[Taken]) -> str:
    walls = [one.wall for one in taken]
    memory = max(one.memory for one in taken)
    within = "ok" if median(walls) <= WALL and memory <= MEMORY else "over"
    wall = f"{median(walls):.2f} s ({min(walls):.2f} .. {max(walls):.2f}; cpu {median(one.cpu for one in taken):.2f})"
    limits = f"limits {WALL:.1f} s, {MEMORY} MiB: {within}"
    return f"porter inspect, an index of {TENSORS:,} tensors: {wall}, {memory:.0f} MiB; {limits}"


def main() -> int:
    """Exit code 1 when over a limit."""
    taken = measure()
    Console(width=120).print(line(taken), highlight=False)
    return 0 if line(taken).endswith("ok") else 1


if __name__ == "__main__":
    sys.exit(main())

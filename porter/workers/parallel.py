"""The rungs `tp` and `pp`: the model over several processes, by vLLM's own executors, answers as in one process."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from porter_worker import batch, groups, steps
from porter_worker.outcome import Skipped

TOLERANCE = {"cpu": 1e-4}
"""Of logprobs in float32; on other devices the one of `batch`: their kernels differ with the shapes."""
UNCOMPARED = "not compared with one: each draws dummy weights of its own, only a run with parity has a checkpoint"
LOOPBACK = {"VLLM_HOST_IP": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}


class ParallelFault(Exception):
    """Several processes answer otherwise than one."""


@dataclass(frozen=True)
class Way:
    """A way to spread a model: vLLM's name for its size, and what of the model has to be divisible or enough."""

    name: str
    size: str
    argument: str


TENSOR = Way("tensor", "tp", "tensor_parallel_size")
PIPELINE = Way("pipeline", "pp", "pipeline_parallel_size")


def tensor(engine: Any) -> str:
    """Detail of the rung `tp`."""
    return run(engine, TENSOR)


def pipeline(engine: Any) -> str:
    """Detail of the rung `pp`."""
    return run(engine, PIPELINE)


def run(engine: Any, way: Way) -> str:
    """Raises ParallelFault, what vLLM raises for a model that cannot be spread so, or Skipped."""
    asked = engine.payload["parallel"]
    count, backend = max(2, int(asked[way.size] or 2)), str(asked.get("executor") or "mp")
    if engine.spread:
        raise Skipped("the engine of text and image is spread already, there is no answer of one process to compare")
    check_machine(count, backend)
    check_class(engine, way)
    check_size(engine, way, count)
    start = time.monotonic()
    with spread(engine, way, count, backend):
        seconds = time.monotonic() - start
        far = compare(engine, math.inf if drawn(engine) else tolerance_here())
    if drawn(engine):
        raise Skipped(f"{count} processes ({backend}) start and answer; {UNCOMPARED}")
    return f"{count} processes ({backend}), {far}, start {seconds:.1f} s, {time.monotonic() - start:.1f} s in all"


def check_machine(count: int, backend: str) -> None:
    """Devices for each process, and the executor's package."""
    from porter_worker.llm import runtime_device

    if backend == "ray" and find_spec("ray") is None:
        raise Skipped("this interpreter has no ray")
    if runtime_device() == "cuda" and backend != "ray":
        import torch

        found = torch.cuda.device_count()
        if found < count:
            raise Skipped(f"needs {count} CUDA devices, {found} found")


def check_class(engine: Any, way: Way) -> None:
    from vllm.model_executor.model_loader import get_model_architecture
    from vllm.model_executor.models import supports_pp

    cls, _ = get_model_architecture(engine.config.model_config)
    if way is PIPELINE and not supports_pp(cls):
        raise ParallelFault(f"{cls.__name__} does not support pipeline parallel runs: it lacks SupportsPP")


def check_size(engine: Any, way: Way, count: int) -> None:
    """A tiny model may have fewer heads or layers than the real one: that is not the port's fault."""
    config = engine.config.model_config.hf_text_config
    heads, layers = (getattr(config, name, None) for name in ("num_attention_heads", "num_hidden_layers"))
    kind = engine.payload["weights"]
    if way is TENSOR and heads and heads % count:
        raise Skipped(f"the {kind} model has {heads} attention heads, {count} does not divide them")
    if way is PIPELINE and layers and layers < count:
        raise Skipped(f"the {kind} model has {layers} layers, fewer than {count} processes")


@contextmanager
def spread(engine: Any, way: Way, count: int, backend: str) -> Iterator[None]:
    """An engine over `count` processes in place of the current one."""
    from vllm import LLM

    more = {way.argument: count, "distributed_executor_backend": backend}
    weights = engine.payload["sets"][0].get("weights")
    engine.close()
    before = set(groups.members(os.getpgrp()))
    try:
        try:
            with environment(count, backend):
                engine.llm = LLM(**{**engine.arguments(weights), **more}, disable_log_stats=True)
        except BaseException:
            groups.end_since(before)
            raise
        prepare(engine, way)
        yield
    finally:
        held = groups.shared_memory(groups.members(os.getpgrp()))
        engine.close()
        groups.remove_left(held)


@contextmanager
def environment(count: int, backend: str) -> Iterator[None]:
    """What processes that start now see: this machine only and a share of its cores each."""
    before = dict(os.environ)
    os.environ.update(LOOPBACK if backend == "mp" else {})
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def prepare(engine: Any, way: Way) -> None:
    """On a CPU vLLM leaves out the run that gives a pipeline's later stages the tensors that they receive into."""
    from porter_worker.llm import runtime_device

    if way is PIPELINE and runtime_device() == "cpu":
        engine.llm.collective_rpc("execute_dummy_batch")


def drawn(engine: Any) -> bool:
    """Dummy weights: each process has its own."""
    weights = engine.payload["sets"][0].get("weights")
    return bool(engine.arguments(weights)["load_format"] == "dummy")


def tolerance_here() -> float:
    from porter_worker.llm import runtime_device

    return TOLERANCE.get(runtime_device(), float(batch.TOLERANCE))


def compare(engine: Any, tolerance: float) -> str:
    """Every prompt against its answer in one process: ids, greedy tokens, logprobs."""
    from porter_worker import images

    farthest = 0.0
    known = [prompt for prompt in engine.payload["prompts"] if f"{prompt['name']}.tokens" in engine.arrays]
    requests = [engine.request(prompt["text"], images.load_images(prompt["images"])) for prompt in known]
    for prompt, request in zip(known, requests, strict=True):
        made = engine.outcome(engine.llm.generate([request], engine.sampling(), use_tqdm=False)[0])
        farthest = max(farthest, compare_one(engine, prompt["name"], made, tolerance))
    return f"{len(known)} prompts as in one process, logprobs to {farthest:.1e} (float32, tolerance {tolerance:.0e})"


def compare_one(engine: Any, name: str, made: dict[str, Any], tolerance: float) -> float:
    """How far apart the logprobs are. Raises ParallelFault where the answer is another one."""
    import numpy as np

    alone = steps.answer(engine.arrays, name)
    if np.isnan(made["logprobs"]).any():
        raise ParallelFault(f"prompt '{name}': a logprob is not a number")
    if wrong := steps.fault(f"prompt '{name}'", alone, made, tolerance, "in one process"):
        raise ParallelFault(wrong)
    return float(steps.farthest(alone, made))

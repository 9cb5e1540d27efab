"""What the interpreter of vLLM can do: versions, what its vLLM was built for, the device that torch sees, memory."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from pathlib import Path
from typing import Any

from porter_worker import memory, runtime

PACKAGES = ("vllm", "torch", "torchvision", "transformers", "tokenizers", "safetensors", "ray")


def probe(payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": _device(),
        "vllm_build": _vllm_build(),
        "ram_bytes": memory.free(),
    }


def _version(name: str) -> str | None:
    """The version of an importable package; vLLM's distribution may be called otherwise, so its name is looked up."""
    if importlib.util.find_spec(name) is None:
        return None
    distributions = importlib.metadata.packages_distributions().get(name, [name])
    try:
        return importlib.metadata.version(distributions[0])
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _device() -> dict[str, Any]:
    if importlib.util.find_spec("torch") is None:
        return {"kind": "none", "names": [], "memory_gib": [], "free_bytes": [], "capability": None}
    import torch

    if not torch.cuda.is_available():
        return {"kind": "cpu", "names": [], "memory_gib": [], "free_bytes": [], "capability": None}
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return {
        "kind": "cuda",
        "names": [device.name for device in found],
        "memory_gib": [round(device.total_memory / 2**30, 1) for device in found],
        "free_bytes": [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())],
        "capability": ".".join(map(str, torch.cuda.get_device_capability())),
    }


def _vllm_build() -> str | None:
    """cpu, cuda or rocm: what the compiled part of vLLM was built for; None when nothing tells."""
    spec = importlib.util.find_spec("vllm")
    if spec is None:
        return None
    named = importlib.metadata.packages_distributions().get("vllm", [])
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    if any("cpu" in f"{name}{_version('vllm')}" for name in named) or any(
        [*place.glob("_C_AVX*.so")] for place in places
    ):
        return "cpu"
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    return "cuda" if torch.version.cuda else "rocm" if torch.version.hip else "cpu"


def main() -> None:
    runtime.serve(probe)


if __name__ == "__main__":
    main()

"""What the interpreter of vLLM can do: versions, and the device that torch sees."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from typing import Any

from porter_worker import runtime

PACKAGES = ("vllm", "torch", "torchvision", "transformers", "tokenizers", "safetensors", "ray")


def probe(payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": _device(),
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
        return {"kind": "none", "names": [], "memory_gib": [], "capability": None}
    import torch

    if not torch.cuda.is_available():
        return {"kind": "cpu", "names": [], "memory_gib": [], "capability": None}
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return {
        "kind": "cuda",
        "names": [device.name for device in found],
        "memory_gib": [round(device.total_memory / 2**30, 1) for device in found],
        "capability": ".".join(map(str, torch.cuda.get_device_capability())),
    }


def main() -> None:
    runtime.serve(probe)


if __name__ == "__main__":
    main()

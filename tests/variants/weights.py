"""Weights for built variants. The functions import torch and transformers when called: use them in a child process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.variants import Variant

ROOT = Path(__file__).parents[2]


def write_weights(variant: Variant, folder: Path) -> list[Path]:
    """Draws the safetensors files for the repo in `folder`, in this process; returns them."""
    from examples.make_weights import make_weights

    return make_weights(folder, variant.seed, variant.recipe.weight_renames, variant.recipe.shards)


def build_with_weights(out: Path, names: Iterable[str] = (), *, python: str = sys.executable) -> None:
    """Builds variants (all, or those named) with weights under `out` in one child process; raises on failure."""
    command = [python, "-m", "tests.variants", str(out), *names, "--weights"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)

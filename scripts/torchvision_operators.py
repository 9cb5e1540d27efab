"""Declares torchvision's operator schemas before its first import.

For a machine whose only torchvision is a CUDA build beside a CPU torch: its compiled library does not load there, and
its Python part registers fake kernels for operators that nobody declared. `scripts/set_up.py` installs this beside a
`.pth` file, so that child processes have it too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

OPERATORS = ("nms", "qnms")
KEPT: list[object] = []  # a torch Library withdraws its schemas when it is collected


class DeclareOperators(MetaPathFinder):
    """Finds nothing: declares the schemas when torchvision is first looked for, then steps aside."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            import torch

            library = torch.library.Library("torchvision", "DEF")
            for name in OPERATORS:
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            KEPT.append(library)
        return None


sys.meta_path.insert(0, DeclareOperators())

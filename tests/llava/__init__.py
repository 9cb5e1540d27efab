"""Small repos of LLaVA's shape, each different: one tower, a short connector, one run of placeholders per image.

`REPOS` lists them; `write_repo(shape, folder)` writes one, `add_weights` draws its tensors in a child process.
From the shell: `python -m tests.llava OUTDIR [NAME ...] [--weights]`.
"""

from __future__ import annotations

from tests.llava.shapes import REPOS, Shape
from tests.llava.write import add_weights, write_repo

__all__ = ["REPOS", "Shape", "add_weights", "write_repo"]

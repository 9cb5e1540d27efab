"""Small repos made from classes of the installed `transformers`, with other names: an architecture nobody has seen.

`TWINS` lists them, `NATIVES` those without code; `write_repo(twin, folder)` writes one, `add_weights` draws its
tensors in a child process.
From the shell: `python -m tests.twins OUT [NAME ...] [--weights] [--smoke]`.
"""

from __future__ import annotations

from tests.twins.catalog import NATIVES, TWINS
from tests.twins.native import installed
from tests.twins.shapes import Family, Twin
from tests.twins.write import add_weights, write_repo

__all__ = ["NATIVES", "TWINS", "Family", "Twin", "add_weights", "installed", "write_repo"]

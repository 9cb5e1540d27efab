"""Which names the releases of transformers have: the table that `scripts/transformers_symbols.py` writes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data" / "transformers_symbols.txt.gz"
ROOT = "transformers"
MODELS = "transformers.models"
COVERED = ("modeling_", "configuration_", "processing_", "image_processing_", "video_processing_",
           "feature_extraction_", "tokenization_")  # fmt: skip
OTHER_FRAMEWORKS = ("TF", "Flax", "modeling_tf_", "modeling_flax_")


@dataclass(frozen=True, slots=True)
class SymbolTable:
    """`releases` in order, one per minor version. Spans are bit masks over them.

    `left_out` are modules and `outside` names of other packages of which the table knows nothing. `lines` are the
    table's, by module: the line of the module itself, then those of its names.
    """

    releases: tuple[str, ...]
    left_out: frozenset[str]
    outside: frozenset[str]
    lines: Mapping[str, tuple[str, ...]]

    @property
    def minors(self) -> tuple[str, ...]:
        return tuple(release.rpartition(".")[0] for release in self.releases)

    @property
    def everywhere(self) -> int:
        return (1 << len(self.releases)) - 1

    def mask(self, module: str, name: str | None) -> int | None:
        """The releases with `from module import name` (None: `import module`); None for what the table leaves out."""
        if not self.covers(module) or (name is not None and name.startswith(OTHER_FRAMEWORKS)):
            return None
        if name is None or name == "*":
            return self._module(module)
        below = f"{module}.{name}"
        if not self.covers(below) and module.count(".") != 2:
            return None
        found = self._module(below) or self._inside(module, name)
        return found if found or name not in self.outside else None

    def _inside(self, module: str, name: str) -> int:
        if module in self.lines:
            return self._name(module, name)
        found = _union(self._name(part, name) for part in self.lines if part.startswith(f"{module}."))
        answers = found or _union(self._name(part, name[:-4]) for part in self.lines if part.startswith(f"{module}."))
        return found | self._name(ROOT, name) if answers and name.endswith("Fast") else found

    def covers(self, module: str) -> bool:
        parts = module.split(".")
        if parts[0] != ROOT or (len(parts) > 1 and parts[1] in self.left_out):
            return False
        return not (module.startswith(f"{MODELS}.") and len(parts) > 3 and not parts[3].startswith(COVERED))

    def _module(self, module: str) -> int:
        """Of a package (`transformers.models.llama`) the releases that have any module of it."""
        if module in self.lines:
            return self._span(self.lines[module][0].partition(" ")[2])
        return _union(self._module(part) for part in self.lines if part.startswith(f"{module}."))

    def _name(self, module: str, name: str) -> int:
        for line in self.lines[module][1:]:
            names = line.split(" ")
            if name in names[2:]:
                return self._span(names[1])
        return 0

    def _span(self, text: str) -> int:
        """`4.37-4.47,4.50-` as a mask."""
        minors, found = self.minors, 0
        for run in text.split(","):
            first, _, last = run.partition("-")
            stop = minors.index(last) if last else len(minors) - 1
            for index in range(minors.index(first), stop + 1):
                found |= 1 << index
        return found


def _union(masks: Iterator[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


@lru_cache(maxsize=1)
def symbol_table() -> SymbolTable:
    releases, left_out, outside, *rest = gzip.decompress(DATA.read_bytes()).decode("utf-8").splitlines()
    lines: dict[str, list[str]] = {}
    current: list[str] = []
    for line in rest:
        if line[:1] != " ":
            current = lines.setdefault(line.partition(" ")[0], [])
        current.append(line)
    return SymbolTable(
        tuple(releases.split(" ")[1:]),
        frozenset(left_out.split(" ")[1:]),
        frozenset(outside.split(" ")[1:]),
        {module: tuple(found) for module, found in lines.items()},
    )

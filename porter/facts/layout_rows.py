"""Checkpoint tensors as rows: names that differ in numbers only stand in one row. Linear in the number of tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from porter.facts.word_lists import words
from porter.hub.snapshot import TensorInfo
from porter.weights.patterns import ranges

HOLE = "*"
Path = tuple[str, ...]

TOKEN_EMBEDDINGS = words(
    "embed_tokens tok_embeddings wte word_embeddings embed_in token_embedding token_embeddings embed_token "
    "shared tokens_embed tok_embed"
)
NO_PATCHES = ("merg", "unpatch", "expand", "newline", "separator")
PARAMETERS = frozenset({"weight", "bias"})
PACKED = {"qweight": "weight", "weight_packed": "weight", "blocks": "weight"}
VISUAL_CHANNELS = 3
MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Row:
    """`path` has HOLE where the names differ; `numbers` are what stands there, hole by hole. `shape` and `dtype` are
    None where they are unknown or differ."""

    path: Path
    count: int
    numbers: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...] | None = None
    dtype: str | None = None

    @property
    def parameter(self) -> str:
        """`weight`, `bias`, or "" for a tensor that is a parameter by itself."""
        last = self.path[-1]
        return last if last in PARAMETERS else "weight" if last in PACKED and len(self.path) > 1 else ""

    @property
    def module(self) -> Path:
        return self.path[:-1] if self.parameter else self.path

    def pattern(self, prefix: Path) -> str:
        """The names as people write them, relative to a prefix of theirs: `blocks.{0..23}.attn.qkv.weight`."""
        skipped = sum(piece == HOLE for piece in prefix)
        shown = iter([ranges(list(column)) for column in self.numbers[skipped:]])
        return ".".join(next(shown) if piece == HOLE else piece for piece in self.path[len(prefix) :])


@dataclass(slots=True)
class _Gathered:
    """What is known so far of one row."""

    first: TensorInfo
    count: int = 0
    numbers: list[set[int]] = field(default_factory=list)
    one_shape: bool = True
    one_dtype: bool = True

    def add(self, tensor: TensorInfo, numbers: list[int]) -> None:
        self.count += 1
        self.one_shape = self.one_shape and tensor.shape == self.first.shape
        self.one_dtype = self.one_dtype and tensor.dtype == self.first.dtype
        for seen, number in zip(self.numbers, numbers, strict=True):
            seen.add(number)

    def row(self, path: Path) -> Row:
        return Row(
            path,
            self.count,
            tuple(tuple(sorted(seen)) for seen in self.numbers),
            self.first.shape if self.one_shape else None,
            self.first.dtype if self.one_dtype else None,
        )


def rows_of(tensors: Iterable[TensorInfo]) -> tuple[Row, ...]:
    """All tensors, in an order that does not depend on theirs. A list of whole networks (`towers.0`, `towers.1`) is
    no stack of layers: its numbers stay numbers."""
    tensors = tuple(tensors)
    rows = _gather(tensors, frozenset())
    for _ in range(3):
        lists = _network_lists(rows)
        if not lists:
            break
        rows = _gather(tensors, lists)
    return tuple(rows)


def _gather(tensors: Iterable[TensorInfo], literal: frozenset[Path]) -> list[Row]:
    gathered: dict[Path, _Gathered] = {}
    for tensor in tensors:
        path, numbers = _split(tensor.name, literal)
        found = gathered.get(path)
        if found is None:
            found = gathered[path] = _Gathered(tensor, numbers=[set() for _ in numbers])
        found.add(tensor, numbers)
    return [gathered[path].row(path) for path in sorted(gathered)]


def _split(name: str, literal: frozenset[Path]) -> tuple[Path, list[int]]:
    pieces = name.split(".", MAX_DEPTH)
    numbers: list[int] = []
    for index, piece in enumerate(pieces):
        if piece.isdecimal() and piece.isascii() and len(piece) < 10:
            if literal and tuple(pieces[:index]) in literal:
                continue
            numbers.append(int(piece))
            pieces[index] = HOLE
        elif piece == HOLE:
            pieces[index] = f"{HOLE}{HOLE}"
    return tuple(pieces), numbers


def _network_lists(rows: list[Row]) -> frozenset[Path]:
    """Paths of lists whose items hold both an embedding and layers of their own."""
    embeddings, stacks = set[Path](), set[Path]()
    for row in rows:
        holes = [index for index, piece in enumerate(row.path) if piece == HOLE]
        if holes and (is_patch_embedding(row) or is_token_embedding(row)):
            embeddings.update(row.path[:index] for index in holes)
        if len(holes) > 1:
            stacks.update(row.path[:index] for index in holes[:-1])
    return frozenset(embeddings & stacks)


def is_token_embedding(row: Row) -> bool:
    """A table of token embeddings, by the name that the field gives it."""
    inner = row.path[-2:] if row.parameter == "" else row.module[-1:]
    named = any(piece in TOKEN_EMBEDDINGS for piece in inner)
    return named and row.parameter != "bias" and (row.shape is None or len(row.shape) == 2)


def is_patch_embedding(row: Row) -> bool:
    """The layer that makes patches of pixels: by its name, or a convolution over three channels."""
    if row.parameter != "weight":
        return False
    if row.shape is not None and len(row.shape) in (4, 5) and row.shape[1] == VISUAL_CHANNELS:
        return max(row.shape[2:]) > 1
    named = any(_means_patch(piece) for piece in row.module[-3:])
    return named and (row.shape is None or len(row.shape) in (2, 4, 5))


def _means_patch(piece: str) -> bool:
    lower = piece.lower()
    return (("patch" in lower or lower.startswith(("stem", "conv_stem"))) and
            not any(word in lower for word in NO_PATCHES))  # fmt: skip

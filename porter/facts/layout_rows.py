"""Checkpoint tensors as rows: names that differ in numbers only stand in one row. Linear in the number of tensors."""

from __future__ import annotations

import re
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
PACKED = frozenset(["qweight", "weight_packed"])
VISUAL_CHANNELS = 3
MAX_DEPTH = 40
MARK = "\0"
NUMBER = re.compile(r"(?<![^.])[0-9]{1,9}(?![^.])")


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
        last = self.path[-1] if len(self.path) > 1 else ""
        return last if last in PARAMETERS else "weight" if last in PACKED else ""

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
    """What is known so far of the names of one template."""

    first: TensorInfo
    count: int = 0
    numbers: list[set[str]] = field(default_factory=list)
    one_shape: bool = True
    one_dtype: bool = True

    def add(self, tensor: TensorInfo, numbers: list[str]) -> None:
        self.count += 1
        if self.first.shape != tensor.shape:
            self.one_shape = False
        if self.first.dtype != tensor.dtype:
            self.one_dtype = False
        for seen, number in zip(self.numbers, numbers, strict=False):
            seen.add(number)

    def row(self, path: Path) -> Row:
        return Row(
            path,
            self.count,
            tuple(tuple(sorted({int(number) for number in seen})) for seen in self.numbers[: path.count(HOLE)]),
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
    gathered: dict[str, _Gathered] = {}
    affected: dict[str, bool] = {}
    for tensor in tensors:
        name = tensor.name if MARK not in tensor.name else tensor.name.replace(MARK, "?")
        template, numbers = NUMBER.sub(MARK, name), NUMBER.findall(name)
        if literal:
            if template not in affected:
                affected[template] = _below(template, literal)
            if affected[template]:
                template, numbers = _with_literals(name, literal)
        found = gathered.get(template)
        if found is None:
            found = gathered[template] = _Gathered(tensor, numbers=[set() for _ in numbers])
        found.add(tensor, numbers)
    paths = sorted((_path(template), template) for template in gathered)
    return [gathered[template].row(path) for path, template in paths]


def _path(template: str) -> Path:
    pieces = template.split(".", MAX_DEPTH)
    escaped = (f"{HOLE}{HOLE}" if piece == HOLE else piece for piece in pieces)
    return tuple(HOLE if piece == MARK else piece.replace(MARK, HOLE) for piece in escaped)


def _with_literals(name: str, literal: frozenset[Path]) -> tuple[str, list[str]]:
    """The template of a name below a list whose numbers stay, and the other numbers."""
    path: list[str] = []
    kept: list[str] = []
    numbers: list[str] = []
    for piece in name.split("."):
        hole = NUMBER.fullmatch(piece) is not None
        stays = hole and tuple(path) in literal
        path.append(piece if stays or not hole else HOLE)
        kept.append(piece if stays or not hole else MARK)
        if hole and not stays:
            numbers.append(piece)
    return ".".join(kept), numbers


def _below(template: str, literal: frozenset[Path]) -> bool:
    """Whether a template lies in one of the lists whose numbers stay."""
    path = _path(template)
    return any(piece == HOLE and path[:index] in literal for index, piece in enumerate(path))


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

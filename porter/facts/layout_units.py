"""What lies beside the networks of a checkpoint: connectors, loose parameters, and modules that are neither."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from porter.facts.layout_rows import Path, Row
from porter.facts.word_lists import words

VISUAL_WORDS = words("vision visual image img vit mm multimodal multi modal vl")
CONNECTOR_WORDS = words(
    "connector projector projection proj resampler merger adapter adaptor aligner align bridge abstractor "
    "perceiver qformer mlp mlp1 mlp2 linear pooling pool neck compressor sampler pooler deepstack interface "
    "downsample"
)
FOREIGN_WORDS = words(
    "audio speech sound voice tts asr talker whisper apm music point points depth action state gene protein "
    "molecule time series graph lidar tactile motion pose text token2wav code2wav gen generation"
)
SEPARATOR_WORDS = words(
    "newline seperator separator sep gn pad split slice tile row col column begin end boi eoi start stop line"
)
QUERIES = words("query queries query_tokens latents latent latent_queries query_embed learnable_queries")
NORM_WORDS = ("norm", "ln_", "_ln", "layernorm")


@dataclass(slots=True)
class Unit:
    """One module, or one loose parameter, that no network holds."""

    path: Path
    rows: list[Row]
    carved: bool = False
    network: bool = False

    @property
    def loose(self) -> bool:
        """A parameter by itself, not a module."""
        return len(self.rows) == 1 and self.rows[0].path == self.path

    @property
    def holds_matrix(self) -> bool:
        return any(is_matrix(row) for row in self.rows)

    @property
    def queries(self) -> bool:
        """Whether it brings its own queries: a resampler, whatever its name."""
        return any(row.path[-1] in QUERIES or row.module[-1:] in {(word,) for word in QUERIES} for row in self.rows)


def is_matrix(row: Row) -> bool:
    """Whether a tensor maps one width to another: by its shape, else by not being named as a norm or a bias."""
    if row.shape is not None:
        return len(row.shape) >= 2 and min(row.shape[:2]) > 1
    last = row.module[-1].lower()
    named = row.parameter == "weight" or row.path[-1] in ("in_proj_weight", "proj", "proj_weight")
    return named and not any(word in last for word in NORM_WORDS) and last not in ("ln", "norm")


def words_of(path: Path) -> set[str]:
    return {word for piece in path for word in piece.lower().replace("-", "_").split("_") if word}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What tells a connector from other modules: widths where they are known, the places of towers, and words of
    other modalities."""

    vision_widths: frozenset[int]
    text_width: int | None
    towers: tuple[Path, ...]
    container: Path
    foreign: frozenset[str]


def connectors_among(units: Iterable[Unit], around: Surroundings) -> list[Unit]:
    """The units that lie between tower and language model; the likeliest one, and what belongs to it."""
    units = list(units)
    carved = [unit for unit in units if unit.carved]
    scored = {unit.path: _score(unit, around) for unit in units if not unit.carved}
    candidates = [unit for unit in units if not unit.carved and scored[unit.path] >= 0]
    best = max(candidates, key=lambda unit: (scored[unit.path], -len(unit.path), unit.path), default=None)
    if best is None or (carved and scored[best.path] < 4):
        return carved
    return [*carved, *(unit for unit in candidates if unit is best or _together(unit, best, around))]


def _together(unit: Unit, best: Unit, around: Surroundings) -> bool:
    """Two modules in one module that also holds the tower, and that is not the language model's."""
    shared = unit.path[:-1] == best.path[:-1] and len(best.path) > 1
    return shared and unit.path[:-1] != around.container and any(_begins(t, best.path[:-1]) for t in around.towers)


def _begins(path: Path, prefix: Path) -> bool:
    return path[: len(prefix)] == prefix


def _score(unit: Unit, around: Surroundings) -> int:
    """What speaks for a unit being the connector: widths, then its place, then, weakest, its name."""
    words = words_of(unit.path)
    score = 4 * _widths_fit(unit, around) + (2 if unit.queries else 0)
    score += 2 * (len(unit.path) > 1 and any(_begins(tower, unit.path[:-1]) for tower in around.towers))
    score += 2 * bool(words & CONNECTOR_WORDS) + bool(words & VISUAL_WORDS)
    return score - 5 * bool(words & (FOREIGN_WORDS | around.foreign))


def _widths_fit(unit: Unit, around: Surroundings) -> int:
    """1 when it ends in the language model's width, 2 when it begins in the tower's too, -1 when it ends elsewhere."""
    shapes = [row.shape for row in unit.rows if is_matrix(row) and row.shape is not None]
    if not shapes or around.text_width is None:
        return 0
    ends = any(around.text_width in shape for shape in shapes)
    begins = any(size in around.vision_widths for shape in shapes for size in shape[1:])
    return (1 + begins) if ends else -1

"""A tower whose code says what it computes, where the names of its parameters do not settle it."""

from __future__ import annotations

from porter.facts.encoders import Encoder, read_encoder
from porter.families.base import ReadingLike
from porter.families.internvl.judgement import Notes, blocked
from porter.families.internvl.towers import TowerAnchor
from porter.jsontypes import JSON


def judge_encoder(reading: ReadingLike, tower: TowerAnchor | None, size: int, dropped: int) -> tuple[Encoder, Notes]:
    """What the code of a tower computes, where its kind is one that names alone do not settle."""
    if tower is None or tower.prefix is None or not size:
        return Encoder(), Notes()
    encoder = read_encoder(reading.configs, size)
    if encoder.unclear:
        return encoder, blocked("vision tower", encoder.unclear)
    if encoder.rows != dropped:
        return encoder, blocked("image tokens", f"{dropped} of {encoder.rows} learnt rows are dropped")
    return encoder, Notes()


def own_settings(tower: TowerAnchor | None, image_size: int, encoder: Encoder) -> dict[str, JSON]:
    """What the class reads and code settles: learnt rows in all, positions for one size alone, the blocks."""
    if tower is None or tower.prefix is None:
        return {}
    rows = encoder.rows if encoder.rows > 1 else None
    return {**tower.settings, "cpe_max_size": image_size, tower.prefix: rows, **encoder.settings}

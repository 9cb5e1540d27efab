"""A tower whose code says what it computes, where the names of its parameters do not settle it."""

from __future__ import annotations

from porter.facts.encoders import Encoder, read_encoder
from porter.families.base import ReadingLike
from porter.families.internvl.judgement import Notes, blocked
from porter.families.internvl.sources import at, resolved, same
from porter.families.internvl.towers import TowerAnchor
from porter.planning.spec import Source


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


def own_settings(
    reading: ReadingLike, tower: TowerAnchor | None, image_size: int, encoder: Encoder
) -> dict[str, Source]:
    """What the class reads and code settles: learnt rows in all, the size of the table of positions, the blocks."""
    if tower is None or tower.prefix is None:
        return {}
    rows = encoder.rows if encoder.rows > 1 else None
    settled = {**tower.settings, tower.prefix: rows, **encoder.settings}
    table = _table(reading, image_size, encoder)
    return {name: Source("constant", value) for name, value in settled.items()} | _ratio(reading, encoder) | table


def _key(reading: ReadingLike, name: str) -> str:
    head = reading.facts.value("vision_config_key")
    return f"{head}.{name}" if isinstance(head, str) and head else name


def _table(reading: ReadingLike, image_size: int, encoder: Encoder) -> dict[str, Source]:
    """The key that the table of positions is made by, so that it stays true at other sizes."""
    path = _key(reading, "max_img_size")
    if encoder.table is None:
        stated = resolved(reading, "vision", "image_size")
        path = str(stated.path) if stated is not None and stated.kind == "config" else ""
    size = encoder.table or image_size
    same_there = bool(path) and same(at(reading.snapshot.config(), path), size)
    return {"cpe_max_size": Source("config", size, path) if same_there else Source("constant", size)}


def _ratio(reading: ReadingLike, encoder: Encoder) -> dict[str, Source]:
    """The width of a library tower's MLP, which its config states as a ratio."""
    stated = at(reading.snapshot.config(), _key(reading, "hidden_size"))
    if encoder.mlp_ratio is None or not isinstance(stated, int):
        return {}
    path, width = _key(reading, "mlp_ratio"), encoder.settings["intermediate_size"]
    return {"intermediate_size": Source("product", width, path, "hidden_size", encoder.mlp_ratio)}

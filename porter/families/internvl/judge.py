"""Judging a repo against one base: each part in turn, into one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from porter.facts.positions import fits_positions
from porter.families.base import ReadingLike
from porter.families.bases import judge_bases
from porter.families.internvl.anchors import Anchors
from porter.families.internvl.configs import judge_attributes, judge_text, judge_vision, with_table
from porter.families.internvl.connector import judge_connector
from porter.families.internvl.encoder import judge_encoder, own_settings
from porter.families.internvl.grids import judge_grid
from porter.families.internvl.judgement import Judgement, Notes, blocked, differs
from porter.families.internvl.path import PathFinding, judge_path
from porter.families.internvl.processing import (
    has_video,
    judge_pixels,
    judge_tags,
    judge_tiling,
    judge_tokens,
    label_of,
)
from porter.families.internvl.sources import same
from porter.families.internvl.towers import TowerAnchor
from porter.families.library import library_beside
from porter.jsontypes import JSON
from porter.planning.spec import Source
from porter.vllm_tree.tree import Tree


def judge(reading: ReadingLike, tree: Tree, anchors: Anchors) -> tuple[Judgement, Notes]:
    """Every part in turn; a part that cannot be judged leaves a blocker and the others are judged all the same."""
    tower, tower_notes = _tower(reading, anchors)
    size, fitted, size_notes = _image_size(reading, anchors, tower)
    path = judge_path(reading, anchors, tower.kind) if tower is not None else PathFinding(Notes())
    code, connector_notes = judge_connector(reading, anchors, path.ratio)
    tokens, placeholder, token_notes = judge_tokens(reading, anchors)
    tags, tag_notes = judge_tags(reading, anchors)
    cut = judge_grid(reading, tree, anchors)
    pixels, pixel_notes = judge_pixels(reading, anchors, path.normalized_by, bool(path.buffers), cut)
    encoder, encoder_notes = judge_encoder(reading, tower, size, path.dropped)
    library = library_beside(tree.package)
    text, text_notes = judge_text(reading, tree, library)
    settled = own_settings(reading, tower, size, encoder)
    vision, vision_notes = judge_vision(reading, tower, size, settled) if tower is not None else (None, Notes())
    vision = with_table(reading, vision, size) if fitted else vision
    tiling = judge_tiling(reading, anchors)
    attributes, config_notes = judge_attributes(reading, anchors, _settled(path, tiling), size, size)
    parts = (tower_notes, encoder_notes, path.notes, connector_notes, token_notes, tag_notes, pixel_notes, size_notes)
    found = (*parts, cut.notes, text_notes, vision_notes, judge_bases(reading, tree))
    judgement = Judgement(
        anchors=anchors,
        attributes={**attributes, **tiling},
        vision=vision,
        text=text,
        tokens=tokens,
        placeholder=placeholder,
        tags=tags,
        label=label_of(reading, placeholder),
        pixels=pixels,
        tower=replace(path.tower, scales=()) if path.tower is not None and encoder.scaled else path.tower,
        connector_code=code,
        buffers=path.buffers,
        features=path.features,
        lora_tokens=path.dropped if anchors.lora_counts and path.dropped != anchors.drop_tokens else None,
        video=has_video(reading) and label_of(reading, placeholder) is None,
        tied=reading.facts.value("tied_embeddings"),
        unbuilt_layers=tower is not None and not tower.skips_layers and path.layer != -1,
    )
    return judgement, _sum(*found, config_notes, _whole(reading), _renamed(attributes))


def _sum(*parts: Notes) -> Notes:
    total = Notes()
    for part in parts:
        total = total.plus(part)
    return total


def _settled(path: PathFinding, tiling: Mapping[str, Source]) -> dict[str, JSON]:
    """What the code was seen to use, by the base's names."""
    seen: dict[str, JSON] = {
        "downsample_ratio": path.ratio,
        "ps_version": path.shuffle or "v2",
        "select_layer": path.layer,
    }
    return {**seen, **{name: source.value for name, source in tiling.items()}}


def _tower(reading: ReadingLike, anchors: Anchors) -> tuple[TowerAnchor | None, Notes]:
    fact = reading.facts["vision_tower"]
    towers = [item for item in fact.value if isinstance(item, dict)] if isinstance(fact.value, list) else []
    if len(towers) != 1:
        return None, blocked(
            "vision tower", f"the repo has {len(towers) or 'no'} vision towers that could be read, the base has one"
        )
    kind = towers[0].get("kind")
    found = anchors.towers.get(str(kind))
    if found is None:
        shown = towers[0].get("class") or kind or "its class"
        return None, blocked(
            "vision tower", f"{shown} is no tower that this base can hold ({', '.join(anchors.towers)})"
        )
    if kind == anchors.base_tower:
        return found, Notes()
    return found, differs("vision tower", anchors.base_tower, kind, "_init_vision_model")


def _image_size(reading: ReadingLike, anchors: Anchors, tower: TowerAnchor | None) -> tuple[int, bool, Notes]:
    """(the tile's side, whether the tower's own is another, notes): its code must then fit its positions as the base's
    does, to tiles that are made by `force_image_size`."""
    size, patch = reading.facts.value("image_size"), reading.facts.value("patch_size")
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        return 0, False, blocked("image size", f"the base takes square tiles of one size, the repo gives {size!r}")
    own = reading.resolve("vision", "image_size").value
    stated = own.get("value") if isinstance(own, dict) else None
    if tower is None or not isinstance(stated, int) or stated == size:
        return size, False, _tokens_agree(reading, size, patch)
    why = "its positions are for that size alone"
    if tower.kind == anchors.base_tower and tower.fits:
        forced = same(reading.snapshot.config().get("force_image_size"), size)
        why = fits_positions(reading.configs, size) if forced else "no force_image_size says so"
    if why:
        shown = f"tiles are {size} pixels wide, but the tower is made for {stated}: {why}"
        return size, False, blocked("image size", shown)
    note = differs("image size", stated, size, "_init_vision_model, positions fitted to tiles")
    return size, True, note.plus(_tokens_agree(reading, size, patch))


def _tokens_agree(reading: ReadingLike, size: int, patch: JSON) -> Notes:
    count, ratio = reading.facts.value("tokens_per_tile"), reading.facts.value("downsample_ratio")
    if not isinstance(patch, int) or not isinstance(ratio, (int, float)) or not isinstance(count, int) or patch <= 0:
        return Notes()
    formula = int((size // patch) ** 2 * ratio**2)
    return (
        Notes()
        if formula == count
        else blocked("tokens per tile", f"the code gives {count}, the base's formula {formula}")
    )


def _whole(reading: ReadingLike) -> Notes:
    """What rules out the shape as a whole."""
    config = reading.snapshot.config()
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        return blocked("model_type", "config.json has no model_type, by which vLLM finds a config class")
    if config.get("is_encoder_decoder") is True:
        return blocked("encoder-decoder", "config.json says is_encoder_decoder")
    if any("cross_attention" in key for key in config):
        return blocked(
            "cross-attention", "config.json names cross-attention layers; the base merges features into the prompt"
        )
    return Notes()


def _renamed(attributes: Mapping[str, Source]) -> Notes:
    notes = Notes()
    for name, source in attributes.items():
        if source.kind != "constant" and source.path != name:
            notes = notes.plus(
                differs(
                    "config", name, source.path, "own config class" if source.kind != "processor" else "processing info"
                )
            )
    return notes

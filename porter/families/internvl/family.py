"""Matching a repo with the InternVL base of a tree, and the port that follows."""

from __future__ import annotations

from collections.abc import Mapping

from porter.errors import Refused, TreeError
from porter.facts.model import Confidence, Evidence, Fact
from porter.families.base import Match, ReadingLike
from porter.families.internvl.anchors import Anchors, read_anchors
from porter.families.internvl.configs import config_spec, judge_attributes, judge_text, judge_vision, scope_of
from porter.families.internvl.connector import judge_connector
from porter.families.internvl.judgement import Judgement, Notes, blocked, differs
from porter.families.internvl.path import PathFinding, judge_path
from porter.families.internvl.processing import judge_pixels, judge_tiling, judge_tokens
from porter.families.internvl.towers import TowerAnchor
from porter.families.library import library_beside
from porter.jsontypes import JSON
from porter.planning.names import Names, names_for
from porter.planning.spec import BaseSpec, PortSpec, Source, TokenSpec
from porter.vllm_tree.registry import architectures
from porter.vllm_tree.tree import Tree
from porter.weights.mapper import NameRules

ARCHITECTURE = "InternVLChatModel"
USES = (
    "image_context_token", "image_start_token", "image_end_token", "image_size", "patch_size", "downsample_ratio", "pixel_shuffle",
    "feature_layer", "image_mean", "image_std", "resample", "vision_tower", "connector", "language_model", "feature_path",
)  # fmt: skip


class InternVL:
    """The family, as `porter.families.FAMILIES` lists it."""

    name = "internvl"

    def anchors(self, tree: Tree) -> Anchors:
        entry = architectures(tree).get(ARCHITECTURE)
        file = entry.file(tree) if entry is not None else None
        if entry is None or file is None:
            raise TreeError(f"this vLLM ({tree.version}) has no {ARCHITECTURE}", where=str(tree.package))
        return read_anchors(tree, file, entry.class_name)

    def match(self, reading: ReadingLike, tree: Tree) -> Match:
        return match_base(reading, tree, self.anchors(tree), self.name)

    def spec(self, match: Match, reading: ReadingLike, tree: Tree, *, rules: NameRules | None = None) -> PortSpec:
        """The port of a match. Raises Refused when the match has blockers."""
        if match.blockers or not isinstance(match.judgement, Judgement):
            raise Refused(f"the {self.name} family does not fit: {match.blockers[0].why if match.blockers else 'nothing was judged'}")
        return _spec(self.name, match.judgement, reading, rules or NameRules())


def match_base(reading: ReadingLike, tree: Tree, anchors: Anchors, family: str) -> Match:
    """Judge a repo against one base: the family's own, or an architecture of the tree that has the same hooks."""
    judgement, notes = judge(reading, tree, anchors)
    explained = len(judgement.attributes) + (5 - min(5, len(notes.blockers)))
    return Match(
        family=family,
        module=anchors.module,
        model_class=anchors.model_class,
        processor_class=anchors.processor.processor,
        score=explained / (len(judgement.attributes) + 5),
        differences=notes.differences,
        blockers=notes.blockers,
        evidence=tuple(Evidence(anchors.relpath, f"line {line}", f"config.{name}") for name, line in list(anchors.reads.items())[:4]),
        config_map=config_map(reading, anchors),
        uses=USES,
        judgement=judgement,
    )


def judge(reading: ReadingLike, tree: Tree, anchors: Anchors) -> tuple[Judgement, Notes]:
    """Every part in turn; a part that cannot be judged leaves a blocker and the others are judged all the same."""
    tower, notes = _tower(reading, anchors)
    path = judge_path(reading, anchors, tower.kind) if tower is not None else PathFinding(Notes())
    layers, code, connector = judge_connector(reading, anchors, path.ratio)
    tokens, placeholder, token_notes = judge_tokens(reading, anchors)
    pixels, pixel_notes = judge_pixels(reading, anchors, path.normalized_by, bool(path.buffers))
    size, size_notes = _image_size(reading, tower)
    text, text_notes = judge_text(reading, tree, library_beside(tree.package))
    vision, vision_notes = judge_vision(reading, tower, size) if tower is not None else (None, Notes())
    settled = {"downsample_ratio": path.ratio, "ps_version": path.shuffle or "v2", "select_layer": path.layer, **_tiling_values(reading)}
    tiling = judge_tiling(reading)
    attributes, attribute_notes = judge_attributes(reading, anchors, settled, size, size)
    for part in (path.notes, connector, token_notes, pixel_notes, size_notes, text_notes, vision_notes, attribute_notes):
        notes = notes.plus(part)
    notes = notes.plus(_whole(reading)).plus(_renamed(attributes))
    lora = path.dropped if anchors.lora_counts and path.dropped != anchors.drop_tokens else None
    judgement = Judgement(
        anchors, {**attributes, **tiling}, vision, text, tokens, placeholder, pixels, path.tower, layers, code, path.buffers,
        path.features, lora, _video(reading), reading.facts.value("tied_embeddings"), tower.kind if tower is not None else "",
        tower is not None and not tower.skips_layers and path.layer != -1,
    )  # fmt: skip
    return judgement, notes


def _tower(reading: ReadingLike, anchors: Anchors) -> tuple[TowerAnchor | None, Notes]:
    fact = reading.facts["vision_tower"]
    towers = [item for item in fact.value if isinstance(item, dict)] if isinstance(fact.value, list) else []
    if len(towers) != 1:
        return None, blocked("vision tower", f"the repo has {len(towers) or 'no'} vision towers that could be read, the base has one")
    kind = towers[0].get("kind")
    found = anchors.towers.get(str(kind))
    if found is None:
        shown = towers[0].get("class") or kind or "its class"
        return None, blocked("vision tower", f"{shown} is no tower that this base can hold ({', '.join(anchors.towers)})")
    if kind == anchors.base_tower:
        return found, Notes()
    return found, differs("vision tower", anchors.base_tower, kind, "_init_vision_model")


def _image_size(reading: ReadingLike, tower: TowerAnchor | None) -> tuple[int, Notes]:
    """The tile's side. The tower's own size must be the same: its schema and its positions are made for it."""
    size, patch = reading.facts.value("image_size"), reading.facts.value("patch_size")
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        return 0, blocked("image size", f"the base takes square tiles of one size, the repo gives {size!r}")
    own = reading.resolve("vision", "image_size").value
    stated = own.get("value") if isinstance(own, dict) else None
    if tower is not None and isinstance(stated, int) and stated != size:
        return size, blocked("image size", f"tiles are {size} pixels wide, but the tower is made for {stated}")
    return size, _tokens_agree(reading, size, patch)


def _tokens_agree(reading: ReadingLike, size: int, patch: JSON) -> Notes:
    count, ratio = reading.facts.value("tokens_per_tile"), reading.facts.value("downsample_ratio")
    if not isinstance(patch, int) or not isinstance(ratio, (int, float)) or not isinstance(count, int) or patch <= 0:
        return Notes()
    formula = int((size // patch) ** 2 * ratio**2)
    return Notes() if formula == count else blocked("tokens per tile", f"the code gives {count}, the base's formula {formula}")


def _tiling_values(reading: ReadingLike) -> dict[str, JSON]:
    return {name: source.value for name, source in judge_tiling(reading).items()}


def _video(reading: ReadingLike) -> bool:
    modalities = reading.facts.value("modalities")
    return isinstance(modalities, list) and "video" in modalities


def _whole(reading: ReadingLike) -> Notes:
    """What rules out the shape as a whole."""
    config = reading.snapshot.config()
    if config.get("is_encoder_decoder") is True:
        return blocked("encoder-decoder", "config.json says is_encoder_decoder")
    if any("cross_attention" in key for key in config):
        return blocked("cross-attention", "config.json names cross-attention layers; the base merges features into the prompt")
    return Notes()


def _renamed(attributes: Mapping[str, Source]) -> Notes:
    notes = Notes()
    for name, source in attributes.items():
        if source.kind != "constant" and source.path != name:
            notes = notes.plus(differs("config", name, source.path, "own config class" if source.kind != "processor" else "processing info"))
    return notes


def config_map(reading: ReadingLike, anchors: Anchors) -> Fact:
    """The fact `config_map`: for each attribute that the base reads, the path where this repo keeps it."""
    paths: dict[str, JSON] = {}
    for attribute in anchors.reads:
        scope, name = scope_of(attribute), attribute.rpartition(".")[2]
        if name in ("vision_config", "text_config"):
            key = reading.facts.value("text_config_key" if name == "text_config" else "vision_config_key")
            paths[attribute] = key if isinstance(key, str) else None
            continue
        value = reading.resolve(scope, name).value
        paths[attribute] = value.get("path") if isinstance(value, dict) else None
    shown = tuple(Evidence(anchors.relpath, f"line {line}", f"config.{name}") for name, line in anchors.reads.items())
    return Fact("config_map", paths, Confidence.CERTAIN, shown[:8], about="tree")


def _spec(family: str, judged: Judgement, reading: ReadingLike, rules: NameRules) -> PortSpec:
    names = names_for(str(reading.facts.value("architecture")))
    if judged.vision is None or judged.text is None:
        raise Refused("the repo's vision or text config could not be placed")
    model_type = str(reading.facts.value("model_type") or names.module)
    tiling = {name: judged.attributes[name] for name in judged.anchors.processor.image_parameters if name in judged.attributes}
    in_config = {name: source for name, source in judged.attributes.items() if source.kind != "processor"}
    tokens = reading.facts.value("tokens_per_tile")
    return PortSpec(
        family=family,
        names=names,
        model_type=model_type,
        base=_base(judged, names),
        config=config_spec(reading, in_config, judged.vision, judged.text, judged.tied),
        tokens=TokenSpec(judged.tokens, judged.placeholder),
        tiling=tiling,
        video=judged.video,
        patch_size=Source("config", reading.facts.value("patch_size"), "patch_size"),
        pixels=judged.pixels,
        tower=judged.tower,
        connector=judged.connector_code,
        buffers=judged.buffers,
        features=judged.features,
        lora_tokens=judged.lora_tokens,
        unbuilt_layers=judged.unbuilt_layers,
        rules=with_drops(rules, reading, judged),
        tokens_per_tile=tokens if isinstance(tokens, int) else None,
    )


def with_drops(rules: NameRules, reading: ReadingLike, judged: Judgement) -> NameRules:
    """The rules, and a drop for each stored buffer that the repo's own image path does not use."""
    listed = reading.facts.value("buffers")
    held = {buffer.name for buffer in judged.buffers}
    stored = {tensor.name for tensor in reading.snapshot.tensors.tensors}
    names = [
        str(item["name"])
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict) and item.get("persistent") is not False and item.get("attr") not in held and item.get("used") is False
    ]
    drops: dict[str, str | None] = {name: None for name in names if not stored or name in stored}
    return NameRules(rules.substr, {**drops, **rules.prefix}, rules.suffix) if drops else rules


def _base(judged: Judgement, names: Names) -> BaseSpec:
    anchors = judged.anchors
    trio = anchors.with_video if judged.video else anchors.image_only
    processor = anchors.processor
    return BaseSpec(
        module=anchors.module,
        model=anchors.model_class,
        info=trio.info,
        processor=trio.processor,
        dummy=trio.dummy,
        hf_module=processor.module,
        hf_processor=processor.processor,
        image_processor=processor.image_processor,
        video_processor=processor.video_processor if judged.video else None,
        helpers=processor.helpers,
        config_base=anchors.config_base,
        quantization=anchors.quantization_import,
        placeholder=anchors.placeholder,
        tokens={name: value for name, value in processor.tokens.items() if isinstance(value, str)},
    )

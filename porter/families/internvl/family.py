"""Matching a repo with the InternVL base of a tree, and the port that follows."""

from __future__ import annotations

from dataclasses import replace

from porter.errors import Refused, TreeError
from porter.facts.model import Evidence
from porter.families.base import Match, ReadingLike
from porter.families.internvl.anchors import Anchors, read_anchors
from porter.families.internvl.configs import config_spec
from porter.families.internvl.judge import judge
from porter.families.internvl.judgement import Judgement
from porter.families.internvl.saved import both_forms
from porter.families.internvl.writing import Writing
from porter.planning.draft import draft_rules
from porter.planning.names import names_for
from porter.planning.spec import BaseSpec, PortSpec, TokenSpec
from porter.vllm_tree.contract import read_contract
from porter.vllm_tree.registry import architectures
from porter.vllm_tree.tree import Tree
from porter.weights.mapper import NameRules, mapper_field

ARCHITECTURE = "InternVLChatModel"
USES = (
    "image_context_token",
    "image_start_token",
    "image_end_token",
    "image_size",
    "patch_size",
    "downsample_ratio",
    "pixel_shuffle",
    "feature_layer",
    "image_mean",
    "image_std",
    "resample",
    "vision_tower",
    "connector",
    "language_model",
    "feature_path",
)
TILED = ("min_tiles", "max_tiles", "use_thumbnail")


class InternVL(Writing):
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
        """The port of a match. Raises Refused when the match has blockers, TreeError for a mapper this tree lacks."""
        if match.blockers or not isinstance(match.judgement, Judgement):
            why = match.blockers[0].why if match.blockers else "nothing was judged"
            raise Refused(f"the {self.name} family does not fit: {why}")
        spec = _spec(self.name, match.judgement, reading, rules or NameRules())
        spec = replace(spec, rules=both_forms(spec.rules, reading, tree))
        check_mapper(spec.rules, tree)
        return spec

    def draft_rules(self, match: Match, reading: ReadingLike) -> NameRules:
        return draft_rules(reading)


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
        evidence=_reads(anchors, 4),
        uses=(*USES, *(TILED if judgement.tiled else ())),
        judgement=judgement,
    )


def _reads(anchors: Anchors, limit: int) -> tuple[Evidence, ...]:
    pairs = list(anchors.reads.items())[:limit]
    return tuple(Evidence(anchors.relpath, f"line {line}", f"config.{name}") for name, line in pairs)


def _spec(family: str, judged: Judgement, reading: ReadingLike, rules: NameRules) -> PortSpec:
    names = names_for(str(reading.facts.value("architecture")))
    if judged.vision is None or judged.text is None:
        raise Refused("the repo's vision or text config could not be placed")
    model_type = str(reading.facts.value("model_type") or names.module)
    tiling = {
        name: judged.attributes[name] for name in judged.anchors.processor.image_parameters if name in judged.attributes
    }
    in_config = {name: source for name, source in judged.attributes.items() if source.kind != "processor"}
    tokens = reading.facts.value("tokens_per_tile")
    return PortSpec(
        family=family,
        names=names,
        model_type=model_type,
        base=_base(judged),
        config=config_spec(reading, in_config, judged.vision, judged.text, judged.tied),
        tokens=TokenSpec(judged.tokens, judged.placeholder, judged.tags, judged.label),
        tiling=tiling,
        video=judged.video,
        pixels=judged.pixels,
        tower=judged.tower,
        connector=judged.connector_code,
        buffers=judged.buffers,
        features=judged.features,
        lora_tokens=judged.lora_tokens,
        unbuilt_layers=judged.unbuilt_layers,
        rules=both_nestings(with_drops(rules, reading, judged), reading, judged),
        tokens_per_tile=tokens if isinstance(tokens, int) else None,
    )


def both_nestings(rules: NameRules, reading: ReadingLike, judged: Judgement) -> NameRules:
    """The rules for a tower of transformers, whose own names lost a level in its version 5: either form is taken.

    A checkpoint saved before has `TOWER.vision_model.encoder`, one saved since has `TOWER.encoder`.
    """
    towers = reading.facts.value("vision_tower")
    tower = towers[0] if isinstance(towers, list) and towers else None
    if judged.tower is None or not judged.tower.inner or not isinstance(tower, dict) or tower.get("in_repo"):
        return rules
    inner = f"{judged.tower.inner}."
    place = f"vision_model.{inner}"
    for old in [old for old, new in rules.prefix.items() if new in (place, "vision_model.")]:
        flat = old.removesuffix(inner) if old.endswith(f".{inner}") else old
        nested = f"{flat}{inner}"
        others = {key: new for key, new in rules.prefix.items() if key not in (nested, flat)}
        wider = replace(rules, prefix={nested: place, flat: place, **others})
        if wider.apply(f"{nested}x") == wider.apply(f"{flat}x") == f"{place}x":
            return wider
    return rules


def with_drops(rules: NameRules, reading: ReadingLike, judged: Judgement) -> NameRules:
    """The rules, and a drop for each stored buffer that the repo's own image path does not use."""
    listed = reading.facts.value("buffers")
    held = {buffer.name for buffer in judged.buffers}
    stored = {tensor.name for tensor in reading.snapshot.tensors.tensors}
    names = [
        str(item["name"])
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict)
        and item.get("persistent") is not False
        and item.get("attr") not in held
        and item.get("used") is False
    ]
    drops: dict[str, str | None] = {name: None for name in names if not stored or name in stored}
    return replace(rules, prefix={**drops, **rules.prefix})


def check_mapper(rules: NameRules, tree: Tree) -> None:
    """Raises TreeError, with the field's name, when the tree's WeightsMapper lacks one that the rules need."""
    known = read_contract(tree).require("mapper_fields") if rules else None
    needed = dict.fromkeys(mapper_field(kind) for kind, _, _ in rules.steps())
    lacking = [name for name in needed if not isinstance(known, list) or name not in known]
    if lacking:
        raise TreeError(f"this vLLM's WeightsMapper has no {', '.join(lacking)}, which the weight names need")


def _base(judged: Judgement) -> BaseSpec:
    anchors = judged.anchors
    trio = anchors.with_video if judged.video else anchors.image_only
    processor = anchors.processor
    return BaseSpec(
        module=anchors.module,
        model=anchors.model_class,
        info=trio.info,
        processor=trio.processor,
        dummy=trio.dummy,
        generic=trio.generic,
        hf_module=processor.module,
        hf_processor=processor.processor,
        image_processor=processor.image_processor,
        config_base=anchors.config_base,
        quantization=anchors.quantization_import,
        placeholder=anchors.placeholder,
        tokens={name: value for name, value in processor.tokens.items() if isinstance(value, str)},
    )

"""Matching a repo with the LLaVA base of a tree, and the port that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from porter.errors import Refused, TreeError
from porter.facts.model import Evidence
from porter.families.base import Match, ReadingLike
from porter.families.internvl.family import check_mapper
from porter.families.llava.anchors import LlavaAnchors, read_anchors
from porter.families.llava.anyres import Grid, pinpoints, sizes
from porter.families.llava.judge import Judgement, judge
from porter.families.llava.kinds import Kind
from porter.families.llava.spec import LlavaSpec
from porter.families.llava.writing import Writing
from porter.planning.draft import draft_rules
from porter.planning.names import names_for
from porter.vllm_tree.registry import architectures
from porter.vllm_tree.tree import Tree
from porter.weights.mapper import NameRules

USES = (
    "image_context_token",
    "image_context_token_id",
    "image_size",
    "patch_size",
    "feature_layer",
    "vision_tower",
    "connector",
    "language_model",
    "feature_path",
)
PLACES = {
    "vision_tower": "vision_tower.vision_model",
    "connector": "multi_modal_projector",
    "language_model": "language_model",
}
INNER = "vision_model."


class Llava(Writing):
    """The families of the shape, as `porter.families.FAMILIES` lists them."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    @property
    def name(self) -> str:
        return self.kind.name

    def anchors(self, tree: Tree) -> LlavaAnchors:
        entry = architectures(tree).get(self.kind.architecture)
        file = entry.file(tree) if entry is not None else None
        if entry is None or file is None:
            raise TreeError(f"this vLLM ({tree.version}) has no {self.kind.architecture}", where=str(tree.package))
        return read_anchors(tree, file, entry.class_name)

    def match(self, reading: ReadingLike, tree: Tree) -> Match:
        anchors = self.anchors(tree)
        judged, notes = judge(reading, tree, anchors, self.kind)
        parts = 5 - min(5, len(notes.blockers))
        reads = list(anchors.reads.items())[:4]
        return Match(
            family=self.name,
            module=anchors.base.module,
            model_class=anchors.base.model,
            processor_class=anchors.base.hf_processor,
            score=(judged.attributes.read + parts) / (len(anchors.reads) + 5),
            differences=notes.differences,
            blockers=notes.blockers,
            evidence=tuple(Evidence(anchors.relpath, f"line {line}", f"config.{name}") for name, line in reads),
            uses=USES,
            judgement=judged,
        )

    def spec(self, match: Match, reading: ReadingLike, tree: Tree, *, rules: NameRules | None = None) -> LlavaSpec:
        """The port of a match. Raises Refused when the match has blockers, TreeError for a mapper this tree lacks."""
        judged = match.judgement
        if match.blockers or not isinstance(judged, Judgement):
            why = match.blockers[0].why if match.blockers else "nothing was judged"
            raise Refused(f"the {self.name} family does not fit: {why}")
        spec = _spec(self.kind, judged, reading, with_drops(rules or NameRules(), reading))
        check_mapper(spec.rules, tree)
        return spec

    def draft_rules(self, match: Match, reading: ReadingLike) -> NameRules:
        own = isinstance(match.judgement, Judgement) and bool(match.judgement.connector.code)
        return draft(reading, own)


def draft(reading: ReadingLike, own_connector: bool) -> NameRules:
    """Renames from the facts alone; `own_connector`: its layers are those of a sequence, not the base's two."""
    rules = draft_rules(reading, PLACES)
    place, renames = f"{PLACES['connector']}.", dict(rules.prefix)
    linears = [old for old, new in renames.items() if new and new.startswith(place) and new != place]
    if not own_connector:
        renames.update({old: f"{place}linear_{index}." for index, old in enumerate(linears, 1)})
        same = [old for old in linears if old.endswith(f".{str(renames[old]).removeprefix(place)}")]
        renames = {old: new for old, new in renames.items() if old not in same}
    return replace(rules, prefix={**renames, **_language(reading)})


def _language(reading: ReadingLike) -> dict[str, str | None]:
    """A decoder whose head stands outside of it, by the names that are stored, or that the code builds."""
    from porter.planning.build import built_in_order

    prefixes = reading.facts.value("weight_prefixes")
    prefix = prefixes.get("language_model") if isinstance(prefixes, dict) else None
    names = [tensor.name for tensor in reading.snapshot.tensors.tensors] or list(built_in_order(reading))
    if not prefix or "lm_head.weight" not in names or any(name.startswith(f"{prefix}.model.") for name in names):
        return {}
    return {f"{prefix}.": "language_model.model.", "lm_head.": "language_model.lm_head."}


def _spec(kind: Kind, judged: Judgement, reading: ReadingLike, rules: NameRules) -> LlavaSpec:
    names = names_for(str(reading.facts.value("architecture")))
    if judged.vision is None or judged.text is None or judged.tap is None:
        raise Refused("the repo's vision or text config could not be placed")
    tokens = reading.facts.value("tokens_per_tile")
    found = judged.attributes
    return LlavaSpec(
        family=kind.name,
        names=names,
        model_type=str(reading.facts.value("model_type")),
        base=judged.anchors.base,
        vision=judged.vision,
        text=judged.text,
        image_token=judged.image_token,
        strategy=judged.tap.strategy,
        renames=found.renames,
        given=found.given,
        forced=found.forced,
        processor=judged.processor,
        connector=judged.connector.code,
        post_norm=judged.tap.post_norm,
        grid=_grid(reading, judged) if kind.anyres else None,
        rules=both_nestings(rules, reading),
        tokens_per_tile=tokens if isinstance(tokens, int) else None,
    )


def _grid(reading: ReadingLike, judged: Judgement) -> Grid | None:
    side, patch = reading.facts.value("image_size"), reading.facts.value("patch_size")
    if not isinstance(side, int) or not isinstance(patch, int) or judged.tower is None or judged.tap is None:
        return None
    extra = (1 if judged.tower.has_cls else 0) - (1 if judged.tap.strategy == "default" else 0)
    return Grid(side, side // patch, (side // patch) ** 2 + extra, sizes(pinpoints(reading)))


def with_drops(rules: NameRules, reading: ReadingLike) -> NameRules:
    """The rules, and a drop for each stored buffer that the repo's own image path does not use."""
    listed = reading.facts.value("buffers")
    stored = {tensor.name for tensor in reading.snapshot.tensors.tensors}
    drops: dict[str, str | None] = {}
    for item in listed if isinstance(listed, list) else []:
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(item, dict) and isinstance(name, str) and item.get("used") is False and name in stored:
            drops[name] = None
    return replace(rules, prefix={**drops, **rules.prefix})


def both_nestings(rules: NameRules, reading: ReadingLike) -> NameRules:
    """The rules for a tower of transformers in either form of its names: with `vision_model.`, or without it."""
    place = f"{PLACES['vision_tower']}."
    for old, new in rules.prefix.items():
        if new not in (place, place.removesuffix(INNER)):
            continue
        flat = old.removesuffix(INNER) if old.endswith(f".{INNER}") else old
        others: Mapping[str, str | None] = {
            key: target for key, target in rules.prefix.items() if key not in (f"{flat}{INNER}", flat)
        }
        wider = replace(rules, prefix={f"{flat}{INNER}": place, flat: place, **others})
        if wider.apply(f"{flat}{INNER}x") == wider.apply(f"{flat}x") == f"{place}x":
            return wider
    return rules

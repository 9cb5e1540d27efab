"""Judging a repo against the LLaVA base: each part in turn, into one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from porter.facts.model import Confidence
from porter.families.base import Blocker, ReadingLike
from porter.families.bases import judge_bases
from porter.families.internvl.configs import judge_text, judge_vision
from porter.families.internvl.judgement import Notes, blocked, differs
from porter.families.internvl.towers import TowerAnchor
from porter.families.library import Library, library_beside
from porter.families.llava.anchors import LlavaAnchors
from porter.families.llava.anyres import PINPOINTS, pinpoints
from porter.families.llava.attributes import Attributes, judge_attributes
from porter.families.llava.connector import Connector, judge_connector
from porter.families.llava.kinds import Kind
from porter.families.llava.pixels import judge_pixels
from porter.jsontypes import JSON, JSONObject
from porter.planning.spec import SubConfig
from porter.vllm_tree.tree import Tree

PATHS = (("tower", "connector"), ("tower", "drop_tokens", "connector"))
STRATEGIES = {0: "full", 1: "default"}
"""How many tokens go from the front, and what the base calls that."""


@dataclass(frozen=True, slots=True)
class Tap:
    """What is taken from the tower: hidden state `layer`, by `strategy`; `post_norm`: behind its last norm."""

    layer: int
    strategy: str
    post_norm: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """All parts of a port, before names are given."""

    anchors: LlavaAnchors
    tower: TowerAnchor | None = None
    tap: Tap | None = None
    vision: SubConfig | None = None
    text: SubConfig | None = None
    image_token: str = ""
    attributes: Attributes = field(default_factory=Attributes)
    connector: Connector = field(default_factory=Connector)
    processor: Mapping[str, JSON] = field(default_factory=dict)


def judge(reading: ReadingLike, tree: Tree, anchors: LlavaAnchors, kind: Kind) -> tuple[Judgement, Notes]:
    """Every part in turn; a part that cannot be judged leaves a blocker and the others are judged all the same."""
    library = library_beside(tree.package)
    tower, notes = judge_tower(reading, anchors)
    tap, more = judge_tap(reading, tower)
    notes = notes.plus(more)
    text, more = judge_text(reading, tree, library)
    notes = notes.plus(more).plus(_library_text(text))
    vision, more = _vision(reading, tower, library)
    notes = notes.plus(more)
    token, more = judge_token(reading, anchors)
    notes = notes.plus(more)
    connector, more = judge_connector(reading)
    notes = notes.plus(more)
    processor, more = judge_pixels(reading, kind, anchors, library, token, tap.strategy if tap else "", tower)
    notes = notes.plus(more)
    attributes, more = judge_attributes(reading, anchors, _settled(reading, tap, connector))
    judged = Judgement(anchors, tower, tap, vision, text, token, attributes, connector, processor)
    bases = judge_bases(reading, tree, (kind.architecture,))
    return judged, notes.plus(more).plus(judge_whole(reading)).plus(bases)


def _settled(reading: ReadingLike, tap: Tap | None, connector: Connector) -> dict[str, JSON]:
    """The base's config attributes as the code was seen to use them."""
    return {
        "image_token_index": reading.facts.value("image_context_token_id"),
        "vision_feature_layer": tap.layer if tap else None,
        "vision_feature_select_strategy": tap.strategy if tap else None,
        PINPOINTS: pinpoints(reading),
        "projector_hidden_act": connector.act,
        "multimodal_projector_bias": connector.bias,
    }


def judge_tower(reading: ReadingLike, anchors: LlavaAnchors) -> tuple[TowerAnchor | None, Notes]:
    value = reading.facts.value("vision_tower")
    towers = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    if len(towers) != 1:
        count = len(towers) or "no"
        return None, blocked("vision tower", f"the repo has {count} vision towers that could be read, the base has one")
    kind = towers[0].get("kind")
    found = anchors.towers.get(str(kind))
    if found is None or found.config is None:
        held = ", ".join(name for name, tower in anchors.towers.items() if tower.config is not None)
        shown = towers[0].get("class") or kind or "its class"
        return None, blocked("vision tower", f"{shown} is no tower that this base can hold ({held})")
    return found, Notes()


def judge_tap(reading: ReadingLike, tower: TowerAnchor | None) -> tuple[Tap | None, Notes]:
    """Which hidden state goes on and which of its tokens, from the `feature_path` fact."""
    fact = reading.facts["feature_path"]
    ops = [op for op in fact.value if isinstance(op, dict)] if isinstance(fact.value, list) else []
    if not ops or tower is None:
        why = fact.note or "the code of the model is not there or could not be followed from pixels to the connector"
        return None, Notes(blockers=(Blocker("feature path", why, fact.evidence),)) if not ops else Notes()
    names = tuple(str(op.get("op")) for op in ops)
    if names not in PATHS:
        shown = f"the image path is {' -> '.join(names)}, the base's is tower -> drop_tokens -> connector"
        return None, Notes(blockers=(Blocker("feature path", shown, fact.evidence),))
    by_name: dict[str, JSONObject] = {str(op["op"]): op for op in ops}
    tap, cut = by_name["tower"], by_name.get("drop_tokens", {})
    layer = tap.get("layer")
    if not isinstance(layer, int) or isinstance(layer, bool):
        return None, blocked("feature layer", f"the tapped layer {layer!r} is not one number")
    strategy = STRATEGIES.get(_count(cut.get("count")))
    if strategy is None or _count(cut.get("from_end")):
        return None, blocked("image tokens", "other tokens than the first one are dropped")
    post_norm = tap.get("output") == "last_hidden_state" and layer == -1 and tower.norms_last
    notes = differs("tower's last norm", "left out", "applied", "__init__") if post_norm else Notes()
    if post_norm and not tower.post_norm:
        notes = blocked("tower's last norm", f"{tower.cls} of this vLLM cannot be asked for it")
    return Tap(layer, strategy, post_norm), notes


def _count(value: JSON) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _library_text(text: SubConfig | None) -> Notes:
    if text is not None and (text.library is None or text.computed or text.renames):
        return blocked("language model", f"{text.model_type} has no config class in transformers")
    return Notes()


def _vision(reading: ReadingLike, tower: TowerAnchor | None, library: Library) -> tuple[SubConfig | None, Notes]:
    size = reading.facts.value("image_size")
    if tower is None:
        return None, Notes()
    if not isinstance(size, int) or isinstance(size, bool):
        return None, blocked("image size", f"the base takes square images of one size, the repo gives {size!r}")
    own = reading.resolve("vision", "image_size").value
    stated = own.get("value") if isinstance(own, dict) else None
    if isinstance(stated, int) and stated != size:
        return None, blocked("image size", f"images are {size} pixels wide, but the tower is made for {stated}")
    vision, notes = judge_vision(reading, tower, size)
    if vision.computed or vision.key is None or "." in vision.key:
        where = vision.key or "the top level"
        return None, notes.plus(blocked("vision config", f"the values under {where} are no vision config as they are"))
    known = next((key for key, cls in library.configs.items() if cls == tower.config), vision.model_type)
    forced = {**vision.forced, **({"model_type": known} if vision.model_type != known else {})}
    return SubConfig(vision.key, tower.config, known, vision.renames, vision.defaults, forced), notes


def judge_token(reading: ReadingLike, anchors: LlavaAnchors) -> tuple[str, Notes]:
    """The one token that prompts and features share."""
    facts = reading.facts
    token = facts.value("image_context_token")
    if not isinstance(token, str) or not token:
        return "", blocked("image context token", "no file of the repo tells which token stands for image features")
    placeholder = facts.value("image_placeholder")
    if isinstance(placeholder, str) and placeholder != token:
        return token, blocked("image placeholder", f"prompts say {placeholder!r}, features stand at {token!r}")
    around = [name for name in ("image_start_token", "image_end_token") if facts[name].value]
    seen = [name for name in around if facts[name].confidence is Confidence.CERTAIN]
    if seen:
        return token, blocked("image tokens", f"the code puts {facts.value(seen[0])} beside the image's")
    if token != anchors.base.placeholder:
        return token, differs("image placeholder", anchors.base.placeholder, token, "get_placeholder_str")
    return token, Notes()


def judge_whole(reading: ReadingLike) -> Notes:
    """What rules out the shape as a whole."""
    notes = Notes()
    buffers = reading.facts.value("buffers")
    listed = [item for item in buffers if isinstance(item, dict)] if isinstance(buffers, list) else []
    used = [str(item.get("name")) for item in listed if item.get("persistent") is not False and item.get("used")]
    if used:
        notes = notes.plus(blocked("buffers", f"the image path uses {', '.join(used)}"))
    if not isinstance(reading.snapshot.config().get("model_type"), str):
        notes = notes.plus(blocked("model_type", "config.json has none, by which vLLM finds a config class"))
    modalities = reading.facts.value("modalities")
    if isinstance(modalities, list) and set(modalities) - {"image"}:
        notes = notes.plus(blocked("modalities", f"the base takes images, the repo {', '.join(map(str, modalities))}"))
    return notes

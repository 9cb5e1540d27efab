"""Config attributes: where the repo keeps each one that is read, and what the port's config class must do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from porter.families.base import ReadingLike
from porter.families.internvl.anchors import Anchors
from porter.families.internvl.judgement import Notes, blocked
from porter.families.internvl.sources import at, resolved, same
from porter.families.internvl.towers import TowerAnchor
from porter.families.library import Library
from porter.jsontypes import JSON
from porter.planning.spec import ConfigSpec, Source, SubConfig
from porter.vllm_tree.classes import classes_of
from porter.vllm_tree.config_reads import config_attributes_read
from porter.vllm_tree.registry import Architecture, architectures, config_registry
from porter.vllm_tree.tree import Tree

TEXT_SECTIONS = ("_TEXT_GENERATION_MODELS",)
TEXT_ATTRIBUTES = (
    "rope_theta",
    "rope_scaling",
    "max_position_embeddings",
    "num_key_value_heads",
    "bos_token_id",
    "eos_token_id",
)
"""Read off a text config by vLLM outside the model's own file."""
OPTIONAL = frozenset({"vision_use_head"})
NOTHING: Mapping[str, Source] = {}
AMBIGUOUS = frozenset({"decoder", "generator", "text_encoder"})
"""Keys that transformers takes for text configs of their own."""


def judge_vision(
    reading: ReadingLike, tower: TowerAnchor, image_size: int, settled: Mapping[str, Source] = NOTHING
) -> tuple[SubConfig, Notes]:
    """The vision config: transformers' class with keys translated, or a class of the port with all that is read."""
    key = _key(reading, "vision_config_key")
    renames: dict[str, str] = {}
    defaults: dict[str, JSON] = {}
    computed: dict[str, Source] = {}
    forced: dict[str, JSON] = {}
    missing: list[str] = []
    for attribute in tower.reads:
        if attribute in settled and not _says(reading, attribute, settled[attribute]):
            _place(reading, attribute, settled[attribute], key, (renames, defaults, computed, forced))
            continue
        value = image_size if attribute == "image_size" else None
        source = resolved(reading, "vision", attribute, None) or (
            Source("constant", value) if value is not None else None
        )
        if source is None:
            missing.append(attribute)
            continue
        _place(reading, attribute, source, key, (renames, defaults, computed, forced))
    needed = [name for name in missing if name not in OPTIONAL and tower.config is None]
    notes = (
        blocked("vision config", f"{tower.cls} reads {', '.join(needed)}, which the repo states nowhere")
        if needed
        else Notes()
    )
    model_type = at(reading.snapshot.config(), f"{key}.model_type") if key else None
    shown = model_type if isinstance(model_type, str) and model_type else f"{reading.facts.value('model_type')}_vision"
    return SubConfig(key, tower.config, shown, renames, defaults, forced, computed), notes


def with_table(reading: ReadingLike, vision: SubConfig | None, tile: int) -> SubConfig | None:
    """The vision config whose image size becomes that of tiles; the stored one goes by another name."""
    stated = resolved(reading, "vision", "image_size")
    if vision is None or stated is None or stated.path is None:
        return vision
    name = stated.path.rpartition(".")[2]
    renames = {key: value for key, value in vision.renames.items() if key != "image_size"}
    return replace(vision, renames=renames, table=name, tile=tile)


def _says(reading: ReadingLike, attribute: str, settled: Source) -> bool:
    """Whether the repo's config states what the code settles."""
    stated = reading.resolve("vision", attribute).value
    return isinstance(stated, dict) and same(stated.get("value"), settled.value)


def _place(
    reading: ReadingLike,
    attribute: str,
    source: Source,
    key: str | None,
    into: tuple[dict[str, str], dict[str, JSON], dict[str, Source], dict[str, JSON]],
) -> None:
    """Sort one attribute of a part into renames, defaults, computed and forced."""
    renames, defaults, computed, forced = into
    head, _, name = (source.path or "").rpartition(".")
    here = head == (key or "")
    if source.kind == "config" and here:
        if name != attribute:
            renames[attribute] = name
    elif source.kind in ("inverse", "product") and here:
        computed[attribute] = replace(source, path=name)
    else:
        stated = at(reading.snapshot.config(), f"{key}.{attribute}" if key else attribute)
        target = forced if stated is not None and not same(stated, source.value) else defaults
        target[attribute] = source.value


def _key(reading: ReadingLike, fact: str) -> str | None:
    value = reading.facts.value(fact)
    return value if isinstance(value, str) and value else None


def judge_text(reading: ReadingLike, tree: Tree, library: Library) -> tuple[SubConfig | None, Notes]:
    """The text config and the language model class that the tree would take for it."""
    language = reading.facts.value("language_model")
    if not isinstance(language, dict):
        return None, blocked("language model", "no part of the repo is a language model that can be named")
    stated = language.get("architecture")
    model_type = language.get("model_type") or library.type_of(str(stated))
    known = isinstance(model_type, str) and model_type in library.configs and model_type not in _own_types(tree)
    architecture = stated if isinstance(stated, str) else library.causal.get(str(model_type))
    entries = architectures(tree)
    found = entries.get(architecture) if isinstance(architecture, str) else None
    if found is None or found.section not in TEXT_SECTIONS:
        return None, blocked(
            "language model", f"{architecture or model_type} is not among the text models of this vLLM"
        )
    key = _key(reading, "text_config_key")
    values = at(reading.snapshot.config(), key) if key else reading.snapshot.config()
    inside = values if isinstance(values, dict) else {}
    defaults: dict[str, JSON] = {}
    if not known:
        defaults = _defaults(reading, tree, found, inside)
    defaults.update(_tie_default(reading, inside))
    forced = _architectures(inside, architecture, key, known, library.causal.get(str(model_type)))
    return SubConfig(key, str(model_type) if known else None, str(model_type or "text"), {}, defaults, forced), Notes()


def _own_types(tree: Tree) -> frozenset[str]:
    return frozenset(config_registry(tree).classes)


def _architectures(
    inside: Mapping[str, JSON], architecture: JSON, key: str | None, known: bool, usual: str | None
) -> dict[str, JSON]:
    """`architectures` of the text config, where the JSON's own would not select the class."""
    listed = inside.get("architectures") if key else None
    if isinstance(listed, list) and listed and listed[0] == architecture:
        return {}
    if not listed and known and usual == architecture and key:
        return {}
    return {"architectures": [architecture]}


def _tie_default(reading: ReadingLike, inside: Mapping[str, JSON]) -> dict[str, JSON]:
    tied = reading.facts.value("tied_embeddings")
    return {"tie_word_embeddings": tied} if isinstance(tied, bool) and "tie_word_embeddings" not in inside else {}


def _defaults(reading: ReadingLike, tree: Tree, entry: Architecture, inside: Mapping[str, JSON]) -> dict[str, JSON]:
    """What the language model's file reads and the JSON leaves out: the remote class's own values."""
    file = entry.file(tree)
    classes = classes_of(tree, file) if file is not None else ()
    reads = [read.path for cls in classes for read in config_attributes_read(tree, cls.file, cls.name)]
    found: dict[str, JSON] = {}
    for attribute in dict.fromkeys(
        name for name in (*reads, *TEXT_ATTRIBUTES) if "." not in name and name not in inside
    ):
        fact = reading.resolve("text", attribute)
        value = fact.value.get("value") if isinstance(fact.value, dict) else None
        if value is not None:
            found[attribute] = value
    return found


def judge_attributes(
    reading: ReadingLike, anchors: Anchors, settled: Mapping[str, JSON], vision_size: int, image_size: int
) -> tuple[dict[str, Source], Notes]:
    """Where each top-level attribute that the base reads stands; `settled` are values that the code was seen to use."""
    found: dict[str, Source] = {}
    missing: list[str] = []
    for attribute in anchors.reads:
        if "." in attribute or attribute in ("vision_config", "text_config"):
            continue
        if attribute == "force_image_size":
            found[attribute] = _forced_size(reading, vision_size, image_size)
            continue
        source = resolved(reading, "model", attribute, settled.get(attribute))
        if source is None and attribute in settled:
            source = Source("constant", settled[attribute])
        if source is None:
            missing.append(attribute)
        else:
            found[attribute] = source
    names = ", ".join(missing)
    return found, blocked(
        "config", f"{anchors.model_class} reads {names}, which the repo states nowhere"
    ) if missing else Notes()


def _forced_size(reading: ReadingLike, vision_size: int, image_size: int) -> Source:
    """`force_image_size`: None where the tower's own size is the tile's."""
    stated = reading.snapshot.config().get("force_image_size")
    if same(stated, image_size):
        return Source("config", image_size, "force_image_size")
    return Source("constant", None if vision_size == image_size else image_size)


def config_spec(
    reading: ReadingLike, attributes: Mapping[str, Source], vision: SubConfig, text: SubConfig, tied: JSON
) -> ConfigSpec:
    """The port's own config class, from where everything stands."""
    config = reading.snapshot.config()
    renames: dict[str, str] = {}
    defaults: dict[str, JSON] = {}
    computed: dict[str, Source] = {}
    forced: dict[str, JSON] = {}
    for attribute, source in attributes.items():
        if source.kind == "config" and "." not in (source.path or ""):
            if source.path != attribute:
                renames[attribute] = str(source.path)
        elif source.kind in ("config", "inverse", "product"):
            computed[attribute] = source
        elif source.kind == "constant":
            (forced if attribute in config and not same(config[attribute], source.value) else defaults)[attribute] = (
                source.value
            )
    for canonical, part in (("vision_config", vision), ("text_config", text)):
        if part.key is not None and part.key != canonical and "." not in part.key:
            renames[canonical] = part.key
    layer = attributes.get("select_layer")
    from_end = not (layer is not None and isinstance(layer.value, int) and layer.value >= 0)
    return ConfigSpec(
        model_type=str(reading.facts.value("model_type") or ""),
        vision=vision,
        text=text,
        renames=renames,
        defaults=defaults,
        forced=forced,
        computed=computed,
        feature_layer_from_end=from_end,
        tie=tied if isinstance(tied, bool) else None,
        tie_conflict=isinstance(tied, bool) and _tie_conflict(reading, text, tied),
        ambiguous_text=bool(AMBIGUOUS & set(config)),
    )


def _tie_conflict(reading: ReadingLike, text: SubConfig, tied: bool) -> bool:
    """Whether the text config itself would say something else than the settled fact."""
    values = at(reading.snapshot.config(), text.key) if text.key else reading.snapshot.config()
    stated = values.get("tie_word_embeddings") if isinstance(values, dict) else None
    return stated is not None and stated != tied

"""The layout as facts: the groups of the checkpoint, and the parts as they can be told without code."""

from __future__ import annotations

from dataclasses import replace

from porter.facts.configs import PROCESSOR_FILES, Configs
from porter.facts.layout import read_layout
from porter.facts.layout_blocks import LANGUAGE_WORDS, Block
from porter.facts.layout_model import Hints, Layout, Part
from porter.facts.layout_rows import HOLE
from porter.facts.layout_units import CONNECTOR_WORDS, VISUAL_WORDS, words_of
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.synonyms import HEADS, HIDDEN, LAYERS, PATCH_SIZE
from porter.facts.tower_kinds import kind_by_word
from porter.facts.towers import TowerReading, read_value
from porter.facts.word_lists import words
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON, JSONObject
from porter.source.values import plain

INDEXES = (".safetensors.index.json", ".bin.index.json")
VISUAL_KEYS = words(
    "vision_config visual_config vision_tower mm_vision_tower visual img_processor vision_encoder "
    "vision_encoder_config image_token_index image_token_id patch_size"
)
PLAIN_WORDS = words("config slice embd layer quantization rope generation cls siglip clip sam")


def layout_of(configs: Configs) -> Layout:
    """The layout of a repo's checkpoint, read with what its configs say."""
    run, text = configs.code.run, configs.text

    def number(names: tuple[str, ...]) -> int | None:
        value = read_value(run, text, names)
        inner = plain(value) if value is not None else None
        return inner if isinstance(inner, int) and not isinstance(inner, bool) else None

    hints = Hints(number(LAYERS), number(HIDDEN), foreign_words(configs.snapshot))
    return read_layout(configs.snapshot.tensors, hints, index=index_file(configs.snapshot))


def index_file(snapshot: Snapshot) -> str | None:
    return next((name for name in snapshot.listing if "/" not in name and name.endswith(INDEXES)), None)


def foreign_words(snapshot: Snapshot) -> frozenset[str]:
    """Words that config.json uses for further modalities: `gene_config` beside `vision_config`."""
    names = [key for key, value in snapshot.config().items() if key.endswith("_config") and isinstance(value, dict)]
    known = VISUAL_WORDS | CONNECTOR_WORDS | LANGUAGE_WORDS | PLAIN_WORDS | {"encoder", "tower"}
    return frozenset(words_of(tuple(names)) - known)


def layout_fact(layout: Layout) -> Fact:
    """What the checkpoint holds. The groups are porter's reading of names and shapes: likely, never certain."""
    told = "; ".join((*layout.problems, *layout.disagreements))
    if layout.source == "none":
        return Fact("weights_layout", layout.to_json(), Confidence.LIKELY, note=told or "weights layout not seen")
    held = Evidence(layout.file, layout.source, f"{layout.tensors} tensors")
    return Fact("weights_layout", layout.to_json(), Confidence.LIKELY, (held,), note=told)


def is_visual(config: JSONObject) -> bool:
    """Whether the top level of a config speaks of images."""
    return any(config.get(key) is not None for key in VISUAL_KEYS)


def config_tower(configs: Configs, blocks: list[Block], stated: JSON) -> Fact:
    """The tower as the config alone describes it: the vision block, or the block of the tower that it names."""
    block = _vision_block(configs, blocks)
    if configs.vision is None and block is None:
        return Fact("vision_tower", None, Confidence.UNKNOWN)

    def number(name: str, keys: tuple[str, ...]) -> JSON:
        value = read_value(configs.code.run, configs.vision, keys)
        found = plain(value) if value is not None else None
        whole = isinstance(found, int) and not isinstance(found, bool)
        return found if whole else block.numbers.get(name) if block is not None else None

    value: JSONObject = {
        "kind": _kind_by_config(configs, block),
        "class": stated,
        "prefix": None,
        "attr": None,
        "hidden_size": number("hidden_size", HIDDEN),
        "layers": number("layers", LAYERS),
        "heads": number("heads", HEADS),
        "patch_size": number("patch_size", PATCH_SIZE),
        "has_cls": None,
        "in_repo": False,
        "native": None,
    }
    where = (block.file, block.where) if block is not None else ("config.json", configs.path_of("vision") or "")
    return Fact("vision_tower", [value], Confidence.LIKELY, (Evidence(*where, str(stated or value["kind"])),))


def processor_patch(snapshot: Snapshot) -> int | None:
    """The patch size as a processor file states it."""
    for name in PROCESSOR_FILES:
        for key in ("image_patch_size", *PATCH_SIZE):
            found = snapshot.json.get(name, {}).get(key)
            if isinstance(found, int) and not isinstance(found, bool) and found > 0:
                return found
    return None


def _vision_block(configs: Configs, blocks: list[Block]) -> Block | None:
    """The block that is the vision config; without one, the only block that speaks of vision."""
    path = configs.path_of("vision") if configs.vision is not None else None
    if path is not None:
        return next((block for block in blocks if block.file == "config.json" and block.where == path), None)
    visual = [block for block in blocks if _is_visual_block(block)]
    full = [block for block in visual if "patch_size" in block.numbers]
    return full[0] if full else visual[0] if len(visual) == 1 else None


def _is_visual_block(block: Block) -> bool:
    named = bool(block.words & VISUAL_WORDS) or ("patch_size" in block.numbers and _known_word(block) is not None)
    return named and bool(block.path) and not block.words & LANGUAGE_WORDS


def _known_word(block: Block) -> str | None:
    return kind_by_word(block.model_type) or kind_by_word(" ".join(sorted(block.words)))


def _kind_by_config(configs: Configs, block: Block | None) -> str | None:
    """By the model_type and the names that the config gives its tower."""
    value = read_value(configs.code.run, configs.vision, ("model_type",))
    found = kind_by_word(str(plain(value))) if value is not None else None
    return found or (_known_word(block) if block is not None else None)


def checked_tower(fact: Fact, layout: Layout, tower: TowerReading) -> Fact:
    """A tower that the code builds, held against the checkpoint: what has no place in it, and sizes that differ."""
    value = fact.value[0] if isinstance(fact.value, list) and fact.value else None
    part = _same_part(value, layout) if isinstance(value, dict) else None
    if part is None or not isinstance(value, dict):
        return fact
    if part.kind and value.get("kind") is None:
        settled = fact.confidence is Confidence.GUESS and value.get("hidden_size") and value.get("layers")
        sure = Confidence.LIKELY if settled and layout.holds(str(value.get("prefix") or "")) else fact.confidence
        value = {**value, "kind": part.kind}
        fact = replace(fact, value=[value], confidence=sure, note="kind by the names of the checkpoint")
    notes = [*_strangers(part, tower, str(value.get("prefix") or ""))]
    depth = part.network.depth if part.network is not None else None
    if depth is not None and value.get("layers") not in (None, depth):
        notes.append(f"the code builds {value['layers']} layers, the checkpoint holds {depth}")
    if part.kind and value.get("kind") and part.kind.split("_")[0] != str(value["kind"]).split("_")[0]:
        notes.append(f"the checkpoint has the names of {part.kind}")
    if not notes:
        return fact
    sure = Confidence.LIKELY if fact.confidence is Confidence.CERTAIN else fact.confidence
    return replace(fact, confidence=sure, note="; ".join(part for part in (fact.note, *notes) if part))


def _same_part(value: JSONObject, layout: Layout) -> Part | None:
    """The group of the tower at a prefix: its own, or that of a module just around or inside it."""
    prefix = str(value.get("prefix") or "")
    near = [p for p in layout.of("tower") if f"{p.name}.".startswith(f"{prefix}.") or prefix.startswith(f"{p.name}.")]
    return near[0] if prefix and len(near) == 1 else None


def _strangers(part: Part, tower: TowerReading, prefix: str) -> list[str]:
    """Tensors of the group that the modules of the code do not hold; of a library's class, that its kind lacks."""
    if not tower.names:
        return [f"the checkpoint also holds {', '.join(part.extra[:4])}"] if part.extra else []
    known = {".".join(HOLE if piece.isdecimal() else piece for piece in name.split(".")) for name in tower.names}
    size = len(prefix.split("."))
    rows = [row for row in part.rows if ".".join(row.path[:size]) == prefix]
    strange = [row.pattern(row.path[:size]) for row in rows if ".".join(row.path[size:]) not in known]
    more = ", ..." if len(strange) > 3 else ""
    return [f"the checkpoint also holds {', '.join(strange[:3])}{more}"] if strange else []

"""From a snapshot to facts. Pure: no network, no tree, no execution of what was read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from porter.facts.code import TOO_LARGE, CodeReading, json_config, read_code
from porter.facts.config_parts import split_configs
from porter.facts.configs import PREPROCESSING, Configs, Found, Scope, evidence, json_only, resolved
from porter.facts.conflicts import config_conflicts
from porter.facts.decoding import decoding_facts
from porter.facts.features import FeaturePath, operations, read_features
from porter.facts.identity import identity_facts
from porter.facts.image_functions import code_value
from porter.facts.images import image_facts, read_processors
from porter.facts.layout_facts import layout_fact, layout_of
from porter.facts.layout_model import Layout
from porter.facts.model import Confidence, Evidence, Fact, ModelFacts
from porter.facts.needs import need_facts
from porter.facts.parts import (
    buffer_fact,
    common_path,
    connector_fact,
    language_fact,
    language_module,
    tower_fact,
)
from porter.facts.plausible import plausible
from porter.facts.quantization import quantization_fact
from porter.facts.synonyms import HIDDEN
from porter.facts.ties import tie_fact
from porter.facts.tokens import token_facts
from porter.facts.tower_settings import tower_settings
from porter.facts.towers import TowerReading, config_of, read_value
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON
from porter.source.interpreter import Stop
from porter.source.values import Instance, LibraryConfig, Val, from_json, plain

MIN_BUDGET = 60_000
LAST_STEPS = 3_000
"""What each part may still spend when code has used up all: enough for facts that need little of it."""
T = TypeVar("T")
FROM_FACTS = {"downsample_ratio": "downsample_ratio", "ps_version": "pixel_shuffle", "select_layer": "feature_layer"}
FACT_OF = {
    "force_image_size": "image_size",
    "min_dynamic_patch": "min_tiles",
    "max_dynamic_patch": "max_tiles",
    "use_thumbnail": "use_thumbnail",
    "image_mean": "image_mean",
    "image_std": "image_std",
    "resample": "resample",
    **FROM_FACTS,
}


@dataclass(frozen=True, slots=True)
class RepoReading:
    """A snapshot, its facts, and the config objects behind them. `problems` are lines about what could not be
    followed."""

    snapshot: Snapshot
    facts: ModelFacts
    configs: Configs
    problems: tuple[str, ...] = ()

    def resolve(self, scope: Scope, attribute: str) -> Fact:
        """Where this repo keeps an attribute that a family reads: value {"path": dotted path in config.json or
        None, "value"}.

        A value that a fact settles (by the user, or seen in code) wins over what a config file says.
        """
        found = self.configs.find(scope, attribute)
        fact = self.facts[FACT_OF[attribute]] if scope == "model" and attribute in FACT_OF else None
        if fact is not None and fact.value is not None and (found is None or found.value != fact.value):
            return Fact(attribute, {"path": None, "value": fact.value}, fact.confidence, fact.evidence, note=fact.note)
        if found is None and scope == "model" and attribute in PREPROCESSING:
            found = bounded(self.configs.code, lambda: code_value(self.configs, attribute))
        null = self.configs.null_path(scope, attribute) if found is None else None
        if null is not None:
            shown = (Evidence("config.json", null, "null"),)
            return Fact(attribute, {"path": null, "value": None}, Confidence.CERTAIN, shown)
        return resolved(attribute, found)

    def with_facts(self, facts: ModelFacts) -> RepoReading:
        return replace(self, facts=facts)


def infer(snapshot: Snapshot) -> RepoReading:
    """Every fact that can be read from a snapshot."""
    code = read_code(snapshot)
    configs = Configs(snapshot, code)
    configs.text, configs.vision = split_configs(code)
    processors = bounded(code, lambda: read_processors(snapshot, code)) or []
    configs.processor = processors[0] if processors else None
    language = bounded(code, lambda: language_module(code))
    if language is not None and config_of(language[1]) is not None:
        configs.text = config_of(language[1])
    path = bounded(code, lambda: feature_path(configs))
    facts: dict[str, Fact] = {}
    parts: list[Callable[[], list[Fact]]] = [
        lambda: list(identity_facts(snapshot, code)),
        lambda: list(need_facts(snapshot, code)),
        lambda: image_facts(configs, path),
        lambda: token_facts(configs, processors),
        lambda: list(decoding_facts(configs)),
        lambda: part_facts(configs, path),
        lambda: config_conflicts(configs, facts),
    ]
    for part in parts:
        facts.update({fact.name: plausible(readable(fact)) for fact in bounded(code, part) or []})
    problems = dict.fromkeys([*code.problems, *snapshot.missing_code, *snapshot.tensors.problems])
    return RepoReading(snapshot, ModelFacts(facts), configs, tuple(problems))


def readable(fact: Fact) -> Fact:
    """The fact as JSON; what could not be read in it is null, and then nothing about it is certain."""
    value = json_only(fact.value)
    if value == fact.value:
        return fact
    sure = Confidence.LIKELY if fact.confidence is Confidence.CERTAIN else fact.confidence
    note = "; ".join(part for part in (fact.note, "what the code leaves to a library default is null") if part)
    return replace(fact, value=value, confidence=sure, note=note)


def bounded(code: CodeReading, step: Callable[[], T]) -> T | None:
    """One step of reading with steps left to spend; None, and a problem line, when the code outlasts them."""
    code.run.budget = max(code.run.budget, MIN_BUDGET)
    code.run.left = max(code.run.left, LAST_STEPS)
    try:
        return step()
    except (Stop, RecursionError):
        code.problems.append(TOO_LARGE)
        return None


def feature_path(configs: Configs) -> FeaturePath | None:
    """Follow the image through the code; the tower's config becomes the vision scope, and its shape known values."""
    size = configs.find("model", "force_image_size")
    width = read_value(configs.code.run, configs.text, HIDDEN)
    image_size = size.value if size is not None and isinstance(size.value, int) else None
    text_width = plain(width) if width is not None else None
    path = read_features(configs.code, image_size, text_width if isinstance(text_width, int) else None)
    if path is None:
        return None
    configs.tower = path.tower
    configs.vision = tower_scope(configs, path.tower) or configs.vision
    settings = tower_settings(configs.code.run, path.tower)
    configs.layers = {name: Found(plain(value), value.src) for name, value in settings.items() if value.known}
    for name in ("patch_size",):
        value = path.tower.values.get(name)
        if value is not None:
            configs.known[name] = Found(plain(value), value.src)
    return path


def tower_scope(configs: Configs, tower: TowerReading) -> Val | None:
    """The config object that a tower was built with, or the one that its numbers were taken from."""
    given = tower.config
    if given is not None and isinstance(given.value, (Instance, LibraryConfig)):
        return given
    places = [src.where for value in tower.values.values() for src in value.src if src.file == "config.json"]
    heads = [place.rpartition(".")[0] for place in places if "[" not in place]
    head = max(set(heads), key=heads.count) if heads else ""
    found = from_json(configs.snapshot.config(), "config.json")
    for name in head.split(".") if head else ():
        found = found.value[name] if isinstance(found.value, dict) and name in found.value else Val(None)
    return Val(json_config(found.value), found.src) if head and isinstance(found.value, dict) else None


def part_facts(configs: Configs, path: FeaturePath | None) -> list[Fact]:
    """Each with steps of its own: code that outlasts one fact costs no other, and leaves what the data files say."""
    snapshot, code = configs.snapshot, configs.code
    layout = layout_of(configs)
    found = bounded(code, lambda: language_module(code))
    tower = _settled(
        code, "vision_tower", lambda: _towers(configs, layout, path), lambda: _towers(configs, layout, None)
    )
    connector = _settled(
        code, "connector", lambda: connector_fact(configs, layout, path), lambda: connector_fact(configs, layout, None)
    )
    language = _settled(
        code,
        "language_model",
        lambda: language_fact(configs, layout, found),
        lambda: language_fact(configs, layout, None),
    )
    return [
        _key("text_config_key", configs, "text"),
        _key("vision_config_key", configs, "vision"),
        tower,
        connector,
        language,
        _prefixes(tower, connector, language),
        _settled(code, "buffers", lambda: buffer_fact(layout, snapshot, code, path)),
        _settled(code, "tied_embeddings", lambda: tie_fact(configs, layout)),
        layout_fact(layout),
        quantization_fact(snapshot, layout),
        _path_fact(path),
        Fact("config_map", None, Confidence.UNKNOWN, about="tree", note="made when a family is matched"),
    ]


def _settled(code: CodeReading, name: str, *ways: Callable[[], Fact]) -> Fact:
    """The fact by the first way that ends within its steps."""
    for way in ways:
        fact = bounded(code, way)
        if fact is not None:
            return fact
    return Fact(name, None, Confidence.UNKNOWN, note=TOO_LARGE)


def _towers(configs: Configs, layout: Layout, path: FeaturePath | None) -> Fact:
    if path is None:
        return tower_fact(configs, layout, None, "")
    tower = tower_fact(configs, layout, path.tower, path.file)
    for other in path.others:
        tower = _beside(tower, tower_fact(configs, layout, other, path.file))
    return tower


def _beside(first: Fact, other: Fact) -> Fact:
    """Two towers whose features stand side by side, as one fact."""
    values = [item for fact in (first, other) if isinstance(fact.value, list) for item in fact.value]
    sure = max((first.confidence, other.confidence), key=list(Confidence).index)
    note = "; ".join(part for part in (first.note, other.note) if part)
    return replace(first, value=values, confidence=sure, evidence=(*first.evidence, *other.evidence), note=note)


def _key(name: str, configs: Configs, scope: Scope) -> Fact:
    path = configs.path_of(scope)
    if path is None:
        return Fact(name, None, Confidence.ABSENT if configs.scope(scope) is None else Confidence.UNKNOWN)
    shown = (Evidence("config.json", path or "(top level)", "the values of this part"),)
    return Fact(name, path or None, Confidence.CERTAIN if path else Confidence.ABSENT, shown)


def _prefixes(tower: Fact, connector: Fact, language: Fact) -> Fact:
    def prefix(value: JSON) -> JSON:
        inner = value[0] if isinstance(value, list) and value else value
        return inner.get("prefix") if isinstance(inner, dict) else None

    value: dict[str, JSON] = {
        "vision_tower": prefix(tower.value),
        "connector": prefix(connector.value),
        "language_model": prefix(language.value),
    }
    parts = {"vision_tower": tower, "connector": connector, "language_model": language}
    known = [parts[name] for name, found in value.items() if found is not None]
    lost = [name for name, found in value.items() if found is None]
    shown = tuple(item for part in known for item in part.evidence[:1])
    if not known:
        return Fact("weight_prefixes", None, Confidence.UNKNOWN)
    sure = max((part.confidence for part in known), key=list(Confidence).index)
    note = f"not known: {', '.join(lost)}" if lost else ""
    return Fact(
        "weight_prefixes", value, Confidence.LIKELY if lost and sure is Confidence.CERTAIN else sure, shown, note=note
    )


def _path_fact(path: FeaturePath | None) -> Fact:
    if path is None:
        return Fact(
            "feature_path",
            None,
            Confidence.UNKNOWN,
            note="no method of the code could be followed from pixels to the connector",
        )
    ops: JSON = [_plain_op(op) for op in operations(path)]
    sure = Confidence.GUESS if path.lost else Confidence.LIKELY if path.opaque else Confidence.CERTAIN
    note = f"{path.file}:{path.method}" + ("; the tower's own code could not be followed" if path.opaque else "")
    return Fact("feature_path", ops, sure, evidence(path.sources), note=note)


def _plain_op(op: dict[str, object]) -> JSON:
    """An operation as JSON; the layers of a connector stand in the connector fact."""
    shown: dict[str, JSON] = {}
    for key, value in op.items():
        if key == "layers" and isinstance(value, list):
            shown["layers"] = [str(layer.get("op")) for layer in value if isinstance(layer, dict)]
            shown["attr"] = common_path([str(layer.get("attr") or "") for layer in value]).rpartition(".")[2]
        elif value is None or isinstance(value, (str, int, float, bool, list)):
            shown[key] = value
    return shown

"""Image facts: size, tiling, normalisation, resampling; from the processor's files and class, the config, and code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from porter.facts.bound_calls import bound_constant
from porter.facts.code import CodeReading, class_of, entry_for
from porter.facts.configs import Configs, Found, evidence, found_from
from porter.facts.features import FeaturePath, layer_of, merge_ratio, operations
from porter.facts.image_functions import code_value
from porter.facts.library_defaults import library_default
from porter.facts.model import Confidence, Fact
from porter.facts.pixels import constant_of, named_constant, per_channel, resample_name, rescale_fact, scheme_fact
from porter.facts.resolution import fact_of, native_facts, size_facts
from porter.facts.tiling import thumbnail, tiling_bounds
from porter.facts.token_counts import count_facts
from porter.facts.towers import read_value
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON
from porter.source.values import Instance, Src, from_json, plain

PROCESSOR_OWNERS = ("preprocessor_config.json", "processor_config.json", "config.json", "tokenizer_config.json")
PROCESSOR_KEYS = ("AutoImageProcessor", "AutoFeatureExtractor", "AutoProcessor")
LEFT_TO_LIBRARY = ("image_mean", "image_std", "resample", "do_rescale")
TILING = {"min_tiles": "min_dynamic_patch", "max_tiles": "max_dynamic_patch", "use_thumbnail": "use_thumbnail"}


def read_processors(snapshot: Snapshot, code: CodeReading) -> list[Instance]:
    """The processor classes that `auto_map` names, built from their JSON files; image processors first."""
    found: list[Instance] = []
    for key in PROCESSOR_KEYS:
        for owner in PROCESSOR_OWNERS:
            entry = entry_for(snapshot, (key,), owner)
            cls = class_of(code.run, entry) if entry is not None else None
            if cls is None or any(item.cls == cls for item in found):
                continue
            values = dict(from_json(snapshot.json.get(owner, {}), owner).value) if owner != "config.json" else {}
            instance = Instance(cls, [], values)
            for name, value in values.items():
                instance.attrs.setdefault(name, value)
            code.run.start(instance)
            found.append(instance)
    return found


def image_facts(configs: Configs, path: FeaturePath | None) -> list[Fact]:
    """All image facts of the design."""
    ops = operations(path) if path is not None else []
    shuffle = next((op for op in ops if op["op"] == "pixel_shuffle"), None)
    facts = [*size_facts(configs), *_tiling(configs), *_shuffle_facts(configs, path, shuffle)]
    facts = _single_tile([*facts, *(_or_default(configs, fact) for fact in _pixel_facts(configs, ops))])
    facts += native_facts(configs, {fact.name: fact for fact in facts})
    return [*facts, *count_facts(configs, {fact.name: fact for fact in facts}, path)]


def _single_tile(facts: list[Fact]) -> list[Fact]:
    """Without tiling code, one image is one tile; a tile count stated somewhere stays as it is."""
    scheme = next(fact for fact in facts if fact.name == "resize_scheme")
    if scheme.value != "single":
        return facts
    values = {fact.name: fact.value for fact in facts}
    most = values["max_tiles"]
    why = "no fixed image size is known" if values["image_size"] is None else ""
    if isinstance(most, int) and most > 1:
        why = f"no code that cuts tiles was recognised, yet max_tiles is {most}"
    if why:
        unclear = Fact("resize_scheme", None, Confidence.UNKNOWN, scheme.evidence, note=why)
        return [unclear if fact is scheme else fact for fact in facts]
    implied: dict[str, JSON] = {"min_tiles": 1, "max_tiles": 1, "use_thumbnail": False}
    silent = [fact.name for fact in facts if fact.name in implied and fact.value is None]
    return [
        Fact(fact.name, implied[fact.name], Confidence.LIKELY, scheme.evidence, note=scheme.note)
        if fact.name in silent
        else fact
        for fact in facts
    ]


def _tiling(configs: Configs) -> Iterator[Fact]:
    bounds = tiling_bounds(configs)
    added = thumbnail(configs)
    if added is not None:
        bounds["use_thumbnail"] = added
    for name, attribute in TILING.items():
        bound = bounds.get(attribute)
        stated = configs.find("model", attribute)
        found = (
            bound
            if bound is not None and (bound.in_json or stated is None)
            else stated or code_value(configs, attribute)
        )
        if found is not None and found is bound:
            configs.known[attribute] = found
        differs = bound is not None and found is not None and bound.value != found.value
        note = f"an image function's default is {bound.value}" if differs and bound is not None else ""
        yield fact_of(configs, name, found, note)


def _shuffle_facts(configs: Configs, path: FeaturePath | None, shuffle: dict[str, object] | None) -> Iterator[Fact]:
    if path is None:
        switch = read_value(configs.code.run, configs.code.config, ("use_pixel_shuffle",))
        if switch is not None and plain(switch) is False:
            yield Fact(
                "downsample_ratio", 1.0, Confidence.LIKELY, evidence(switch.src), note="use_pixel_shuffle is off"
            )
        else:
            yield _ratio(configs)
        yield fact_of(configs, "pixel_shuffle", configs.find("model", "ps_version"))
        yield fact_of(configs, "feature_layer", configs.find("model", "select_layer"))
        return
    if not path.features.steps:
        note = "the code could not be followed to the connector"
        yield Fact("downsample_ratio", None, Confidence.UNKNOWN, evidence(path.sources), note=note)
        yield Fact("pixel_shuffle", None, Confidence.UNKNOWN, evidence(path.sources), note=note)
        yield _layer_fact(configs, path)
        return
    shown = evidence(path.sources)
    version = shuffle.get("version") if shuffle else None
    ratio_value: JSON = merge_ratio(path, shuffle)
    source = _stated(configs, "downsample_ratio", ratio_value)
    sure = Confidence.LIKELY if path.lost or path.tower.native else Confidence.CERTAIN
    seen = sure if ratio_value is not None else Confidence.UNKNOWN
    yield Fact("downsample_ratio", ratio_value, seen, (*evidence(source), *shown))
    known = version if isinstance(version, str) and version != "other" else None
    missing = Confidence.ABSENT if shuffle is None and not path.lost else Confidence.UNKNOWN
    yield Fact(
        "pixel_shuffle",
        known,
        sure if known else missing,
        (*evidence(_stated(configs, "ps_version", known)), *shown),
    )
    yield _layer_fact(configs, path)


def _layer_fact(configs: Configs, path: FeaturePath) -> Fact:
    """The layer of the tower whose output is taken, and where it is stated."""
    listed = layer_of(path.features)
    layer: JSON = [*listed] if isinstance(listed, list) else listed
    in_json = any(source.file.endswith(".json") for source in path.layer_sources)
    stated = path.layer_sources if in_json else _stated(configs, "select_layer", layer)
    _remember(configs, "select_layer", layer, stated)
    sure = Confidence.LIKELY if path.opaque or not path.features.steps else Confidence.CERTAIN
    return Fact("feature_layer", layer, sure, (*evidence(stated), *evidence(path.sources)))


def _ratio(configs: Configs) -> Fact:
    """A shuffle's ratio of two sides; a number above 1 counts something else."""
    found = configs.find("model", "downsample_ratio")
    if found is not None and isinstance(found.value, (int, float)) and not 0 < found.value <= 1:
        note = f"downsample_ratio {found.value} is no ratio of two sides"
        return Fact("downsample_ratio", None, Confidence.UNKNOWN, evidence(found.sources), note=note)
    return fact_of(configs, "downsample_ratio", found)


def _remember(configs: Configs, attribute: str, value: JSON, sources: tuple[Src, ...]) -> None:
    """A config path for the attribute, when what stands there is the value itself (not an index counted from
    the front)."""
    for source in sources:
        if source.file == "config.json" and source.text == repr(value):
            configs.known[attribute] = Found(value, sources)


def _stated(configs: Configs, attribute: str, value: JSON) -> tuple[Src, ...]:
    """Where the config states a value that the code was seen to use; () when it stands in code alone."""
    found = configs.find("model", attribute)
    if found is None:
        found = _read_elsewhere(configs, attribute, value)
    if found is None or found.value != value:
        return ()
    configs.known[attribute] = found
    return found.sources


def _read_elsewhere(configs: Configs, attribute: str, value: JSON) -> Found | None:
    """The one config attribute that the model read with this value and type, whatever it is called."""
    kind = (str,) if attribute == "ps_version" else (float,) if attribute == "downsample_ratio" else (int,)
    reads = configs.code.run.reads.items()
    same = [
        read
        for (owner, _), read in reads
        if owner == id(configs.code.config.value) and plain(read) == value and read.src
    ]
    same = [read for read in same if type(read.value) in kind]
    return found_from(same[0]) if len(same) == 1 and value is not None else None


def _or_default(configs: Configs, fact: Fact) -> Fact:
    """What a library's processor class does where nothing states it: a guess."""
    attribute = {"rescale": "do_rescale"}.get(fact.name, fact.name)
    if fact.confidence is not Confidence.UNKNOWN or attribute not in LEFT_TO_LIBRARY:
        return fact
    found = library_default(configs, attribute)
    value = resample_name(found[0].value) if found is not None and attribute == "resample" else None
    value = found[0].value if found is not None and attribute != "resample" else value
    if found is None or value is None:
        return fact
    note = f"the default of transformers' {found[1]}, as installed here"
    return Fact(fact.name, value, Confidence.GUESS, evidence(found[0].sources), note=note)


def _pixel_facts(configs: Configs, ops: list[dict[str, object]]) -> Iterator[Fact]:
    inside = next((op for op in ops if op["op"] == "normalize"), None)
    off = configs.processor_value("do_normalize")
    for name, role in (("image_mean", "mean"), ("image_std", "std")):
        if inside is not None and (off is None or plain(off) is False):
            note = f"the model normalises by its buffer {inside[role]}"
            yield Fact(name, None, Confidence.ABSENT, evidence(off.src if off is not None else ()), note=note)
            continue
        value = configs.preprocessing(name) or constant_of(configs.code, role) or configs.find("model", name)
        value = value or bound_constant(configs, role)
        if value is not None:
            yield fact_of(configs, name, per_channel(value))
        elif off is not None and plain(off) is False:
            yield Fact(name, None, Confidence.ABSENT, evidence(off.src), note="do_normalize is off")
        else:
            named = named_constant(configs.code, role)
            known = Fact(name, named.value, Confidence.LIKELY, evidence(named.sources)) if named else None
            yield known or fact_of(configs, name, None)
    value = configs.preprocessing("resample") or constant_of(configs.code, "resample")
    yield fact_of(configs, "resample", replace(value, value=resample_name(value.value)) if value is not None else None)
    yield rescale_fact(configs)
    yield scheme_fact(configs)

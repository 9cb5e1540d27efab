"""Image facts: size, tiling, normalisation, resampling; from the processor's files and class, the config, and code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from math import prod

from porter.facts.code import CodeReading, class_of, entry_for
from porter.facts.configs import Configs, Found, evidence, found_from
from porter.facts.features import FeaturePath, operations
from porter.facts.model import Confidence, Fact
from porter.facts.pixels import constant_of, named_constant, per_channel, resample_name, rescale_fact, scheme_fact
from porter.facts.tiling import thumbnail, tiling_bounds
from porter.facts.towers import read_value
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON
from porter.source.codebase import snippet, where
from porter.source.interpreter import Frame
from porter.source.values import Instance, Src, from_json, plain

PROCESSOR_OWNERS = ("preprocessor_config.json", "processor_config.json", "config.json", "tokenizer_config.json")
PROCESSOR_KEYS = ("AutoImageProcessor", "AutoFeatureExtractor", "AutoProcessor")
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
    facts = [*_sizes(configs), *_tiling(configs)]
    ops = operations(path) if path is not None else []
    shuffle = next((op for op in ops if op["op"] == "pixel_shuffle"), None)
    facts.extend(_shuffle_facts(configs, path, shuffle))
    facts.extend(_pixel_facts(configs, ops))
    facts = _single_tile(facts)
    return [*facts, tokens_per_tile(facts, path)]


def _single_tile(facts: list[Fact]) -> list[Fact]:
    """Without tiling code, one image is one tile; a tile count stated somewhere stays as it is."""
    scheme = next(fact for fact in facts if fact.name == "resize_scheme")
    if scheme.value != "single":
        return facts
    if next(fact for fact in facts if fact.name == "image_size").value is None:
        unclear = Fact("resize_scheme", None, Confidence.UNKNOWN, scheme.evidence, note="no fixed image size is known")
        return [unclear if fact is scheme else fact for fact in facts]
    implied: dict[str, JSON] = {"min_tiles": 1, "max_tiles": 1, "use_thumbnail": False}
    silent = [fact.name for fact in facts if fact.name in implied and fact.value is None]
    return [
        Fact(fact.name, implied[fact.name], Confidence.LIKELY, scheme.evidence, note=scheme.note)
        if fact.name in silent
        else fact
        for fact in facts
    ]


def _fact(name: str, found: Found | None, note: str = "") -> Fact:
    if found is None or found.value is None:
        return Fact(name, None, Confidence.UNKNOWN, note=note)
    sure = Confidence.CERTAIN if found.sure and not note else Confidence.LIKELY
    return Fact(name, found.value, sure, evidence(found.sources), note=note)


def _sizes(configs: Configs) -> Iterator[Fact]:
    image = configs.find("model", "force_image_size")
    tower = configs.find("vision", "image_size")
    conflict = image is not None and tower is not None and image.value != tower.value
    note = f"the tower's own image size is {tower.value}" if conflict and tower is not None else ""
    fact = _fact("image_size", image or tower, note)
    yield Fact(fact.name, fact.value, Confidence.LIKELY, fact.evidence, note=note) if conflict else fact
    patch = configs.find("vision", "patch_size") or configs.known.get("patch_size")
    yield _fact("patch_size", patch)


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
        yield _fact(name, found, note)


def code_value(configs: Configs, attribute: str) -> Found | None:
    """A default of one of the image functions in the remote code (`def tile(image, max_num=6)`, `BUILD_SIZE = 448`)."""
    from porter.facts.synonyms import spellings

    names = set(spellings(attribute))
    for file in configs.code.run.code.files():
        for node in ast.walk(file.tree):
            if not isinstance(node, ast.FunctionDef) or not _image_function(node):
                continue
            arguments = [*node.args.posonlyargs, *node.args.args]
            pairs = list(zip(reversed(arguments), reversed(node.args.defaults), strict=False))
            pairs += [
                (a, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=False) if d is not None
            ]
            for argument, default in pairs:
                value = configs.code.run.evaluate(default, Frame(file.path, {}, None, None, 1))
                if argument.arg in names and isinstance(plain(value), (int, float, bool, str)):
                    source = Src(file.path, where(node), f"{node.name}({argument.arg}={snippet(default)})")
                    return Found(plain(value), (source, *value.src[:2]))
    return None


def _image_function(node: ast.FunctionDef) -> bool:
    first = [argument.arg for argument in node.args.args[:2] if argument.arg not in ("self", "cls")]
    words = ("image", "img", "tile", "patch", "pil", "preprocess", "transform", "path", "file")
    return any(word in text.lower() for text in (*first, node.name) for word in words)


def _shuffle_facts(configs: Configs, path: FeaturePath | None, shuffle: dict[str, object] | None) -> Iterator[Fact]:
    if path is None:
        switch = read_value(configs.code.run, configs.code.config, ("use_pixel_shuffle",))
        if switch is not None and plain(switch) is False:
            yield Fact(
                "downsample_ratio", 1.0, Confidence.LIKELY, evidence(switch.src), note="use_pixel_shuffle is off"
            )
        else:
            yield _fact("downsample_ratio", configs.find("model", "downsample_ratio"))
        yield _fact("pixel_shuffle", configs.find("model", "ps_version"))
        yield _fact("feature_layer", configs.find("model", "select_layer"))
        return
    shown = evidence(path.sources)
    version = shuffle.get("version") if shuffle else None
    ratio = shuffle.get("ratio") if shuffle else 1.0
    ratio_value: JSON = ratio if isinstance(ratio, (int, float)) else None
    source = _stated(configs, "downsample_ratio", ratio_value)
    seen = Confidence.CERTAIN if ratio_value is not None else Confidence.UNKNOWN
    yield Fact("downsample_ratio", ratio_value, seen, (*evidence(source), *shown))
    known = version if isinstance(version, str) and version != "other" else None
    missing = Confidence.ABSENT if shuffle is None else Confidence.UNKNOWN
    yield Fact(
        "pixel_shuffle",
        known,
        Confidence.CERTAIN if known else missing,
        (*evidence(_stated(configs, "ps_version", known)), *shown),
    )
    layer: JSON = path.features.layer
    stated_layer = (
        path.layer_sources
        if any(s.file.endswith(".json") for s in path.layer_sources)
        else _stated(configs, "select_layer", layer)
    )
    _remember(configs, "select_layer", layer, stated_layer)
    sure = Confidence.LIKELY if path.opaque else Confidence.CERTAIN
    yield Fact("feature_layer", layer, sure, (*evidence(stated_layer), *shown))


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


def _pixel_facts(configs: Configs, ops: list[dict[str, object]]) -> Iterator[Fact]:
    inside = next((op for op in ops if op["op"] == "normalize"), None)
    off = configs.processor_value("do_normalize")
    for name, role in (("image_mean", "mean"), ("image_std", "std")):
        if inside is not None and (off is None or plain(off) is False):
            note = f"the model normalises by its buffer {inside[role]}"
            yield Fact(name, None, Confidence.ABSENT, evidence(off.src if off is not None else ()), note=note)
            continue
        value = configs.preprocessing(name) or constant_of(configs.code, role) or configs.find("model", name)
        if value is not None:
            yield _fact(name, per_channel(value))
        else:
            named = named_constant(configs.code, role)
            yield Fact(name, named.value, Confidence.LIKELY, evidence(named.sources)) if named else _fact(name, None)
    value = configs.preprocessing("resample") or constant_of(configs.code, "resample")
    yield _fact("resample", replace(value, value=resample_name(value.value)) if value is not None else None)
    yield rescale_fact(configs)
    yield scheme_fact(configs)


def tokens_per_tile(facts: list[Fact], path: FeaturePath | None) -> Fact:
    """The number of context tokens of one tile: from the arrangement that the code gives, else by the family's
    formula."""
    values = {fact.name: fact for fact in facts}
    if path is not None and len(path.features.axes) >= 2:
        count = prod(path.features.shape[1:-1])
        return Fact(
            "tokens_per_tile",
            count,
            Confidence.CERTAIN,
            evidence(path.sources),
            note="(image_size // patch_size)^2 * ratio^2",
        )
    size, patch, ratio = (values[name].value for name in ("image_size", "patch_size", "downsample_ratio"))
    if isinstance(size, int) and isinstance(patch, int) and isinstance(ratio, (int, float)) and patch:
        tokens = int((size // patch) ** 2 * ratio**2)
        return Fact(
            "tokens_per_tile",
            tokens,
            Confidence.LIKELY,
            values["image_size"].evidence,
            note="(image_size // patch_size)^2 * ratio^2",
        )
    return Fact("tokens_per_tile", None, Confidence.UNKNOWN)

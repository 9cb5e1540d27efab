"""The parts of a model: tower, connector, language model, buffers, ties; by code, by config, and by checkpoint
names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from porter.facts.built_connector import built_layers
from porter.facts.code import CodeReading
from porter.facts.configs import Configs, evidence
from porter.facts.features import FeaturePath, operations
from porter.facts.layout_blocks import FIELDS, blocks_of
from porter.facts.layout_connectors import connector_in
from porter.facts.layout_facts import checked_tower, config_tower, is_visual, processor_patch
from porter.facts.layout_language import Guess, guess_language
from porter.facts.layout_model import Layout, Part, token_shape
from porter.facts.layout_towers import seen_in, towers_in
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.radio import is_radio, stored_buffers
from porter.facts.synonyms import HIDDEN, LAYERS
from porter.facts.towers import TowerReading, config_of, read_value
from porter.hub.snapshot import Snapshot, TensorInfo
from porter.jsontypes import JSON, JSONObject
from porter.source.codebase import where
from porter.source.values import ClassRef, ConstTensor, Instance, Layer, LibraryConfig, Src, Val, plain

CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def language_module(code: CodeReading) -> tuple[str, Instance | Layer] | None:
    """The module that is the language model: a causal LM that the code builds, at the shortest path."""
    for path, module in code.modules(blocks=False):
        name = module.cls.dotted if isinstance(module, Layer) else module.cls.name
        causal = name.rsplit(".", 1)[-1].endswith(CAUSAL) or "AutoModelForCausalLM" in name
        if path and causal:
            return path, module
    for path, module in code.modules(blocks=False):
        if path and isinstance(module, Layer) and module.cls.name.endswith("Model") and "ision" not in module.cls.name:
            config = config_of(module)
            if config is not None and read_value(code.run, config, ("vocab_size",)) is not None:
                return path, module
    return None


def prefix_of(layout: Layout, attr: str) -> tuple[str, Confidence]:
    """The checkpoint prefix of a module: its attribute path, or that path with one level more or less, as the
    names show."""
    if not layout.tensors:
        return attr, Confidence.LIKELY
    for candidate in _candidates(attr, layout):
        if layout.holds(candidate):
            return candidate, Confidence.CERTAIN
    return attr, Confidence.GUESS


def _candidates(attr: str, layout: Layout) -> Iterator[str]:
    yield attr
    parts = attr.split(".")
    for index in range(1, len(parts)):
        yield ".".join(parts[index:])
    for head in layout.heads():
        yield f"{head}.{attr}"


def tower_fact(configs: Configs, layout: Layout, tower: TowerReading | None, file: str) -> Fact:
    """The towers: as the code builds them, held against the checkpoint; without code as checkpoint and config show."""
    if tower is None:
        return _tower_without_code(configs, layout)
    prefix, sure = prefix_of(layout, tower.attr)
    shape = tower.shape
    value: JSONObject = {
        "kind": tower.kind,
        "class": _tower_class(tower),
        "prefix": prefix,
        "attr": tower.attr.rpartition(".")[2],
        "path": tower.attr,
        "hidden_size": shape.hidden if shape else None,
        "layers": shape.layers if shape else None,
        "heads": _number(tower.values.get("heads")),
        "patch_size": _number(tower.values.get("patch_size")),
        "has_cls": tower.has_cls,
        "in_repo": isinstance(tower.module, Instance),
        "native": None,
    }
    place = tower.module.place if isinstance(tower.module, Layer) else None
    where = (
        f"line {tower.module.cls.node.lineno}" if isinstance(tower.module, Instance) else place.where if place else ""
    )
    shown = Evidence(tower.module.cls.file if isinstance(tower.module, Instance) else file, where, tower.class_name)
    known = tower.kind is not None and shape is not None
    fact = Fact("vision_tower", [value], sure if known else Confidence.GUESS, (shown,))
    return checked_tower(fact, layout, tower)


def _tower_class(tower: TowerReading) -> JSON:
    """The tower's class; for `AutoModel.from_config(config)` the one that its config class stands for."""
    if not tower.class_name.endswith(("from_config", "from_pretrained")):
        return tower.class_name
    stated = _first_architecture(tower.config)
    inner = tower.config.value if tower.config is not None else None
    name = inner.cls.name if isinstance(inner, (Instance, LibraryConfig)) else ""
    return stated or (name.removesuffix("Config") + "Model" if name.endswith("Config") else None)


def _number(value: Val | None) -> JSON:
    inner = plain(value) if value is not None else None
    if isinstance(inner, list) and len(set(map(str, inner))) == 1:
        inner = inner[0]
    return inner if isinstance(inner, (int, float)) else None


def _tower_without_code(configs: Configs, layout: Layout) -> Fact:
    """From the checkpoint's layout and the config blocks; from config alone where the checkpoint shows no tower."""
    blocks = blocks_of(configs.snapshot)
    values, shown, notes = towers_in(layout, blocks)
    if not values:
        return config_tower(configs, blocks, _first_architecture(configs.vision))
    if len(values) == 1:
        values[0]["class"] = _first_architecture(configs.vision)
        for name, config in (("heads", configs.vision), ("patch_size", configs.vision or configs.code.config)):
            values[0][name] = values[0][name] or _number(read_value(configs.code.run, config, FIELDS[name]))
        values[0]["patch_size"] = values[0]["patch_size"] or processor_patch(configs.snapshot)
    return Fact("vision_tower", list(values), Confidence.LIKELY, shown, note="; ".join(notes))


def _first_architecture(config: Val | None) -> JSON:
    inner = config.value if config is not None else None
    pairs = getattr(inner, "values", None) or getattr(inner, "attrs", None)
    found = plain(pairs.get("architectures")) if isinstance(pairs, dict) and "architectures" in pairs else None
    return found[0] if isinstance(found, list) and found else None


def connector_fact(configs: Configs, layout: Layout, path: FeaturePath | None) -> Fact:
    """The layers between tower and language model; without code what the checkpoint shows of them."""
    if path is None:
        return _connector_without_path(configs, layout)
    layers: list[JSONObject] = []
    for op in operations(path):
        listed = op.get("layers")
        layers.extend(dict(layer) for layer in listed if isinstance(layer, dict)) if isinstance(listed, list) else None
    attrs = [str(layer.get("attr") or "") for layer in layers if layer.get("attr")]
    found = language_module(configs.code)
    beside = (path.tower.attr, *(tower.attr for tower in path.others), *((found[0],) if found is not None else ()))
    attr = whole_module(common_path(attrs), beside)
    if len(set(attrs)) == 1 and any(f"{other}.".startswith(f"{attr}." if attr else "") for other in beside):
        attr = attrs[0]  # one layer beside the other parts is the connector itself
    prefix, sure = prefix_of(layout, attr) if attr else ("", Confidence.LIKELY)
    shown = [_shown_layer(layer, attr) for layer in layers]
    kind = "+".join(str(layer["op"]) for layer in shown) or "none"
    value: JSONObject = {
        "kind": kind,
        "prefix": prefix,
        "attr": attr.rpartition(".")[2],
        "path": attr,
        "layers": list(shown),
    }
    places = tuple(
        Src(str(layer["file"]), str(layer["line"]), str(layer["op"])) for layer in layers[:4] if "file" in layer
    )
    if path.lost:
        seen = _connector_without_path(configs, layout)
        value, sure = {**value, "lost": path.lost}, Confidence.GUESS
        if not shown and isinstance(seen.value, dict):
            value, sure = {**seen.value, "lost": path.lost}, seen.confidence
        note = f"the way to {path.lost} was lost"
        return Fact("connector", value, sure, evidence(places) or seen.evidence, note=note)
    return Fact("connector", value, sure, evidence(places or path.sources))


def _connector_without_path(configs: Configs, layout: Layout) -> Fact:
    """As the checkpoint shows it; its layers from the code that builds that module, where there is some."""
    width = _number(read_value(configs.code.run, configs.text, HIDDEN))
    fact = connector_in(layout, configs.snapshot.config(), width if isinstance(width, int) else None)
    built = built_layers(configs.code, layout) if isinstance(fact.value, dict) else None
    if built is None or not isinstance(fact.value, dict):
        return fact
    attr, steps = built
    shown = [_shown_layer(dict(step), attr) for step in steps]  # type: ignore[arg-type]
    value: JSONObject = {**fact.value, "kind": "+".join(str(layer["op"]) for layer in shown), "layers": list(shown)}
    value.update({"path": attr, "attr": attr.rpartition(".")[2]})
    note = "the module that the checkpoint names, as the code builds it; that nothing else lies between was not seen"
    return replace(fact, value=value, note=note)


def whole_module(attr: str, others: tuple[str, ...]) -> str:
    """The outermost module around the connector's layers that holds none of the other parts."""
    parts = attr.split(".") if attr else []
    for length in range(1, len(parts)):
        outer = ".".join(parts[:length])
        if not any(f"{other}.".startswith(f"{outer}.") for other in others):
            return outer
    return attr


def common_path(attrs: list[str]) -> str:
    """The module that holds all of some layers, by their attribute paths; calls without a module (`F.gelu`) do
    not count."""
    attrs = [attr for attr in attrs if attr]
    if not attrs:
        return ""
    split = [attr.split(".")[:-1] for attr in attrs]
    shared: list[str] = []
    for parts in zip(*split, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)


def _shown_layer(layer: JSONObject, attr: str) -> JSONObject:
    path = str(layer.get("attr") or "")
    name = path[len(attr) + 1 :] if attr and f"{path}.".startswith(f"{attr}.") else path
    stored = layer.get("bias") is not None or layer["op"] == "Conv2d"
    shown: JSONObject = {key: layer.get(key) for key in ("op", "in", "out", "bias", "eps")}
    shown.update({key: layer[key] for key in ("approximate", "text") if key in layer})
    return {"name": name if stored else None, **shown}


def language_fact(configs: Configs, layout: Layout, found: tuple[str, Instance | Layer] | None) -> Fact:
    """The language model. A config that is the whole model's own names the whole model, not this part of it."""
    run, config = configs.code.run, configs.text
    if config is None:
        return Fact("language_model", None, Confidence.UNKNOWN)
    path, module = found if found is not None else ("", None)
    part = next(iter(layout.of("language_model")), None)
    by_class = module.cls.name if module is not None and module.cls.name.endswith(CAUSAL) else None
    guess = None if by_class else _guess(configs, layout)
    stated = None if _whole_model(configs, layout) else _first_architecture(config)
    prefix, sure = prefix_of(layout, path) if path else (part.name if part else "", Confidence.LIKELY)
    own_type = _plain(read_value(run, config, ("model_type",))) or _class_model_type(configs)
    value: JSONObject = {
        "architecture": by_class or stated or (guess.architecture if guess else None),
        "model_type": own_type if not _whole_model(configs, layout) else guess.known_type if guess else None,
        "prefix": prefix or None,
        "attr": path.rpartition(".")[2] or None,
        "path": path or None,
        "hidden_size": _number(read_value(run, config, HIDDEN)),
        "layers": _number(read_value(run, config, ("decoder_layers", *LAYERS))),
        "vocab_size": _number(read_value(run, config, ("vocab_size",))),
    }
    notes = [*_language_notes(by_class, stated, guess, part), *_disagreements(value, part)]
    shown = [Evidence("config.json", configs.path_of("text") or "", str(stated or own_type))]
    if isinstance(module, Layer):
        shown.append(Evidence(module.place.file, module.place.where, module.place.text))
    return Fact("language_model", value, Confidence.LIKELY if notes else sure, tuple(shown), note="; ".join(notes))


def _whole_model(configs: Configs, layout: Layout) -> bool:
    """Whether the text settings stand at the top level of a model that also sees: its names are the whole model's."""
    top = configs.text is configs.code.config or configs.path_of("text") == ""
    sees = bool(layout.of("tower")) or configs.vision is not None or configs.code.model is not None
    return top and (sees or is_visual(configs.snapshot.config()))


def _guess(configs: Configs, layout: Layout) -> Guess | None:
    """The kind of language model where only names and config keys tell it."""
    if not _whole_model(configs, layout):
        return None
    base = _causal_base(configs)
    part = next(iter(layout.of("language_model")), None)
    return base or guess_language(part, configs.snapshot.config())


def _causal_base(configs: Configs) -> Guess | None:
    """The library's causal LM that the model's own class derives from."""
    model = configs.code.model
    for item in configs.code.run.mro(model.cls) if model is not None else []:
        name = item.name
        if not isinstance(item, ClassRef) and name.endswith("ForCausalLM"):
            return Guess(name.removesuffix("ForCausalLM").lower(), f"the model's class derives from {name}", name)
    return None


def _language_notes(by_class: JSON, stated: JSON, guess: Guess | None, part: Part | None) -> Iterator[str]:
    if by_class and stated and by_class != stated:
        yield f"text config says {stated}, the code builds {by_class}"
    if guess is not None and not by_class and not stated:
        yield guess.rule
    if part is not None and part.kind is None:
        yield f"the names of its layers are of no known kind: {seen_in(part)}"


def _disagreements(value: JSONObject, part: Part | None) -> Iterator[str]:
    """Where the checkpoint's own sizes are not the config's."""
    if part is None or part.network is None:
        return
    rows, width = token_shape(part.network)
    for name, stored in (("layers", part.network.depth), ("hidden_size", width), ("vocab_size", rows)):
        stated = value[name]
        if stored is not None and stated is not None and stored != stated:
            yield f"the config says {name} {stated}, the checkpoint holds {stored}: the config is what is built"


def _plain(value: Val | None) -> JSON:
    inner = plain(value) if value is not None else None
    return inner if isinstance(inner, str) and inner else None


def _class_model_type(configs: Configs) -> JSON:
    """`model_type` of a config class of the repo."""
    inner = configs.text.value if configs.text is not None else None
    if isinstance(inner, Instance):
        value = configs.code.run.class_attribute(inner.cls, "model_type")
        return _plain(value)
    return None


def buffer_fact(layout: Layout, snapshot: Snapshot, code: CodeReading, path: FeaturePath | None) -> Fact:
    """Persistent buffers that the code registers outside the tower and the language model, with their role in
    the path."""
    used = {operand for _, operand in (path.pixel_ops if path is not None else ())}
    language = language_module(code)
    skip = tuple(part for part in (path.tower.attr if path else "", language[0] if language else "") if part)
    listed: list[JSON] = []
    shown: list[Evidence] = []
    for attr, module in code.modules():
        if not isinstance(module, (Instance, Layer)) or attr.startswith(skip or ("\0",)):
            continue
        for name, buffer in module.buffers.items():
            inner = buffer.value.value
            const = inner if isinstance(inner, ConstTensor) else ConstTensor()
            prefix, _ = prefix_of(layout, f"{attr}.{name}" if attr else name)
            entry: JSONObject = {"name": prefix, "attr": name, "shape": list(const.shape) if const.shape else None}
            entry.update(
                {"persistent": buffer.persistent, "target": name if name in used else None, "used": name in used}
            )
            entry["values"] = list(const.data) if const.data and len(const.data) <= 16 else None
            listed.append(entry)
            shown.append(Evidence(buffer.place.file, buffer.place.where, buffer.place.text))
    if path is not None and is_radio(path.tower.module, path.tower.config):
        listed.extend(stored_buffers(snapshot, path.tower))
    _from_table(snapshot, [entry for entry in listed if isinstance(entry, dict)])
    if code.model is None:
        return Fact("buffers", listed, Confidence.UNKNOWN)
    cls = code.model.cls
    none = Evidence(cls.file, where(cls.node), f"class {cls.name} registers none outside its parts")
    return Fact("buffers", listed, Confidence.CERTAIN, tuple(shown[:6]) or (none,))


def _from_table(snapshot: Snapshot, entries: list[JSONObject]) -> None:
    """Names and shapes of buffers as they are stored. One pass over the tensors."""
    wanted = {str(entry["attr"]) for entry in entries}
    stored: dict[str, list[TensorInfo]] = {}
    for tensor in snapshot.tensors.tensors if wanted else ():
        if (last := tensor.name.rpartition(".")[2]) in wanted:
            stored.setdefault(last, []).append(tensor)
    for entry in entries:
        name = str(entry["name"])
        same = (t for t in stored.get(str(entry["attr"]), []) if t.name == name or t.name.endswith(f".{name}"))
        found = next(same, None)
        if found is not None:
            entry["name"] = found.name
            entry["shape"] = list(found.shape) if found.shape is not None else entry["shape"]

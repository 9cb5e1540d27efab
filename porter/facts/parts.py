"""The parts of a model: tower, connector, language model, buffers, ties; by code, by config, and by checkpoint
names."""

from __future__ import annotations

from collections.abc import Iterator

from porter.facts.code import CodeReading
from porter.facts.configs import Configs, evidence
from porter.facts.features import FeaturePath, operations
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.synonyms import HIDDEN, LAYERS
from porter.facts.towers import TowerReading, config_of, kind_by_names, read_value
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSON, JSONObject
from porter.source.codebase import where
from porter.source.values import ConstTensor, Instance, Layer, LibraryConfig, Src, Val, plain

EMBEDDINGS = ("embed_tokens.weight", "tok_embeddings.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight")
HEADS = ("lm_head.weight", "output.weight", "embed_out.weight")
CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def language_module(code: CodeReading) -> tuple[str, Instance | Layer] | None:
    """The module that is the language model: a causal LM that the code builds, at the shortest path."""
    for path, module in code.modules():
        name = module.cls.dotted if isinstance(module, Layer) else module.cls.name
        causal = name.rsplit(".", 1)[-1].endswith(CAUSAL) or "AutoModelForCausalLM" in name
        if path and causal:
            return path, module
    for path, module in code.modules():
        if path and isinstance(module, Layer) and module.cls.name.endswith("Model") and "ision" not in module.cls.name:
            config = config_of(module)
            if config is not None and read_value(code.run, config, ("vocab_size",)) is not None:
                return path, module
    return None


def prefix_of(snapshot: Snapshot, attr: str) -> tuple[str, Confidence]:
    """The checkpoint prefix of a module: its attribute path, or that path with one level more or less, as the
    names show."""
    names = [tensor.name for tensor in snapshot.tensors.tensors]
    if not names:
        return attr, Confidence.LIKELY
    for candidate in _candidates(attr, names):
        if any(name.startswith(f"{candidate}.") for name in names):
            return candidate, Confidence.CERTAIN
    return attr, Confidence.GUESS


def _candidates(attr: str, names: list[str]) -> Iterator[str]:
    yield attr
    parts = attr.split(".")
    for index in range(1, len(parts)):
        yield ".".join(parts[index:])
    for head in dict.fromkeys(name.split(".")[0] for name in names):
        yield f"{head}.{attr}"


def tower_fact(snapshot: Snapshot, configs: Configs, tower: TowerReading | None, file: str) -> Fact:
    if tower is None:
        return _tower_without_code(snapshot, configs)
    prefix, sure = prefix_of(snapshot, tower.attr)
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
    return Fact("vision_tower", [value], sure if known else Confidence.GUESS, (shown,))


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
    return inner if isinstance(inner, (int, float)) else None


def _tower_without_code(snapshot: Snapshot, configs: Configs) -> Fact:
    """From checkpoint names and the vision config alone."""
    groups: dict[str, set[str]] = {}
    for tensor in snapshot.tensors.tensors:
        parts = tensor.name.split(".")
        for depth in (1, 2, 3):
            if len(parts) > depth:
                groups.setdefault(".".join(parts[:depth]), set()).add(".".join(parts[depth:]))
    named = [(prefix, kind) for prefix, names in groups.items() if (kind := _vision_group(prefix, names))]
    config = configs.vision
    if not named and config is None:
        return Fact("vision_tower", None, Confidence.UNKNOWN)
    prefix, kind = min(named, key=lambda item: item[0].count("."), default=("", None))
    reader = configs.code.run
    value: JSONObject = {
        "kind": kind or _kind_by_type(configs),
        "class": _first_architecture(config),
        "prefix": prefix or None,
        "attr": prefix or None,
        "hidden_size": _number(read_value(reader, config, HIDDEN)),
        "layers": _number(read_value(reader, config, LAYERS)),
        "heads": _number(read_value(reader, config, ("num_attention_heads", "num_heads"))),
        "patch_size": _number(read_value(reader, config, ("patch_size",))),
        "has_cls": None,
        "in_repo": False,
        "native": None,
    }
    shown = Evidence("config.json", configs.path_of("vision") or "", str(value["class"] or value["kind"]))
    return Fact("vision_tower", [value], Confidence.LIKELY, (shown,))


def _vision_group(prefix: str, names: set[str]) -> str | None:
    visual = any(word in prefix.lower() for word in ("vis", "vit", "vpm", "image", "tower", "sam"))
    return kind_by_names(names) if visual else None


def _kind_by_type(configs: Configs) -> str | None:
    from porter.facts.towers import KIND_BY_CLASS

    value = read_value(configs.code.run, configs.vision, ("model_type",))
    text = str(plain(value)).lower() if value is not None else ""
    return next((kind for word, kind in KIND_BY_CLASS if word in text), None)


def _first_architecture(config: Val | None) -> JSON:
    inner = config.value if config is not None else None
    pairs = getattr(inner, "values", None) or getattr(inner, "attrs", None)
    found = plain(pairs.get("architectures")) if isinstance(pairs, dict) and "architectures" in pairs else None
    return found[0] if isinstance(found, list) and found else None


def connector_fact(snapshot: Snapshot, path: FeaturePath | None) -> Fact:
    if path is None:
        return Fact("connector", None, Confidence.UNKNOWN)
    layers: list[JSONObject] = []
    for op in operations(path):
        listed = op.get("layers")
        layers.extend(dict(layer) for layer in listed if isinstance(layer, dict)) if isinstance(listed, list) else None
    attrs = [str(layer.get("attr") or "") for layer in layers if layer.get("attr")]
    attr = common_path(attrs)
    prefix, sure = prefix_of(snapshot, attr) if attr else ("", Confidence.LIKELY)
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
        value["lost"] = path.lost
        return Fact("connector", value, Confidence.GUESS, evidence(places), note=f"the way to {path.lost} was lost")
    return Fact("connector", value, sure, evidence(places))


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
    name = path[len(attr) + 1 :] if attr and path.startswith(f"{attr}.") else path
    stored = layer.get("bias") is not None or layer["op"] == "Conv2d"
    shown: JSONObject = {key: layer.get(key) for key in ("op", "in", "out", "bias", "eps")}
    shown.update({key: layer[key] for key in ("approximate", "text") if key in layer})
    return {"name": name if stored and name else None, **shown}


def language_fact(snapshot: Snapshot, configs: Configs, found: tuple[str, Instance | Layer] | None) -> Fact:
    run, config = configs.code.run, configs.text
    path, module = found if found is not None else ("", None)
    stated = _first_architecture(config)
    by_class = module.cls.name if module is not None and module.cls.name.endswith(CAUSAL) else None
    architecture = by_class or stated
    prefix, sure = prefix_of(snapshot, path) if path else (_text_prefix(snapshot), Confidence.LIKELY)
    value: JSONObject = {
        "architecture": architecture,
        "model_type": _plain(read_value(run, config, ("model_type",))) or _class_model_type(configs),
        "prefix": prefix or None,
        "attr": path.rpartition(".")[2] or None,
        "path": path or None,
        "hidden_size": _number(read_value(run, config, HIDDEN)),
        "layers": _number(read_value(run, config, LAYERS)),
        "vocab_size": _number(read_value(run, config, ("vocab_size",))),
    }
    if config is None:
        return Fact("language_model", None, Confidence.UNKNOWN)
    conflict = (
        f"text config says {stated}, the code builds {by_class}" if by_class and stated and by_class != stated else ""
    )
    shown = [Evidence("config.json", configs.path_of("text") or "", str(stated))]
    if isinstance(module, Layer):
        shown.append(Evidence(module.place.file, module.place.where, module.place.text))
    return Fact("language_model", value, Confidence.LIKELY if conflict else sure, tuple(shown), note=conflict)


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


def _text_prefix(snapshot: Snapshot) -> str:
    for tensor in snapshot.tensors.tensors:
        if tensor.name.endswith(EMBEDDINGS):
            return tensor.name.rpartition(".")[0].rpartition(".")[0]
    return ""


def buffer_fact(snapshot: Snapshot, code: CodeReading, path: FeaturePath | None) -> Fact:
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
            prefix, _ = prefix_of(snapshot, f"{attr}.{name}" if attr else name)
            entry: JSONObject = {"name": prefix, "attr": name, "shape": list(const.shape) if const.shape else None}
            entry.update(
                {"persistent": buffer.persistent, "target": name if name in used else None, "used": name in used}
            )
            entry["values"] = list(const.data) if const.data and len(const.data) <= 16 else None
            _from_table(snapshot, entry)
            listed.append(entry)
            shown.append(Evidence(buffer.place.file, buffer.place.where, buffer.place.text))
    if code.model is None:
        return Fact("buffers", listed, Confidence.UNKNOWN)
    cls = code.model.cls
    none = Evidence(cls.file, where(cls.node), f"class {cls.name} registers none outside its parts")
    return Fact("buffers", listed, Confidence.CERTAIN, tuple(shown[:6]) or (none,))


def _from_table(snapshot: Snapshot, entry: JSONObject) -> None:
    for tensor in snapshot.tensors.tensors:
        if tensor.name.endswith(str(entry["attr"])) and (
            tensor.name == entry["name"] or tensor.name.endswith(f".{entry['name']}")
        ):
            entry["name"] = tensor.name
            entry["shape"] = list(tensor.shape) if tensor.shape is not None else entry["shape"]
            return


def tie_fact(snapshot: Snapshot, configs: Configs, language: Fact) -> Fact:
    """Tied embeddings: decided by the checkpoint where its names are known, else by the config levels."""
    levels = [("text", read_value(configs.code.run, configs.text, ("tie_word_embeddings",)))]
    levels.append(("model", read_value(configs.code.run, configs.code.config, ("tie_word_embeddings",))))
    stated = [(level, plain(value), value) for level, value in levels if value is not None]
    shown = tuple(item for _, _, value in stated for item in evidence(value.src, 1))
    note = (
        "; ".join(f"{level} config says {value}" for level, value, _ in stated)
        if any(value != stated[0][1] for _, value, _ in stated)
        else ""
    )
    names = [tensor.name for tensor in snapshot.tensors.tensors]
    prefix = language.value.get("prefix") if isinstance(language.value, dict) else None
    inside = [name for name in names if not prefix or name.startswith((str(prefix), "lm_head"))]
    if any(name.endswith(EMBEDDINGS) for name in inside):
        tied = not any(name.endswith(HEADS) for name in inside)
        seen = Evidence("checkpoint", "names", "no output head is stored" if tied else "an output head is stored")
        return Fact("tied_embeddings", tied, Confidence.CERTAIN, (seen, *shown), note=note)
    if stated:
        return Fact(
            "tied_embeddings", bool(stated[0][1]), Confidence.LIKELY if note else Confidence.CERTAIN, shown, note=note
        )
    return Fact(
        "tied_embeddings",
        None,
        Confidence.UNKNOWN,
        note="no config states it: transformers' default for this class applies",
    )

"""The vision tower: which module it is, what kind by its layers, and what shape its output has."""

from __future__ import annotations

from dataclasses import dataclass, field

from porter.facts.synonyms import HEADS, HIDDEN, IMAGE_SIZE, LAYERS, PATCH_SIZE
from porter.source.attributes import attribute
from porter.source.interpreter import Frame, Interpreter, TowerShape, is_unknown
from porter.source.layers import children, parameters
from porter.source.values import Instance, Layer, Val, plain

CLASS_TOKENS = ("class_embedding", "cls_token", "class_token", "cls_embedding", "cls_embed", "class_embeds")
KIND_BY_CLASS = (
    ("siglip2", "siglip2"),
    ("siglip", "siglip"),
    ("clip", "clip"),
    ("intern", "intern_vit"),
    ("radio", "radio"),
    ("moon", "moonvit"),
    ("pixtral", "pixtral"),
    ("aimv2", "aimv2"),
    ("dino", "dinov2"),
    ("eva", "eva"),
    ("sam", "sam"),
    ("convnext", "convnext"),
    ("qwen2_5vl", "qwen_vit"),
    ("qwen", "qwen_vit"),
)


KIND_BY_NAMES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("intern_vit", ("attn.qkv", "ls1", "ls2", "class_embedding"), ()),
    ("radio", ("radio_model",), ()),
    ("radio", ("patch_generator",), ()),
    ("moonvit", ("wqkv", "norm0", "patch_embed"), ()),
    ("clip", ("pre_layrnorm",), ()),
    ("clip", ("class_embedding", "self_attn", "layer_norm1"), ()),
    ("siglip", ("self_attn.q_proj", "layer_norm1"), ("class_embedding",)),
    ("intern_vit", ("ls1", "attn.qkv"), ()),
    ("dinov2", ("layer_scale1",), ()),
    ("dinov2", ("register_tokens",), ()),
    ("qwen_vit", ("merger", "attn.qkv"), ()),
    ("open_clip", ("resblocks", "ln_pre"), ()),
    ("pixtral", ("attention_norm", "ffn_norm", "ln_pre"), ()),
)


@dataclass(slots=True)
class TowerReading:
    """A tower module as read from code. `names` are its parameters, relative to it."""

    module: Instance | Layer
    attr: str
    class_name: str
    config: Val | None
    shape: TowerShape | None = None
    kind: str | None = None
    has_cls: bool | None = None
    names: dict[str, tuple[int, ...] | None] = field(default_factory=dict)
    values: dict[str, Val] = field(default_factory=dict)
    called: bool = True


def config_of(module: Instance | Layer) -> Val | None:
    """The config object that a module was built with."""
    given = module.kwargs.get("config") or (module.args[0] if module.args else None)
    if given is not None:
        return given
    return module.attrs.get("config") if isinstance(module, Instance) else None


def read_value(run: Interpreter, config: Val | None, names: tuple[str, ...]) -> Val | None:
    """The first of several spellings of an attribute that the config object has."""
    import ast

    frame = Frame("", {}, None, None, 1)
    for name in names:
        if config is None:
            return None
        value = attribute(run, config, name, ast.Name(name), frame)
        if not is_unknown(value) and isinstance(plain(value), (int, float, str, bool, list)):
            return value
    return None


def read_tower(run: Interpreter, module: Instance | Layer, image_size: int | None) -> TowerReading:
    """Everything that code and config say about one tower."""
    config = config_of(module)
    tower = TowerReading(module, module.path, module.cls.name, config)
    found = {
        "hidden_size": HIDDEN,
        "layers": LAYERS,
        "heads": HEADS,
        "patch_size": PATCH_SIZE,
        "image_size": IMAGE_SIZE,
    }
    for name, spellings in found.items():
        value = read_value(run, config, spellings)
        if value is not None:
            tower.values[name] = value
    if isinstance(module, Instance):
        tower.names = parameters(run, module)
        _from_layers(run, tower)
    tower.kind = kind_of(tower)
    tower.has_cls = _class_token(tower)
    tower.shape = _shape(tower, image_size)
    return tower


def _from_layers(run: Interpreter, tower: TowerReading) -> None:
    """Width, patch size and depth from the layers themselves, where the config spells them in a way of its own."""
    for module in _descend(run, tower.module, 4):
        if not isinstance(module, Layer):
            continue
        if module.cls.name == "Conv2d":
            for name, index, keyword in (("hidden_size", 1, "out_channels"), ("patch_size", 2, "kernel_size")):
                given = module.kwargs.get(keyword) or (module.args[index] if index < len(module.args) else None)
                if given is not None and isinstance(plain(given), int):
                    tower.values.setdefault(name, given)
        if module.cls.name == "ModuleList" and len(module.items) > 1:
            tower.values.setdefault("layers", Val(len(module.items), (module.place,)))


def _descend(run: Interpreter, module: object, depth: int) -> list[object]:
    found: list[object] = []
    for _, child in children(run, module):
        found.append(child)
        if depth:
            found.extend(_descend(run, child, depth - 1))
    return found


def kind_of(tower: TowerReading) -> str | None:
    """The kind by structure where the code is in the repo, by the library's class otherwise."""
    if tower.names:
        return kind_by_names(set(tower.names))
    name = tower.class_name.lower().replace("_", "")
    if tower.class_name in ("from_config", "_from_config", "from_pretrained") or name.startswith("automodel"):
        name = str(plain(tower.values["model_type"])) if "model_type" in tower.values else _model_type(tower.config)
    return next((kind for word, kind in KIND_BY_CLASS if word in name.lower()), None)


def _model_type(config: Val | None) -> str:
    values = (
        getattr(config.value, "values", None) or getattr(config.value, "attrs", None) if config is not None else None
    )
    found = values.get("model_type") if isinstance(values, dict) else None
    return str(plain(found)) if found is not None else ""


def kind_by_names(names: set[str]) -> str | None:
    """The kind of tower by the names of its parameters (relative to it), whatever their outer prefix."""
    leaves = {".".join(part for part in name.split(".") if not part.isdigit()) for name in names}

    def has(word: str) -> bool:
        return any(word in leaf for leaf in leaves)

    for kind, wanted, unwanted in KIND_BY_NAMES:
        if all(has(word) for word in wanted) and not any(has(word) for word in unwanted):
            return kind
    return None


def _class_token(tower: TowerReading) -> bool | None:
    if tower.names:
        return any(
            name.rsplit(".", 1)[-1] in CLASS_TOKENS or name.split(".")[-1].startswith("cls") for name in tower.names
        )
    return {"siglip": False, "siglip2": False, "clip": True, "intern_vit": True, "dinov2": True}.get(tower.kind or "")


def _shape(tower: TowerReading, image_size: int | None) -> TowerShape | None:
    hidden, patch = plain(tower.values.get("hidden_size")), plain(tower.values.get("patch_size"))
    size = plain(tower.values.get("image_size", image_size))
    size = size[0] if isinstance(size, list) and size else size
    patch = patch[0] if isinstance(patch, list) and patch else patch
    if not isinstance(hidden, int) or not isinstance(patch, int) or not isinstance(size, int) or patch <= 0:
        return None
    layers = plain(tower.values.get("layers"))
    return TowerShape(size // patch, 1 if tower.has_cls else 0, hidden, layers if isinstance(layers, int) else None)

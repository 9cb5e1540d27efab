"""What the InternVL base is in the tree at hand: classes, attributes read, constants, defaults; all from its source."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from porter.errors import TreeError
from porter.families.classes import (
    SourceFile,
    base_names,
    call_defaults,
    called_classes,
    config_reads,
    constants,
    dotted,
    method_of,
    parameter_names,
    read_file,
    returned_name,
)
from porter.families.internvl.sequence import Layer, sequence_layers
from porter.families.internvl.towers import TowerAnchor, tower_anchors
from porter.vllm_tree.tree import Tree

MODELS = "model_executor/models"
HOOKS = {
    "__init__": ("self", "vllm_config", "prefix"),
    "_init_vision_model": ("self", "config", "quant_config", "prefix"),
    "_init_mlp1": ("self", "config"),
    "extract_feature": ("self", "pixel_values"),
    "pixel_shuffle": ("self", "x", "scale_factor"),
}
"""What a port overrides or calls, with the parameters that it counts on."""
HELPERS = ("get_internvl_target_ratios", "calculate_internvl_targets", "dynamic_preprocess_internvl")


@dataclass(frozen=True, slots=True)
class Trio:
    """Processing classes by name; `image_only` ones have no video."""

    info: str
    processor: str
    dummy: str
    generic: bool = False
    """Whether the processor and the dummy inputs take their processing info in brackets."""


@dataclass(frozen=True, slots=True)
class ProcessorAnchor:
    """The tree's own HF-style processor: classes, their module, default tokens and pixel constants."""

    module: str
    processor: str
    image_processor: str
    tokens: Mapping[str, object]
    image_parameters: tuple[str, ...]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    helpers: tuple[str, ...]
    pixel_hook: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Anchors:
    """The base's contract. `reads` maps each config attribute that the base reads to the line where it does."""

    relpath: str
    module: str
    model_class: str
    image_only: Trio
    with_video: Trio
    processor: ProcessorAnchor
    placeholder: str
    drop_tokens: int
    connector: tuple[Layer, ...]
    towers: Mapping[str, TowerAnchor]
    base_tower: str
    reads: Mapping[str, int] = field(default_factory=dict)
    config_base: str = "PreTrainedConfig"
    quantization_import: tuple[str, str] = ("", "")
    lora_counts: bool = False
    replacement_hook: bool = True
    processor_settings: bool = True
    """Whether the tree hands the repo's preprocessor_config.json to the processing info."""


def read_anchors(tree: Tree, relpath: str, model_class: str) -> Anchors:
    """Read the base from `relpath`. Raises TreeError naming the part that this tree lacks."""
    file = read_file(tree, relpath)
    model = file.classes.get(model_class)
    if model is None:
        raise TreeError(f"{relpath} has no class {model_class}", where=str(tree.package))
    for name, parameters in HOOKS.items():
        hook = method_of(file, model_class, name)
        if hook is None or parameter_names(hook) != parameters:
            wanted = ", ".join(parameters)
            raise TreeError(f"{model_class} of this vLLM has no {name}({wanted})", where=relpath)
    trio = _registered(model, file)
    towers = tower_anchors(tree)
    return Anchors(
        relpath=relpath,
        module=relpath.rpartition("/")[2].removesuffix(".py"),
        model_class=model_class,
        image_only=_image_only(file, trio),
        with_video=trio,
        processor=_processor(tree, file, trio),
        placeholder=_placeholder(file, model_class),
        drop_tokens=_dropped(file, model_class),
        connector=sequence_layers(method_of(file, model_class, "_init_mlp1")),
        towers=towers,
        base_tower=_base_tower(file, model_class, towers),
        reads=_reads(file, model_class, trio),
        config_base=next(
            (n for n in ("PreTrainedConfig", "PretrainedConfig") if n in file.imports), "PretrainedConfig"
        ),
        quantization_import=file.imports.get("QuantizationConfig", ("", "")),
        replacement_hook=method_of(file, trio.processor, "_get_prompt_repl_image") is not None,
        processor_settings="hf_image_processor_config" in tree.text("config/model.py"),
        lora_counts=method_of(file, model_class, "get_mm_lora_token_counts") is not None,
    )


def _registered(model: ast.ClassDef, file: SourceFile) -> Trio:
    """The trio that `register_processor` names above the model class."""
    for decorator in model.decorator_list:
        if isinstance(decorator, ast.Call) and dotted(decorator.func).endswith("register_processor") and decorator.args:
            named = {item.arg: dotted(item.value) for item in decorator.keywords}
            processor, dummy = dotted(decorator.args[0]), named.get("dummy_inputs", "")
            return Trio(named.get("info", ""), processor, dummy, _generic(file, processor) and _generic(file, dummy))
    raise TreeError(f"{model.name} is not registered with a processor in this vLLM", where=file.relpath)


def _image_only(file: SourceFile, trio: Trio) -> Trio:
    """The nearest classes that are not named like video ones: the trio's own bases in the same file, else the trio."""
    info, processor, dummy = (_base_in(file, name) for name in (trio.info, trio.processor, trio.dummy))
    return Trio(info, processor, dummy, _generic(file, processor) and _generic(file, dummy))


def _generic(file: SourceFile, name: str) -> bool:
    """Whether a class leaves the argument of its own base open: `class Base(Other[_I])`."""
    node = file.classes.get(name)
    open_ones = [base for base in (node.bases if node is not None else ()) if isinstance(base, ast.Subscript)]
    return any(dotted(base.slice) not in file.classes for base in open_ones)


def _base_in(file: SourceFile, name: str) -> str:
    node = file.classes.get(name)
    found = [base for base in (base_names(node) if node is not None else ()) if base in file.classes]
    return found[0] if found else name


def _processor(tree: Tree, file: SourceFile, trio: Trio) -> ProcessorAnchor:
    hook = method_of(file, trio.info, "get_hf_processor")
    name = returned_name(hook) if hook is not None else None
    if name is None or name not in file.imports:
        raise TreeError(
            f"{trio.info}.get_hf_processor of this vLLM names no processor class of another module",
            hint="porter reads trees that keep the InternVL processor in vllm/transformers_utils/processors",
            where=file.relpath,
        )
    module, original = file.imports[name]
    source = read_file(tree, module.removeprefix("vllm.").replace(".", "/") + ".py")
    image = _image_processor(file, source, trio)
    values = constants(source)
    init = method_of(source, original, "__init__")
    image_init = method_of(source, image, "__init__")
    pixels = method_of(source, image, "_images_to_pixel_values_lst")
    if init is None or image_init is None:
        raise TreeError(f"{original} of this vLLM has no signature of its own", where=source.relpath)
    return ProcessorAnchor(
        module=module,
        processor=original,
        image_processor=image,
        tokens=call_defaults(init),
        image_parameters=tuple(p for p in parameter_names(image_init) if p != "self"),
        mean=_floats(values, "MEAN"),
        std=_floats(values, "STD"),
        helpers=tuple(name for name in HELPERS if name in source.functions),
        pixel_hook=parameter_names(pixels) if pixels is not None else None,
    )


def _image_processor(file: SourceFile, source: SourceFile, trio: Trio) -> str:
    """The image processor class that the info class builds."""
    for name in ("get_image_processor", "get_hf_processor"):
        node = method_of(file, trio.info, name)
        for called in called_classes(node) if node is not None else []:
            if called.endswith("ImageProcessor") and called in source.classes:
                return called
    raise TreeError(f"{trio.info} of this vLLM builds no image processor", where=file.relpath)


def _floats(values: Mapping[str, object], word: str) -> tuple[float, ...] | None:
    for name, value in values.items():
        if name.endswith(word) and isinstance(value, tuple) and len(value) == 3:
            return tuple(float(item) for item in value)
    return None


def _placeholder(file: SourceFile, model_class: str) -> str:
    node = method_of(file, model_class, "get_placeholder_str")
    for item in ast.walk(node) if node is not None else []:
        if isinstance(item, ast.Return) and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str):
            return item.value.value
    raise TreeError(f"{model_class} of this vLLM has no literal image placeholder", where=file.relpath)


def _dropped(file: SourceFile, model_class: str) -> int:
    """How many tokens `extract_feature` cuts off the front of the tower's output."""
    node = method_of(file, model_class, "extract_feature")
    for item in ast.walk(node) if node is not None else []:
        if isinstance(item, ast.Subscript) and isinstance(item.slice, ast.Tuple) and len(item.slice.elts) > 1:
            cut = item.slice.elts[1]
            if isinstance(cut, ast.Slice) and isinstance(cut.lower, ast.Constant) and isinstance(cut.lower.value, int):
                return cut.lower.value
    return 0


def _base_tower(file: SourceFile, model_class: str, towers: Mapping[str, TowerAnchor]) -> str:
    node = method_of(file, model_class, "_init_vision_model")
    names = called_classes(node) if node is not None else []
    return next((kind for kind, tower in towers.items() if tower.cls in names), "")


def _reads(file: SourceFile, model_class: str, trio: Trio) -> dict[str, int]:
    """Attributes read without a default by the model and by the processing info."""
    found: dict[str, int] = {}
    for owner in (model_class, trio.info):
        for name in _method_names(file, owner):
            node = method_of(file, owner, name)
            if node is not None:
                for attribute, line in config_reads(node).items():
                    found.setdefault(attribute, line)
    return {name: line for name, line in found.items() if not name.startswith(("get_", "to_")) and "(" not in name}


def _method_names(file: SourceFile, cls: str) -> list[str]:
    node = file.classes.get(cls)
    own = [item.name for item in node.body if isinstance(item, ast.FunctionDef)] if node is not None else []
    inherited = [
        name
        for base in (base_names(node) if node is not None else ())
        if base != cls
        for name in _method_names(file, base)
    ]
    return list(dict.fromkeys([*own, *inherited]))

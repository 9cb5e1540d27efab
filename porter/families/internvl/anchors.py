"""What the InternVL base is in the tree at hand: classes, attributes read, constants, defaults; all from its source."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from porter.errors import TreeError
from porter.families.internvl.sequence import Layer, sequence_layers
from porter.families.internvl.towers import TowerAnchor, tower_anchors
from porter.vllm_tree.classes import (
    ClassReading,
    base_classes,
    find_class,
    find_method,
    imported_from,
    module_constants,
    parameters,
    registered_processor,
)
from porter.vllm_tree.config_reads import required_reads
from porter.vllm_tree.syntax import called_classes, dotted, parameter_names, returned_name
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
    image_text_hook: tuple[str, ...] | None = None
    """Parameters of `get_image_repl`, which writes the text of one image."""


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
    prompt_hook: bool = False
    """Whether the processor has a step that rewrites the tokens of a prompt before its images are found."""
    processor_settings: bool = True
    """Whether the tree hands the repo's preprocessor_config.json to the processing info."""


def read_anchors(tree: Tree, relpath: str, model_class: str) -> Anchors:
    """Read the base from `relpath`. Raises TreeError naming the part that this tree lacks."""
    tree.module(relpath)
    model = find_class(tree, relpath, model_class)
    if model is None:
        raise TreeError(f"{relpath} has no class {model_class}", where=str(tree.package))
    for name, wanted in HOOKS.items():
        hook = _method(tree, model, name)
        if hook is None or parameter_names(hook) != wanted:
            raise TreeError(f"{model_class} of this vLLM has no {name}({', '.join(wanted)})", where=relpath)
    trio = _registered(tree, model)
    info, processor = _class_in(tree, relpath, trio.info), _class_in(tree, relpath, trio.processor)
    towers = tower_anchors(tree)
    return Anchors(
        relpath=relpath,
        module=relpath.rpartition("/")[2].removesuffix(".py"),
        model_class=model_class,
        image_only=_image_only(tree, relpath, trio),
        with_video=trio,
        processor=_processor(tree, relpath, info),
        placeholder=_placeholder(tree, model),
        drop_tokens=_dropped(tree, model),
        connector=sequence_layers(_method(tree, model, "_init_mlp1")),
        towers=towers,
        base_tower=_base_tower(tree, model, towers),
        reads=required_reads(tree, relpath, model_class, trio.info),
        config_base=_config_base(tree, relpath),
        quantization_import=_imported(tree, relpath, "QuantizationConfig"),
        replacement_hook=_method(tree, processor, "_get_prompt_repl_image") is not None,
        prompt_hook=_takes(tree, processor, "_postprocess_prompt", ("self", "prompt")),
        processor_settings="hf_image_processor_config" in tree.text("config/model.py"),
        lora_counts=_method(tree, model, "get_mm_lora_token_counts") is not None,
    )


def _method(tree: Tree, cls: ClassReading, name: str) -> ast.FunctionDef | None:
    """A method of a class or of its bases that stand beside it: what another file gives is no hook of this base."""
    found = find_method(tree, cls, name)
    return found[1] if found is not None and found[0].file == cls.file else None


def _takes(tree: Tree, cls: ClassReading, name: str, wanted: tuple[str, ...]) -> bool:
    """Whether a class or any of its bases has a method with these parameters."""
    found = find_method(tree, cls, name)
    return found is not None and parameter_names(found[1]) == wanted


def _class_in(tree: Tree, relpath: str, name: str) -> ClassReading:
    found = find_class(tree, relpath, name)
    if found is None:
        raise TreeError(f"{relpath} has no class {name}", where=str(tree.package))
    return found


def _registered(tree: Tree, model: ClassReading) -> Trio:
    """The trio that `register_processor` names above the model class."""
    trio = registered_processor(model)
    if trio is None:
        raise TreeError(f"{model.name} is not registered with a processor in this vLLM", where=model.file)
    info, dummy = trio.info or "", trio.dummy_inputs or ""
    return Trio(info, trio.processor, dummy, _both_generic(tree, model.file, trio.processor, dummy))


def _image_only(tree: Tree, relpath: str, trio: Trio) -> Trio:
    """The nearest classes that are not named like video ones: the trio's own bases in the same file, else the trio."""
    info, processor, dummy = (_base_in(tree, relpath, name) for name in (trio.info, trio.processor, trio.dummy))
    return Trio(info, processor, dummy, _both_generic(tree, relpath, processor, dummy))


def _both_generic(tree: Tree, relpath: str, processor: str, dummy: str) -> bool:
    return _generic(tree, relpath, processor) and _generic(tree, relpath, dummy)


def _generic(tree: Tree, relpath: str, name: str) -> bool:
    """Whether a class leaves the argument of its own base open: `class Base(Other[_I])`."""
    cls = find_class(tree, relpath, name)
    open_ones = [base for base in (cls.node.bases if cls is not None else ()) if isinstance(base, ast.Subscript)]
    return any(find_class(tree, relpath, dotted(base.slice)) is None for base in open_ones)


def _base_in(tree: Tree, relpath: str, name: str) -> str:
    cls = find_class(tree, relpath, name)
    found = [base.name for base in (base_classes(tree, cls) if cls is not None else ()) if base.file == relpath]
    return found[0] if found else name


def _config_base(tree: Tree, relpath: str) -> str:
    names = ("PreTrainedConfig", "PretrainedConfig")
    return next((name for name in names if imported_from(tree, relpath, name)), names[1])


def _imported(tree: Tree, relpath: str, name: str) -> tuple[str, str]:
    module = imported_from(tree, relpath, name)
    return (module, name) if module is not None else ("", "")


def _processor(tree: Tree, relpath: str, info: ClassReading) -> ProcessorAnchor:
    hook = _method(tree, info, "get_hf_processor")
    name = returned_name(hook) if hook is not None else None
    cls = find_class(tree, relpath, name) if name is not None else None
    if cls is None or cls.file == relpath:
        raise TreeError(
            f"{info.name}.get_hf_processor of this vLLM names no processor class of another module",
            hint="porter reads trees that keep the InternVL processor in vllm/transformers_utils/processors",
            where=relpath,
        )
    image = _image_processor(tree, info, cls.file)
    values = module_constants(tree, cls.file)
    init, image_init = _method(tree, cls, "__init__"), _method(tree, image, "__init__")
    pixels = _method(tree, image, "_images_to_pixel_values_lst")
    written = _method(tree, cls, "get_image_repl")
    if init is None or image_init is None:
        raise TreeError(f"{cls.name} of this vLLM has no signature of its own", where=cls.file)
    stated = [item for item in parameters(init).values() if item.default is not None or item.default_source == "None"]
    return ProcessorAnchor(
        module=cls.module,
        processor=cls.name,
        image_processor=image.name,
        tokens={item.name: item.default for item in stated},
        image_parameters=tuple(parameters(image_init)),
        mean=_floats(values, "MEAN"),
        std=_floats(values, "STD"),
        helpers=tuple(name for name in HELPERS if tree.code.meaning(tree.code_path(cls.file), name) is not None),
        pixel_hook=parameter_names(pixels) if pixels is not None else None,
        image_text_hook=parameter_names(written) if written is not None else None,
    )


def _image_processor(tree: Tree, info: ClassReading, file: str) -> ClassReading:
    """The image processor class that the info class builds."""
    for name in ("get_image_processor", "get_hf_processor"):
        node = _method(tree, info, name)
        for called in called_classes(node) if node is not None else []:
            cls = find_class(tree, file, called) if called.endswith("ImageProcessor") else None
            if cls is not None and cls.file == file:
                return cls
    raise TreeError(f"{info.name} of this vLLM builds no image processor", where=info.file)


def _floats(values: Mapping[str, object], word: str) -> tuple[float, ...] | None:
    for name, value in values.items():
        if name.endswith(word) and isinstance(value, tuple) and len(value) == 3:
            return tuple(float(item) for item in value)
    return None


def _placeholder(tree: Tree, model: ClassReading) -> str:
    node = _method(tree, model, "get_placeholder_str")
    for item in ast.walk(node) if node is not None else []:
        if isinstance(item, ast.Return) and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str):
            return item.value.value
    raise TreeError(f"{model.name} of this vLLM has no literal image placeholder", where=model.file)


def _dropped(tree: Tree, model: ClassReading) -> int:
    """How many tokens `extract_feature` cuts off the front of the tower's output."""
    node = _method(tree, model, "extract_feature")
    for item in ast.walk(node) if node is not None else []:
        if isinstance(item, ast.Subscript) and isinstance(item.slice, ast.Tuple) and len(item.slice.elts) > 1:
            cut = item.slice.elts[1]
            if isinstance(cut, ast.Slice) and isinstance(cut.lower, ast.Constant) and isinstance(cut.lower.value, int):
                return cut.lower.value
    return 0


def _base_tower(tree: Tree, model: ClassReading, towers: Mapping[str, TowerAnchor]) -> str:
    node = _method(tree, model, "_init_vision_model")
    names = called_classes(node) if node is not None else []
    return next((kind for kind, tower in towers.items() if tower.cls in names), "")

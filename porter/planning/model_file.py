"""The context of the model file's template: which imports, which classes, which lines; all decided from the spec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from porter.facts.synonyms import PILS_OWN, RESAMPLING
from porter.planning import layout
from porter.planning.names import is_name
from porter.planning.numbered import numbered
from porter.planning.spec import PortSpec, Source
from porter.weights.mapper import NameRules, mapper_field, sharded

MODELS = "vllm.model_executor.models"
PIL_FILTERS = {number: name.upper() for name, number in RESAMPLING.items()}
TILING = ("min_dynamic_patch", "max_dynamic_patch", "dynamic_image_size", "use_thumbnail")


class Imports:
    """Names to import by module; `plain` are whole modules."""

    def __init__(self, *, relative: bool) -> None:
        self.relative = relative
        self.modules: dict[str, set[str]] = {}
        self.plain: set[str] = set()

    def add(self, module: str, *names: str) -> None:
        self.modules.setdefault(module, set()).update(names)

    def model(self, module: str, *names: str) -> None:
        """Names of another model file, relative where the port stands beside it."""
        self.add(f".{module}" if self.relative else f"{MODELS}.{module}", *names)

    def render(self) -> str:
        """Sections as isort has them: standard library, third party, vLLM, relative."""
        sections: list[dict[str, set[str]]] = [{}, {}, {}, {}]
        for module, names in self.modules.items():
            sections[_section(module)][module] = names
        standard = self.plain & {"re"}
        shown = [layout.imports(sections[0], standard), layout.imports(sections[1], self.plain - standard)]
        shown += [layout.imports(section) for section in sections[2:]]
        return "\n\n".join(section for section in shown if section)


def _section(module: str) -> int:
    if module.startswith("."):
        return 3
    if module.startswith("vllm"):
        return 2
    return 0 if module.partition(".")[0] in ("collections", "copy", "functools", "typing") else 1


def context(spec: PortSpec, *, relative: bool, own_config: bool) -> dict[str, Any]:
    """Everything that templates/model.py.j2 names."""
    imports = Imports(relative=relative)
    _base_imports(spec, imports)
    for add in (_pixel_imports, _connector_imports, _placeholder_imports, _tag_imports):
        add(spec, imports)
    adapt = adaptations(spec, own_config)
    _model_imports(spec, imports, bool(adapt))
    names = spec.names
    return {
        "spec": spec,
        "imports": imports.render(),
        "model": names.architecture,
        "info": names.cls("ProcessingInfo"),
        "hf_processor": names.cls("Processor") if _own_processor(spec) else spec.base.hf_processor,
        "own_processor": _own_processor(spec),
        "grid": spec.pixels is not None and spec.pixels.grid is not None,
        "targets": _targets(spec)[1],
        "numbered": numbered(spec),
        "image_processor": names.cls("ImageProcessor") if spec.pixels else spec.base.image_processor,
        "processor": names.cls("MultiModalProcessor") if spec.tokens.placeholder else spec.base.processor,
        "dummy": names.cls("DummyInputsBuilder") if spec.tokens.placeholder else spec.base.dummy,
        "argument": f"[{names.cls('ProcessingInfo')}]" if spec.base.generic else "",
        "tags": spec.tokens.tags.code("num_patches") if spec.tokens.tags else (),
        "tiling": [(name, expression(source, name, own_config)) for name, source in _tiling(spec)],
        "processor_arguments": _processor_arguments(spec, own_config),
        "adapt": adapt,
        "vision": "config.vision_config" if own_config else config_key(spec, "vision_config"),
        "uses_image_config": any(source.kind == "processor" for source in spec.tiling.values()),
        "connector_locals": connector_locals(spec.connector),
        "scales": [f"layer.{name}" for name in spec.tower.scales] if spec.tower is not None else [],
        "normalise": _normalise(spec),
        "mapper": mapper(spec.rules),
        "resample": PIL_FILTERS[spec.pixels.resample] if spec.pixels else None,
        "own_tiles": _own_tiles(spec),
        "bare": _bare(spec) and not adapt,
    }


def _bare(spec: PortSpec) -> bool:
    """Whether the spec asks for nothing in the model class."""
    parts = (spec.rules, spec.tokens.placeholder, spec.buffers, spec.unbuilt_layers, spec.tower, spec.connector)
    return not (any(parts) or spec.config.vision.table or spec.features or spec.lora_tokens is not None)


def _tiling(spec: PortSpec) -> list[tuple[str, Source]]:
    return [(name, spec.tiling[name]) for name in TILING if name in spec.tiling]


def expression(source: Source, attribute: str, own_config: bool) -> str:
    """How the model file reads a value."""
    if source.kind == "processor":
        return f"image_config[{layout.text(str(source.path))}]"
    if own_config:
        return f"config.{attribute}"
    if source.kind == "config" and all(is_name(part) for part in str(source.path).split(".")):
        return f"config.{source.path}"
    return layout.literal(source.value)


def _processor_arguments(spec: PortSpec, own_config: bool) -> list[str]:
    arguments = ["tokenizer=self.get_tokenizer()", "image_processor=image_processor"]
    if spec.video:
        arguments.append("video_processor=video_processor")
    arguments.append(f"image_seq_length=int(grid_length**2 * {_ratio(spec, own_config)}**2)")
    arguments += [f"{name}={layout.text(value)}" for name, value in spec.tokens.arguments.items()]
    return [*arguments, *(["ctx_video_token=self.ctx_video_token"] if spec.video else [])]


def _ratio(spec: PortSpec, own_config: bool) -> str:
    name = "downsample_ratio"
    if own_config:
        return f"config.{name}"
    return layout.literal(spec.config.defaults[name]) if name in spec.config.defaults else config_key(spec, name)


def config_key(spec: PortSpec, attribute: str) -> str:
    """An attribute of the repo's own config object."""
    return _member("config", spec.config.renames.get(attribute, attribute))


def _member(owner: str, key: str) -> str:
    return f"{owner}.{key}" if is_name(key) else f"getattr({owner}, {layout.text(key)})"


def adaptations(spec: PortSpec, own_config: bool) -> list[str]:
    """Assignments that give the repo's own config object the names that the base reads."""
    if own_config:
        return []
    config = spec.config
    lines = [
        f"config.{name} = {config_key(spec, name)}"
        for name in config.renames
        if name not in TILING and name != "text_config"
    ]
    given = {**config.defaults, **config.forced}
    return [
        *lines,
        *(f"config.{name} = {layout.literal(value)}" for name, value in given.items() if name not in TILING),
    ]


def _normalise(spec: PortSpec) -> str | None:
    """The line that applies stored mean and std to pixels."""
    features = spec.features
    if features is None or features.mean is None or features.std is None:
        return None
    shapes = {buffer.name: buffer.shape for buffer in spec.buffers}

    def name(buffer: str) -> str:
        shape = shapes.get(buffer, ())
        flat = len(shape) == 1 and shape[0] == 3
        return f"self.{buffer}.view(-1, 1, 1)" if flat else f"self.{buffer}"

    line = f"        pixel_values = (pixel_values - {name(features.mean)}) / {name(features.std)}"
    if len(line) <= layout.WIDTH:
        return line
    return (
        "        pixel_values = (\n            pixel_values - "
        + name(features.mean)
        + f"\n        ) / {name(features.std)}"
    )


def mapper(rules: NameRules) -> str | None:
    """`hf_to_vllm_mapper`, when there is anything to rename or drop."""
    tables: dict[str, list[str]] = {}
    for kind, old, new in rules.steps():
        tables.setdefault(mapper_field(kind), []).append(_rule(kind, old, new))
    if not tables:
        return None
    lines = ["    hf_to_vllm_mapper = WeightsMapper("]
    for name, entries in tables.items():
        lines += [f"        {name}={{", *entries, "        }" + ("," if len(tables) > 1 else "")]
    return "\n".join([*lines, "    )"])


def _rule(kind: str, old: str, new: str | None) -> str:
    """One entry of a mapper's table."""
    if kind == "stacked":
        fused, shard = sharded(str(new))
        return f"            {layout.text(old)}: ({layout.text(fused)}, {layout.literal(shard)}),"
    if kind != "regex":
        line = f"            {layout.text(old)}: {layout.literal(new)},"
        if len(line) <= layout.WIDTH or new is None:
            return line
        return f"            {layout.text(old)}: (\n                {layout.literal(new)}\n            ),"
    value = "None" if new is None else layout.raw(new)
    one = f"            re.compile({layout.raw(old)}): {value},"
    if len(one) <= layout.WIDTH:
        return one
    return f"            re.compile(\n                {layout.raw(old)}\n            ): {value},"


def _base_imports(spec: PortSpec, imports: Imports) -> None:
    base = spec.base
    imports.add("vllm.multimodal", "MULTIMODAL_REGISTRY")
    imports.add(base.hf_module, base.image_processor, base.hf_processor)
    imports.model(base.module, base.model, base.info, base.processor, base.dummy)


def _own_tiles(spec: PortSpec) -> bool:
    """Whether the port cuts the tiles itself: the base's function resizes PIL images by PIL's own filter."""
    pixels = spec.pixels
    return pixels is not None and (pixels.resample != PILS_OWN or pixels.tensors is not None or pixels.grid is not None)


def _own_processor(spec: PortSpec) -> bool:
    return spec.tokens.tags is not None or (spec.pixels is not None and spec.pixels.grid is not None)


def _targets(spec: PortSpec) -> tuple[str, str]:
    """(module, function) that chooses the grid of tiles."""
    grid = spec.pixels.grid if spec.pixels is not None else None
    return (grid.module, grid.function) if grid is not None else (spec.base.hf_module, "calculate_internvl_targets")


def _pixel_imports(spec: PortSpec, imports: Imports) -> None:
    pixels = spec.pixels
    if pixels is None:
        return
    imports.plain.add("torch")
    imports.add("functools", "partial")
    made = "to_tensor" if pixels.rescale and pixels.tensors is None else "pil_to_tensor"
    imports.add("torchvision.transforms.functional", made)
    if pixels.tensors is not None:
        imports.add("torchvision.transforms", "InterpolationMode")
        imports.add(pixels.tensors, "resize")
    if pixels.mean:
        imports.add("torchvision.transforms", "Normalize")
    imports.add("PIL", "Image")
    imports.add("vllm.multimodal.image", "convert_image_mode")
    imports.add(spec.base.hf_module, "get_internvl_target_ratios")
    imports.add(*(_targets(spec) if _own_tiles(spec) else (spec.base.hf_module, "dynamic_preprocess_internvl")))


def _model_imports(spec: PortSpec, imports: Imports, adapts: bool) -> None:
    if spec.buffers or spec.unbuilt_layers or adapts:
        imports.add("vllm.config", "VllmConfig")
    if spec.buffers or spec.features:
        imports.plain.add("torch")
    if spec.rules or spec.unbuilt_layers:
        imports.model("utils", "WeightsMapper")
    if spec.rules.regex or spec.tokens.numbered:
        imports.plain.add("re")
    if spec.tower is not None:
        imports.model(spec.tower.module, spec.tower.cls)
        imports.add(*spec.base.quantization)
    if spec.config.vision.table is not None:
        imports.add("copy", "deepcopy")
        imports.add(*spec.base.quantization)
        imports.plain.add("torch.nn as nn")
    if spec.tower is not None or spec.connector or spec.config.vision.table is not None:
        imports.add("transformers", spec.base.config_base)
    if spec.lora_tokens is not None:
        imports.add("vllm.multimodal.inputs", "MultiModalKwargsItem")


def _connector_imports(spec: PortSpec, imports: Imports) -> None:
    if spec.connector:
        imports.plain.add("torch.nn as nn")
    for cls, module in (("RMSNorm", "layernorm"), ("QuickGELU", "activation")):
        if any(line.startswith(f"{cls}(") for line in spec.connector):
            imports.add(f"vllm.model_executor.layers.{module}", cls)


def _placeholder_imports(spec: PortSpec, imports: Imports) -> None:
    if spec.tokens.placeholder is not None:
        imports.add("collections.abc", "Mapping")
        imports.add("vllm.multimodal.inputs", "BatchedTensorInputs")
        imports.add("vllm.multimodal.parse", "MultiModalDataItems")
        imports.add("vllm.multimodal.processing", "PromptReplacement", "cached_encode")


def _tag_imports(spec: PortSpec, imports: Imports) -> None:
    if spec.tokens.tags is not None:
        imports.add("vllm.multimodal.processing", "PromptUpdateDetails", "cached_encode")


def connector_locals(code: Sequence[str]) -> list[str]:
    """Assignments of the local names that the connector's lines use."""
    joined = " ".join(code)
    merged, vision, text = ("merged_size" in joined, "vit_hidden_size" in joined, "llm_hidden_size" in joined)
    lines = ["vit_hidden_size = config.vision_config.hidden_size"] if vision or merged else []
    lines += ["merged_size = vit_hidden_size * int(1 / self.downsample_ratio) ** 2"] if merged else []
    return [*lines, *(["llm_hidden_size = config.text_config.hidden_size"] if text else [])]

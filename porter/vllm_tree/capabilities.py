"""One reader per capability of a contract: what each looks for, and where."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from email.parser import HeaderParser
from typing import cast

from porter.jsontypes import JSON
from porter.vllm_tree.classes import (
    ClassReading,
    exports,
    find_class,
    find_method,
    imported_from,
    parameters,
    read_class,
)
from porter.vllm_tree.contract import Capability, Reader
from porter.vllm_tree.registry import CONFIG, REGISTRY, module_values
from porter.vllm_tree.tree import Tree

_INTERFACES = "model_executor/models/interfaces.py"
_UTILS = "model_executor/models/utils.py"
_PROCESSING = "vllm.multimodal.processing"
_TEST_REGISTRY = "tests/models/registry.py"
_CONFIG_USERS = ("model_executor/models/internvl.py", "model_executor/models/llava.py", CONFIG)
_EXAMPLES = (
    "examples/generate/multimodal/vision_language_offline.py",
    "examples/offline_inference/vision_language.py",
)


def _first_method(name: str, home: tuple[str, str], candidates: tuple[str, ...]) -> Reader:
    """The first of `candidates` that the class at `home` (file, class name), or a base of it, defines."""

    def read(tree: Tree) -> Capability | None:
        cls = find_class(tree, *home) if tree.has(home[0]) else None
        for candidate in candidates if cls else ():
            found = find_method(tree, cast(ClassReading, cls), candidate)
            if found is not None:
                owner, method = found
                return Capability(name, candidate, owner.file, method.lineno, f"{owner.name}.{candidate}")
        return None

    return read


def _exported(name: str, symbol: str, modules: tuple[str, ...]) -> Reader:
    """The first of `modules` from which `symbol` can be imported."""

    def read(tree: Tree) -> Capability | None:
        for module in modules:
            file = tree.dotted_path(module)
            if file and exports(tree, module, symbol):
                return Capability(name, module, file, 1, f"from {module} import {symbol}")
        return None

    return read


def _processing_class(tree: Tree, symbol: str) -> ClassReading | None:
    """A processing class wherever this tree keeps it (one file, a package, or the older profiling module)."""
    for module in (_PROCESSING, "vllm.multimodal.profiling"):
        file = tree.dotted_path(module)
        found = find_class(tree, file, symbol) if file else None
        if found is not None:
            return found
    return None


def _processing_hook(name: str, owners: tuple[tuple[str, str], ...]) -> Reader:
    """The first (class, method) that the tree's processing base classes define, as `Class.method`."""

    def read(tree: Tree) -> Capability | None:
        for symbol, method in owners:
            cls = _processing_class(tree, symbol)
            if cls is not None and method in cls.methods:
                return Capability(name, f"{symbol}.{method}", cls.file, cls.methods[method].lineno, f"def {method}")
        return None

    return read


def _signature(name: str, symbol: str, method: str) -> Reader:
    """Parameter names, and annotations with the module they come from, of a processing class's method."""

    def read(tree: Tree) -> Capability | None:
        cls = _processing_class(tree, symbol)
        function = cls.methods.get(method) if cls else None
        if cls is None or function is None:
            return None
        return Capability(
            name, cast(JSON, _parameters_json(tree, cls, function)), cls.file, function.lineno, f"{symbol}.{method}"
        )

    return read


def _parameters_json(tree: Tree, cls: ClassReading, function: ast.FunctionDef) -> list[JSON]:
    """`imports` maps each name of the annotation to the module that the tree's own file imports it from."""
    arguments = [*function.args.args, *function.args.kwonlyargs]
    annotations = {argument.arg: argument.annotation for argument in arguments}
    found: list[JSON] = []
    for parameter in parameters(function).values():
        names = _names(annotations.get(parameter.name))
        imports: dict[str, JSON] = {name: module for name in names if (module := imported_from(tree, cls.file, name))}
        found.append(
            {
                "name": parameter.name,
                "annotation": parameter.annotation,
                "module": imports.get(parameter.annotation or ""),
                "imports": imports,
                "required": not parameter.has_default,
            }
        )
    return found


def _names(annotation: ast.expr | None) -> list[str]:
    return [node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)] if annotation else []


def _dummy_options(tree: Tree) -> Capability | None:
    """The third argument of get_dummy_mm_data, when this tree passes options."""
    signature = _signature("dummy_options", "BaseDummyInputsBuilder", "get_dummy_mm_data")(tree)
    values = cast("list[JSON]", signature.value) if signature else []
    if signature is None or len(values) < 3:
        return None
    return Capability("dummy_options", values[2], signature.file, signature.line, signature.text)


def _parameter_names(tree: Tree) -> Capability | None:
    signature = _signature("dummy_data_params", "BaseDummyInputsBuilder", "get_dummy_mm_data")(tree)
    if signature is None:
        return None
    names: list[JSON] = [cast("dict[str, JSON]", item)["name"] for item in cast("list[JSON]", signature.value)]
    return Capability("dummy_data_params", names, signature.file, signature.line, signature.text)


def _mm_data_dict(tree: Tree) -> Capability | None:
    """The module that the tree's own dummy builder imports MultiModalDataDict from."""
    cls = _processing_class(tree, "BaseDummyInputsBuilder")
    module = imported_from(tree, cls.file, "MultiModalDataDict") if cls else None
    if cls is None or module is None:
        return None
    public = next((name for name in ("vllm.inputs", "vllm.multimodal.inputs") if module.startswith(name)), module)
    return Capability("mm_data_dict_import", public, cls.file, 1, f"from {module} import MultiModalDataDict")


def _prompt_updates(tree: Tree) -> Capability | None:
    """What `_get_prompt_updates` gets: parameter names, and the last one's type."""
    cls = _processing_class(tree, "BaseMultiModalProcessor")
    function = cls.methods.get("_get_prompt_updates") if cls else None
    if cls is None or function is None:
        return None
    items = list(parameters(function).values())
    value: JSON = {
        "params": [item.name for item in items],
        "out_name": items[-1].name if items else None,
        "out_type": items[-1].annotation if items else None,
    }
    return Capability("prompt_updates", value, cls.file, function.lineno, "BaseMultiModalProcessor._get_prompt_updates")


def _target_style(tree: Tree) -> Capability | None:
    """`token_ids` when the tree exports cached_encode for prompt targets, else `text`."""
    file = tree.dotted_path(_PROCESSING)
    if file is None:
        return None
    style = "token_ids" if exports(tree, _PROCESSING, "cached_encode") else "text"
    return Capability("target_style", style, file, 1, "cached_encode" if style == "token_ids" else "no cached_encode")


def _config_base(tree: Tree) -> Capability | None:
    """The spelling of transformers' config base class that the tree itself imports."""
    for file in _CONFIG_USERS:
        for name in ("PreTrainedConfig", "PretrainedConfig"):
            if tree.has(file) and (imported_from(tree, file, name) or "").startswith("transformers"):
                return Capability("config_base_name", name, file, 1, f"from transformers import {name}")
    return None


def _utils_class(tree: Tree, name: str) -> ClassReading | None:
    return find_class(tree, _UTILS, name) if tree.has(_UTILS) else None


def _mapper_fields(tree: Tree) -> Capability | None:
    """The fields of WeightsMapper in order."""
    cls = _utils_class(tree, "WeightsMapper")
    if cls is None:
        return None
    return Capability("mapper_fields", cast(JSON, field_names(cls.node)), cls.file, cls.line, "class WeightsMapper")


def _mapper_or(tree: Tree) -> Capability | None:
    cls = _utils_class(tree, "WeightsMapper")
    method = cls.methods.get("__or__") if cls else None
    return Capability("mapper_or", True, cls.file, method.lineno, "WeightsMapper.__or__") if cls and method else None


def _loader(method: str, name: str) -> Reader:
    def read(tree: Tree) -> Capability | None:
        cls = _utils_class(tree, "AutoWeightsLoader")
        function = cls.methods.get(method) if cls else None
        if cls is None or function is None:
            return None
        return Capability(name, list(parameters(function)), cls.file, function.lineno, f"AutoWeightsLoader.{method}")

    return read


def field_names(node: ast.ClassDef) -> list[str]:
    """The annotated fields of a dataclass in order."""
    return [
        item.target.id for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    ]


def _assigned(name: str, relpath: str, variable: str, kinds: Mapping[type[ast.expr], str]) -> Reader:
    """What kind of expression a module assigns to `variable`."""

    def read(tree: Tree) -> Capability | None:
        value = dict(module_values(tree, relpath)).get(variable) if tree.has(relpath) else None
        kind = kinds.get(type(value)) if value is not None else None
        return Capability(name, kind, relpath, value.lineno, variable) if value is not None and kind else None

    return read


def _configs_init(name: str, relpath: str) -> Reader:
    """`class_to_module` or `imports`: how a package of config or processor classes lists them."""

    def read(tree: Tree) -> Capability | None:
        if not tree.has(relpath):
            return None
        values = dict(module_values(tree, relpath))
        table = values.get("_CLASS_TO_MODULE")
        if isinstance(table, ast.Dict):
            return Capability(name, "class_to_module", relpath, table.lineno, "_CLASS_TO_MODULE")
        names = values.get("__all__")
        return Capability(name, "imports", relpath, names.lineno, "__all__") if names is not None else None

    return read


def _transformers_pin(tree: Tree) -> Capability | None:
    """The version range of transformers that the tree asks for."""
    from packaging.requirements import InvalidRequirement, Requirement

    for file, lines in _requirement_lines(tree):
        for number, line in enumerate(lines, 1):
            try:
                requirement = Requirement(line.partition("#")[0].strip())
            except InvalidRequirement:
                continue
            if requirement.name.lower() == "transformers":
                return Capability("transformers_pin", str(requirement.specifier), file, number, line.strip())
    return None


def _requirement_lines(tree: Tree) -> list[tuple[str, list[str]]]:
    source = "requirements/common.txt"
    text = tree.root_text(source)
    if text is not None:
        return [(source, text.splitlines())]
    found = []
    for metadata in sorted(tree.package.parent.glob("vllm*.dist-info/METADATA")):
        headers = HeaderParser().parsestr(metadata.read_text(encoding="utf-8", errors="replace"))
        found.append((f"{metadata.parent.name}/METADATA", [str(line) for line in headers.get_all("Requires-Dist", [])]))
    return found


def _example_file(tree: Tree) -> Capability | None:
    """The offline vision-language example script of a source tree."""
    found = next((path for path in _EXAMPLES if tree.root is not None and (tree.root / path).is_file()), None)
    return Capability("example_file", found, found, 1) if found else None


def _test_registry_class(tree: Tree) -> ast.ClassDef | None:
    text = tree.root_text(_TEST_REGISTRY)
    try:
        body = ast.parse(text).body if text else []
    except SyntaxError:
        return None
    return next((node for node in body if isinstance(node, ast.ClassDef) and node.name == "_HfExamplesInfo"), None)


def _example_fields(tree: Tree) -> Capability | None:
    """The fields of an entry of the tests registry."""
    node = _test_registry_class(tree)
    if node is None:
        return None
    fields = field_names(read_class(_TEST_REGISTRY, node).node)
    return Capability("example_fields", cast(JSON, fields), _TEST_REGISTRY, node.lineno, "class _HfExamplesInfo")


def _docs_columns(tree: Tree) -> Capability | None:
    """The header cells of the docs table that lists multimodal models."""
    from porter.vllm_tree.docs import DOCS, model_table

    text = tree.root_text(DOCS)
    table = model_table(text) if text else None
    return Capability("docs_columns", cast(JSON, list(table.header)), DOCS, table.first + 1) if table else None


def _spdx(tree: Tree) -> Capability | None:
    """The comment lines that open every file of the tree."""
    lines: list[str] = []
    for line in tree.text(REGISTRY).splitlines():
        if not line.startswith("# SPDX-"):
            break
        lines.append(line)
    return Capability("spdx_header", "\n".join(lines), REGISTRY, 1) if lines else None


_MULTIMODAL = (_INTERFACES, "SupportsMultiModal")
_DICT_OR_CALL: Mapping[type[ast.expr], str] = {ast.Dict: "dict", ast.Call: "keywords"}
_DICT: Mapping[type[ast.expr], str] = {ast.Dict: "dict"}

READERS: Mapping[str, Reader] = {
    "embed_method": _first_method("embed_method", _MULTIMODAL, ("embed_multimodal", "get_multimodal_embeddings")),
    "embed_ids_method": _first_method("embed_ids_method", _MULTIMODAL, ("embed_input_ids", "get_input_embeddings")),
    "mark_tower_model": _first_method("mark_tower_model", _MULTIMODAL, ("_mark_tower_model",)),
    "mark_language_model": _first_method("mark_language_model", _MULTIMODAL, ("_mark_language_model",)),
    "placeholder_method": _first_method("placeholder_method", _MULTIMODAL, ("get_placeholder_str",)),
    "language_model_method": _first_method("language_model_method", _MULTIMODAL, ("get_language_model",)),
    "tower_lora_method": _first_method(
        "tower_lora_method", _MULTIMODAL, ("get_mm_lora_token_counts", "get_num_mm_encoder_tokens")
    ),
    "dummy_data_params": _parameter_names,
    "dummy_options": _dummy_options,
    "dummy_builder_import": _exported(
        "dummy_builder_import", "BaseDummyInputsBuilder", (_PROCESSING, "vllm.multimodal.profiling")
    ),
    "processing_import": _exported("processing_import", "BaseProcessingInfo", (_PROCESSING,)),
    "cached_encode_import": _exported("cached_encode_import", "cached_encode", (_PROCESSING,)),
    "mm_data_dict_import": _mm_data_dict,
    "multimodal_registry_import": _exported("multimodal_registry_import", "MULTIMODAL_REGISTRY", ("vllm.multimodal",)),
    "prompt_updates": _prompt_updates,
    "target_style": _target_style,
    "call_hf_processor": _signature("call_hf_processor", "BaseMultiModalProcessor", "_call_hf_processor"),
    "mm_fields_config": _signature("mm_fields_config", "BaseMultiModalProcessor", "_get_mm_fields_config"),
    "postprocess_hook": _processing_hook("postprocess_hook", (("BaseMultiModalProcessor", "_postprocess_hf_mm_data"),)),
    "updates_applied_hook": _processing_hook(
        "updates_applied_hook", (("BaseMultiModalProcessor", "_hf_processor_applies_updates"),)
    ),
    "data_parser_hook": _processing_hook(
        "data_parser_hook",
        (("BaseProcessingInfo", "get_data_parser"), ("BaseMultiModalProcessor", "_get_data_parser")),
    ),
    "limits_hook": _processing_hook("limits_hook", (("BaseProcessingInfo", "get_supported_mm_limits"),)),
    "config_base_name": _config_base,
    "mapper_fields": _mapper_fields,
    "mapper_or": _mapper_or,
    "loader_params": _loader("__init__", "loader_params"),
    "loader_load_params": _loader("load_weights", "loader_load_params"),
    "model_registry": _assigned("model_registry", REGISTRY, "_MULTIMODAL_MODELS", _DICT),
    "config_registry": _assigned("config_registry", CONFIG, "_CONFIG_REGISTRY", _DICT_OR_CALL),
    "config_attrs_mapping": _assigned("config_attrs_mapping", CONFIG, "_CONFIG_ATTRS_MAPPING", _DICT),
    "auto_config_kwargs": _assigned("auto_config_kwargs", CONFIG, "_AUTO_CONFIG_KWARGS_OVERRIDES", _DICT),
    "architecture_to_model_type": _assigned("architecture_to_model_type", CONFIG, "_ARCHITECTURE_TO_MODEL_TYPE", _DICT),
    "configs_init": _configs_init("configs_init", "transformers_utils/configs/__init__.py"),
    "processors_init": _configs_init("processors_init", "transformers_utils/processors/__init__.py"),
    "tensor_schema": _exported("tensor_schema", "TensorSchema", ("vllm.utils.tensor_schema",)),
    "transformers_pin": _transformers_pin,
    "example_file": _example_file,
    "example_fields": _example_fields,
    "docs_columns": _docs_columns,
    "spdx_header": _spdx,
}

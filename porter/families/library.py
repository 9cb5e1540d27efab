"""What the `transformers` beside a tree knows, read from its source: its tables, and its classes when asked for one."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from porter.source.codebase import CodeBase
from porter.vllm_tree.tree import PackageTexts

AUTO = "models/auto"
PREFIX = "transformers/"
TABLES = {
    "CONFIG_MAPPING_NAMES": ("auto_mappings.py", "configuration_auto.py"),
    "SPECIAL_MODEL_TYPE_TO_MODULE_NAME": ("auto_mappings.py", "configuration_auto.py"),
    "PROCESSOR_MAPPING_NAMES": ("auto_mappings.py", "processing_auto.py"),
    "MODEL_MAPPING_NAMES": ("modeling_auto.py",),
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES": ("modeling_auto.py",),
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES": ("modeling_auto.py",),
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES": ("modeling_auto.py",),
    "MODEL_FOR_VISION_2_SEQ_MAPPING_NAMES": ("modeling_auto.py",),
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES": ("modeling_auto.py",),
}
WHOLE_MODELS = (
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
    "MODEL_FOR_VISION_2_SEQ_MAPPING_NAMES",
)


@dataclass(frozen=True, slots=True)
class Library:
    """`tables` are transformers' own, by name: model_type → class (or folder); empty when nothing is installed."""

    root: Path | None
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    version: str = ""
    code: CodeBase = field(default_factory=lambda: CodeBase({}), compare=False, repr=False)

    def table(self, name: str) -> Mapping[str, str]:
        return self.tables.get(name, {})

    @property
    def configs(self) -> Mapping[str, str]:
        """model_type → config class."""
        return self.table("CONFIG_MAPPING_NAMES")

    @property
    def causal(self) -> Mapping[str, str]:
        """model_type → causal language model."""
        return self.table("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES")

    @property
    def encoder_decoders(self) -> Mapping[str, str]:
        """model_type → text model with an encoder and a decoder."""
        return self.table("MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES")

    def model_types(self, architecture: str) -> tuple[str, ...]:
        """Every model_type for which transformers itself would build this class."""
        tables = (*(self.table(name) for name in WHOLE_MODELS), self.causal, self.encoder_decoders)
        return tuple(dict.fromkeys(key for table in tables for key, name in table.items() if name == architecture))

    def type_of(self, architecture: str) -> str | None:
        """The model_type of a causal class whose config class goes by the same name; None for a class of elsewhere."""
        stem = architecture.removesuffix("ForCausalLM")
        types = [key for key, name in self.causal.items() if name == architecture]
        return next((key for key in types if self.configs.get(key) == f"{stem}Config"), None)

    def folder(self, model_type: str) -> str:
        return self.table("SPECIAL_MODEL_TYPE_TO_MODULE_NAME").get(model_type, model_type.replace("-", "_"))

    def file(self, model_type: str, kind: str) -> str | None:
        """`modeling`, `processing` or `configuration` file of a model type, as `code` knows it; None without one."""
        folder = self.folder(model_type)
        path = f"{PREFIX}models/{folder}/{kind}_{folder}.py"
        return path if folder.isidentifier() and path in self.code.texts else None

    def sees_images(self, architecture: str) -> bool:
        """Whether transformers lists the class among its models of images and text."""
        return any(architecture in self.table(name).values() for name in WHOLE_MODELS)

    def default(self, model_type: str, path: str) -> tuple[str, str, int] | None:
        """(source, file, line) of what a config class gives an attribute, `vision_config.x` by its sub-config."""
        file = self.file(model_type, "configuration")
        found = self.code.find_class(file, self.configs.get(model_type, "")) if file is not None else None
        *parts, attribute = path.split(".")
        for part in parts:
            found = self._sub_config(*found, part) if found is not None else None
        value = _assigned(found[1], attribute) if found is not None else None
        return (ast.unparse(value), found[0], value.lineno) if found is not None and value is not None else None

    def _sub_config(self, file: str, cls: ast.ClassDef, name: str) -> tuple[str, ast.ClassDef] | None:
        table = _assigned(cls, "sub_configs")
        pairs = zip(table.keys, table.values, strict=True) if isinstance(table, ast.Dict) else ()
        for key, value in pairs:
            if isinstance(key, ast.Constant) and key.value == name and isinstance(value, ast.Name):
                return self.code.find_class(file, value.id)
        return None

    def find_model(self, architecture: str) -> tuple[str, ast.ClassDef] | None:
        """A model class and the file that defines it."""
        for model_type in self.model_types(architecture):
            path = self.file(model_type, "modeling")
            found = self.code.find_class(path, architecture) if path is not None else None
            if found is not None:
                return found
        return None

    def find_processor(self, name: str, model_type: str = "") -> tuple[str, ast.ClassDef] | None:
        """A processor class and the file that defines it; where a table has it for no model, that of `model_type`."""
        types = [key for key, value in self.table("PROCESSOR_MAPPING_NAMES").items() if value == name]
        for kind in dict.fromkeys((*types, model_type)):
            path = self.file(kind, "processing")
            found = self.code.find_class(path, name) if path is not None else None
            if found is not None:
                return found
        return None

    def whole_model(self, model_type: str) -> str | None:
        """The class of images and text that transformers builds for a model_type."""
        return next((name for table in WHOLE_MODELS if (name := self.table(table).get(model_type))), None)


def _assigned(cls: ast.ClassDef, name: str) -> ast.expr | None:
    """What a class body, or a default of its `__init__`, gives a name."""
    for item in cls.body:
        target = item.targets[0] if isinstance(item, ast.Assign) else getattr(item, "target", None)
        if isinstance(item, (ast.Assign, ast.AnnAssign)) and isinstance(target, ast.Name) and target.id == name:
            return item.value
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            plain = item.args.args[len(item.args.args) - len(item.args.defaults) :]
            found = {arg.arg: value for arg, value in zip(plain, item.args.defaults, strict=True)}
            if name in found:
                return found[name]
    return None


def library_beside(package: Path) -> Library:
    """The `transformers` installed beside a vLLM package, else the one that porter's interpreter would import."""
    beside = package.parent / "transformers"
    if beside.is_dir():
        return _read(beside)
    spec = importlib.util.find_spec("transformers")
    return _read(Path(spec.origin).parent) if spec is not None and spec.origin else Library(None)


@lru_cache(maxsize=8)
def _read(root: Path) -> Library:
    tables: dict[str, dict[str, str]] = {}
    for file in dict.fromkeys(file for files in TABLES.values() for file in files):
        for name, pairs in _tables(root / AUTO / file):
            tables.setdefault(name, {}).update(pairs)
    return Library(root, tables, _version(root / "__init__.py"), CodeBase(PackageTexts(root, PREFIX)))


def _version(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    stated = next((line for line in lines if line.startswith("__version__ = ")), "")
    return stated.partition("=")[2].strip().strip("\"'")


def _tables(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Every pair of strings in the assignments of, or the update calls on, the tables."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    for statement in tree.body:
        name = _about(statement)
        if name in TABLES:
            yield name, dict(_pairs(statement))


def _about(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Assign):
        return next((target.id for target in statement.targets if isinstance(target, ast.Name)), "")
    call = statement.value if isinstance(statement, ast.Expr) else None
    inside = call.func.value if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else None
    return inside.id if isinstance(inside, ast.Name) else ""


def _pairs(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    for node in ast.walk(statement):
        items = node.elts if isinstance(node, ast.Tuple) and len(node.elts) == 2 else []
        pairs = list(zip(node.keys, node.values, strict=True)) if isinstance(node, ast.Dict) else []
        for key, value in [(items[0], items[1])] if items else pairs:
            names = [item.value for item in (key, value) if isinstance(item, ast.Constant)]
            if len(names) == 2 and isinstance(names[0], str) and isinstance(names[1], str):
                yield names[0], names[1]

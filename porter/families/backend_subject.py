"""What the conditions of the Transformers backend look at: the classes of model, base model, text model, processor."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from porter.facts.code import class_of, entry_for
from porter.facts.model import Evidence
from porter.families.base import ReadingLike
from porter.families.library import Library
from porter.families.lineages import ClassAt, Lineage, lineage_of
from porter.families.view import View
from porter.hub.snapshot import AutoMapEntry
from porter.source.codebase import CodeBase, snippet
from porter.source.values import Layer
from porter.vllm_tree.registry import config_registry
from porter.vllm_tree.tree import Tree

BACKEND_SECTION = "_TRANSFORMERS_SUPPORTED_MODELS"
BASE = "model_executor/models/transformers"
PROCESSOR_JSON = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")
LINEAR = ("linear_attention", "mamba", "recurrent", "linear")


@dataclass(frozen=True, slots=True)
class TextFile:
    """The file that holds the language model's own layers."""

    code: CodeBase
    file: str

    @property
    def classes(self) -> list[ast.ClassDef]:
        parsed = self.code.file(self.file)
        return [item for item in parsed.tree.body if isinstance(item, ast.ClassDef)] if parsed is not None else []

    def source(self, node: ast.ClassDef) -> str:
        return ast.unparse(node)


@dataclass(frozen=True, slots=True)
class Subject:
    """One repo before the backend. `base_unread` and `processor_unread` say why a class could not be looked at."""

    reading: ReadingLike
    tree: Tree
    library: Library
    architecture: str
    listed: str
    remote: bool
    remote_entry: AutoMapEntry | None
    model: Lineage | None
    base: Lineage | None
    base_unread: str
    processor: Lineage | None
    processor_unread: tuple[Evidence, str] | None
    text_file: TextFile | None
    config_sets_text: Evidence | None
    config_read: bool

    @property
    def renamed_to_text(self) -> tuple[str, ...]:
        return tuple(old for old, new in config_registry(self.tree).attrs.items() if new == "text_config")

    @property
    def linear_attention(self) -> Evidence | None:
        """Layer types that are no attention, where the tree's backend does not speak of them."""
        config = self.reading.snapshot.config()
        inner = config.get("text_config")
        kinds = (inner if isinstance(inner, dict) else config).get("layer_types")
        names = [kind for kind in kinds if isinstance(kind, str)] if isinstance(kinds, list) else []
        odd = next((kind for kind in names if kind in LINEAR), None)
        known = self.tree.has(f"{BASE}/base.py") and odd is not None and odd in self.tree.text(f"{BASE}/base.py")
        return Evidence("config.json", "layer_types", odd) if odd is not None and not known else None

    def classes_of(self, at: ClassAt) -> list[ast.ClassDef]:
        return TextFile(at.code, at.file).classes

    def text_of(self, at: ClassAt) -> str:
        return at.code.texts.get(at.file, "")

    def minimum_for(self, what: str) -> tuple[str, Evidence] | None:
        """The transformers version that the tree's backend asks for something, as `check_version("5.18.0", what)`."""
        path = f"{BASE}/multimodal.py"
        for node in ast.walk(self.tree.module(path)) if self.tree.has(path) else []:
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("check_version") and len(node.args) == 2:
                texts = [item.value for item in node.args if isinstance(item, ast.Constant)]
                if len(texts) == 2 and texts[1] == what:
                    return str(texts[0]), Evidence(path, f"line {node.lineno}", snippet(node))
        return None

    def library_is_at_least(self, version: str) -> bool:
        from packaging.version import InvalidVersion, Version

        try:
            return bool(self.library.version) and Version(self.library.version) >= Version(version)
        except InvalidVersion:
            return False


def subject_of(view: View) -> Subject:
    reading, tree, library, architecture = view.reading, view.tree, view.library, view.architecture
    native = library.find_model(architecture)
    entry = next((item for item in reading.snapshot.auto_map if _is_model(item)), None)
    remote = native is None
    model = _lineage(library, library.code, native) if native is not None else _remote(reading, library, entry)
    base, base_unread = _base(library, architecture) if not remote else _remote_base(reading, library)
    processor, unread = _processor(reading, library)
    listed = view.entry
    sets_text, config_read = _config_class(reading, library)
    return Subject(
        reading, tree, library, architecture,
        BACKEND_SECTION if listed is not None and listed.section == BACKEND_SECTION else "",
        remote, entry, model, base, base_unread, processor, unread,
        _text_file(view, remote, model), sets_text, config_read,
    )  # fmt: skip


def _is_model(entry: AutoMapEntry) -> bool:
    return entry.owner == "config.json" and entry.key.startswith("AutoModel")


def _lineage(library: Library, code: CodeBase, found: tuple[str, ast.ClassDef]) -> Lineage:
    return lineage_of(ClassAt(code, *found), library)


def _remote(reading: ReadingLike, library: Library, entry: AutoMapEntry | None) -> Lineage | None:
    run = reading.configs.code.run
    cls = class_of(run, entry) if entry is not None else None
    return _lineage(library, run.code, (cls.file, cls.node)) if cls is not None else None


def _base(library: Library, architecture: str) -> tuple[Lineage | None, str]:
    """The class that `AutoModel` builds for the config: transformers' own table by model_type."""
    table = library.table("MODEL_MAPPING_NAMES")
    for model_type in library.model_types(architecture):
        path, name = library.file(model_type, "modeling"), table.get(model_type)
        found = library.code.find_class(path, name) if path is not None and name is not None else None
        if found is not None:
            return _lineage(library, library.code, found), ""
    return None, f"transformers has no base model for {architecture}"


def _remote_base(reading: ReadingLike, library: Library) -> tuple[Lineage | None, str]:
    entry = entry_for(reading.snapshot, ("AutoModel",))
    if entry is None:
        return None, "auto_map has no AutoModel, which the backend builds the model with"
    found = _remote(reading, library, entry)
    return found, "" if found is not None else f"{entry.file} was not read"


def _processor(reading: ReadingLike, library: Library) -> tuple[Lineage | None, tuple[Evidence, str] | None]:
    """The processor class: auto_map's, the one that a JSON file names, or transformers' for the model_type."""
    run = reading.configs.code.run
    for entry in reading.snapshot.auto_map:
        if entry.key == "AutoProcessor":
            cls = class_of(run, entry)
            if cls is not None:
                return _lineage(library, run.code, (cls.file, cls.node)), None
            shown = Evidence(entry.owner, "auto_map.AutoProcessor", entry.file)
            return None, (shown, f"auto_map names {entry.file}, which was not read")
    model_type = str(reading.facts.value("model_type"))
    stated = [
        (name, value)
        for name in PROCESSOR_JSON
        if isinstance(value := reading.snapshot.json.get(name, {}).get("processor_class"), str)
    ]
    usual = library.table("PROCESSOR_MAPPING_NAMES").get(model_type)
    for name in (*(value for _, value in stated), *((usual,) if usual else ())):
        found = library.find_processor(name, model_type)
        if found is not None:
            return _lineage(library, library.code, found), None
    if stated:
        shown = Evidence(stated[0][0], "processor_class", stated[0][1])
        return None, (shown, f"{stated[0][1]} is neither in the repo's auto_map nor in transformers {library.version}")
    return None, None


def _text_file(view: View, remote: bool, model: Lineage | None) -> TextFile | None:
    """The file of the language model's layers: transformers' for its model_type, or the repo's own."""
    library = view.library
    language = view.reading.facts.value("language_model")
    stated = language if isinstance(language, dict) else {}
    for path, module in view.modules if remote else ():
        if path and path == stated.get("path") and not isinstance(module, Layer):
            return TextFile(view.reading.configs.code.run.code, module.cls.file)
    model_type = stated.get("model_type") or library.type_of(str(stated.get("architecture")))
    file = library.file(str(model_type), "modeling")
    if file is None and not remote and model is not None:
        file = model.classes[0].file
    return TextFile(library.code, file) if file is not None else None


def _config_class(reading: ReadingLike, library: Library) -> tuple[Evidence | None, bool]:
    """Where the config class makes a text config of its own, and whether it was read at all."""
    cls = reading.configs.code.config_class
    code = reading.configs.code.run.code
    found = (cls.file, cls.node) if cls is not None else None
    model_type = str(reading.facts.value("model_type"))
    path = library.file(model_type, "configuration") if found is None else None
    if path is not None:
        code = library.code
        found = code.find_class(path, library.configs.get(model_type, ""))
    if found is None:
        return None, False
    sets = _lineage(library, code, found).sets(("text_config",))
    shown = Evidence(sets[0].file, f"line {getattr(sets[1], 'lineno', 1)}", "text_config") if sets is not None else None
    return shown, True

"""Which config attributes a class reads, followed through aliases, methods and the parts it builds."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Union

from porter.source.codebase import Definition
from porter.vllm_tree.classes import ClassReading, find_class, lineage, parameters, read_class
from porter.vllm_tree.tree import Tree

ConfigPath = tuple[str, ...]
_ROOT_READS = frozenset({"hf_config", "get_hf_config"})
_MAX_DEPTH = 8
# Framework bases read config on behalf of every model; what they read says nothing about one family.
_FRAMEWORK = ("model_executor/models/interfaces", "multimodal/", "model_executor/layers/", "config/", "inputs/")
_SCOPES = (("vision", ("vision", "vit", "visual")), ("text", ("text", "llm", "language")), ("audio", ("audio",)))


@dataclass(frozen=True, slots=True)
class ConfigRead:
    """One attribute read: `path` from the model's config (`vision_config.image_size`), and where.

    `required` is False when the code itself copes without it (`getattr` with a default, `hasattr`); `default` is then
    the source of the default, None when there is none to state. `guard` marks the `hasattr` itself: with one, no read
    of the same attribute is required.
    """

    path: str
    scope: str
    attribute: str
    required: bool
    default: str | None
    file: str
    line: int
    owner: str
    guard: bool = False


Target = Union[ClassReading, "_Function"]


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    file: str
    node: ast.FunctionDef


def config_attributes_read(
    tree: Tree, file: str, name: str, *, at: ConfigPath = (), depth: int = _MAX_DEPTH
) -> tuple[ConfigRead, ...]:
    """Every config attribute that class `name` of `file` reads, in its bases and in the parts it builds too.

    `at` is where its config sits in the model's config. Each path is listed once; a required read wins.
    """
    cls = find_class(tree, file, name)
    if cls is None:
        return ()
    walk = _Walk(tree, depth)
    walk.visit_class(cls, at, {}, 0)
    return _unique(walk.reads)


def required_reads(tree: Tree, file: str, *classes: str) -> dict[str, int]:
    """The attributes that classes of one file read there without a default, each with the line of the first read."""
    found: dict[str, int] = {}
    for name in classes:
        for read in config_attributes_read(tree, file, name):
            if read.required and read.file == file:
                found.setdefault(read.path, read.line)
    return found


def scope_of(path: ConfigPath) -> tuple[str, str]:
    """The part of the config that a path is in (model, vision, text, audio) and the rest of the path."""
    for scope, words in _SCOPES:
        if len(path) > 1 and any(word in path[0] for word in words):
            return scope, ".".join(path[1:])
    return "model", ".".join(path)


def _unique(reads: Iterable[ConfigRead]) -> tuple[ConfigRead, ...]:
    reads = list(reads)
    guarded = {read.path for read in reads if read.guard}
    best: dict[str, ConfigRead] = {}
    for read in reads:
        known = best.get(read.path)
        if known is None or (read.required and not known.required and read.path not in guarded):
            best[read.path] = read
        elif read.required == known.required and read.file == known.file and read.line < known.line:
            best[read.path] = replace(known, line=read.line, owner=read.owner)
    inner = {path.rsplit(".", end)[0] for path in best for end in range(1, path.count(".") + 1)}
    return tuple(read for path, read in best.items() if path not in inner)


@dataclass(slots=True)
class _Walk:
    tree: Tree
    depth: int
    reads: list[ConfigRead] = field(default_factory=list)
    seen: set[tuple[str, str, ConfigPath, tuple[tuple[str, ConfigPath], ...]]] = field(default_factory=set)

    def visit_class(self, cls: ClassReading, at: ConfigPath, bound: Mapping[str, ConfigPath], depth: int) -> None:
        """Read every method of a class whose config is at `at`; `bound` are constructor arguments that hold configs."""
        key = (cls.file, cls.name, at, tuple(sorted(bound.items())))
        if key in self.seen or depth > self.depth:
            return
        self.seen.add(key)
        owners = [owner for owner in lineage(self.tree, cls) if not owner.file.startswith(_FRAMEWORK)]
        replaced: set[str] = set()
        classes = _class_valued(owners)
        for owner in owners:
            for name, method in owner.methods.items():
                # an overridden __init__ still runs through super().__init__(), other overridden methods mostly do not
                if name in replaced and name != "__init__":
                    continue
                replaced.add(name)
                names = {**_config_parameters(method, at), **(bound if name == "__init__" else {})}
                _Reader(self, owner.file, f"{cls.name}.{name}", at, names, classes, depth).run(method)

    def visit_function(self, function: _Function, bound: Mapping[str, ConfigPath], depth: int) -> None:
        key = (function.file, function.name, (), tuple(sorted(bound.items())))
        if key in self.seen or depth > self.depth:
            return
        self.seen.add(key)
        _Reader(self, function.file, function.name, None, dict(bound), {}, depth).run(function.node)


def _config_parameters(method: ast.FunctionDef, at: ConfigPath) -> dict[str, ConfigPath]:
    """A parameter called `config` holds the class's own config, as everywhere in vLLM's models."""
    arguments = [*method.args.posonlyargs, *method.args.args, *method.args.kwonlyargs]
    return {argument.arg: at for argument in arguments if argument.arg in ("config", "hf_config")}


def _class_valued(owners: Iterable[ClassReading]) -> dict[str, tuple[str, str]]:
    """Attributes and parameters that hold a class (`layer_cls: type[X] = X`), as name → (file, class name)."""
    found: dict[str, tuple[str, str]] = {}
    for owner in owners:
        for name, value in owner.attributes.items():
            if isinstance(value, ast.Name):
                found.setdefault(name, (owner.file, value.id))
        constructor = owner.methods.get("__init__")
        if constructor is not None:
            for parameter in parameters(constructor).values():
                if (parameter.default_source or "").isidentifier():
                    found.setdefault(parameter.name, (owner.file, parameter.default_source or ""))
    return found


@dataclass(slots=True)
class _Reader(ast.NodeVisitor):
    """Walks one function. `names` maps local names to config paths, `own` is where `self.config` sits."""

    walk: _Walk
    file: str
    owner: str
    own: ConfigPath | None
    names: dict[str, ConfigPath]
    classes: Mapping[str, tuple[str, str]]
    depth: int

    def run(self, function: ast.FunctionDef) -> None:
        for statement in function.body:
            self.visit(statement)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        path = self.path(node.value)
        for target in node.targets:
            if path is not None and isinstance(target, ast.Name):
                self.names[target.id] = path
            elif not isinstance(target, (ast.Name, ast.Attribute)):
                self.visit(target)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = self.path(node)
        if path is None:
            self.generic_visit(node)
        elif isinstance(node.ctx, ast.Load) and path:
            self.record(path, node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name in ("getattr", "hasattr") and len(node.args) > 1:
            self.read_by_name(name or "", node)
            return
        if self.path(node) is None and not self.method_of_config(node.func):
            self.visit(node.func)
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            self.visit(argument)
        self.follow(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.run(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit_Assign(ast.copy_location(ast.Assign([node.target], node.value), node))

    def method_of_config(self, func: ast.expr) -> bool:
        """`config.to_dict()` reads no attribute by name."""
        return isinstance(func, ast.Attribute) and self.path(func.value) is not None

    def read_by_name(self, call: str, node: ast.Call) -> None:
        path, name = self.path(node.args[0]), node.args[1]
        for argument in node.args[2:]:
            self.visit(argument)
        if path is None or not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            self.visit(node.args[0])
            return
        default = ast.unparse(node.args[2]) if call == "getattr" and len(node.args) > 2 else None
        required = call == "getattr" and len(node.args) == 2
        self.record((*path, name.value), node, required=required, default=default, guard=call == "hasattr")

    def record(
        self,
        path: ConfigPath,
        node: ast.AST,
        *,
        required: bool = True,
        default: str | None = None,
        guard: bool = False,
    ) -> None:
        scope, attribute = scope_of(path)
        line = getattr(node, "lineno", 1)
        self.walk.reads.append(
            ConfigRead(".".join(path), scope, attribute, required, default, self.file, line, self.owner, guard)
        )

    def path(self, node: ast.expr) -> ConfigPath | None:
        """The config path that an expression stands for; None when it is no config."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute):
            return self.attribute_path(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return self.call_path(node.func)
        return None

    def attribute_path(self, node: ast.Attribute) -> ConfigPath | None:
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            return self.own if node.attr in ("config", "hf_config") else None
        if node.attr in _ROOT_READS and self.path(node.value) is None:
            return ()
        base = self.path(node.value)
        return None if base is None else (*base, node.attr)

    def call_path(self, func: ast.Attribute) -> ConfigPath | None:
        if func.attr in _ROOT_READS:
            return ()
        base = self.path(func.value)
        return None if base is None or func.attr != "get_text_config" else (*base, "text_config")

    def follow(self, node: ast.Call) -> None:
        """Read the class or function that is called with a config as an argument."""
        if not any(self.is_config(value) for value in (*node.args, *(keyword.value for keyword in node.keywords))):
            return
        target = self.target(node.func)
        if target is None:
            return
        function = target.methods.get("__init__") if isinstance(target, ClassReading) else target.node
        bound = self.bound(node, _positional(function)) if function else self.bound(node, [])
        if not bound or target.file.startswith(_FRAMEWORK):
            return
        if isinstance(target, ClassReading):
            self.walk.visit_class(target, bound.get("config", next(iter(bound.values()))), bound, self.depth + 1)
        else:
            self.walk.visit_function(target, bound, self.depth + 1)

    def target(self, func: ast.expr) -> Target | None:
        file, name = self.file, None
        if isinstance(func, ast.Name):
            file, name = self.classes.get(func.id, (self.file, func.id))
        elif isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == "self":
            file, name = self.classes.get(func.attr, (self.file, ""))
        if not name:
            return None
        found = self.walk.tree.code.meaning(self.walk.tree.code_path(file), name)
        if not isinstance(found, Definition):
            return None
        home = self.walk.tree.relpath(found.file)
        if isinstance(found.node, ast.ClassDef):
            return read_class(home, found.node)
        return _Function(name, home, found.node) if isinstance(found.node, ast.FunctionDef) else None

    def is_config(self, value: ast.expr) -> bool:
        path = self.path(value)
        return path is not None and _is_config(path)

    def bound(self, node: ast.Call, positional: list[str]) -> dict[str, ConfigPath]:
        """Parameter name → config path, for the arguments that are whole configs."""
        given = [
            *zip(positional, node.args, strict=False),
            *((keyword.arg or "", keyword.value) for keyword in node.keywords),
        ]
        paths = ((name, self.path(value)) for name, value in given)
        return {name: path for name, path in paths if name and path is not None and _is_config(path)}


def _positional(function: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in function.args.args if argument.arg not in ("self", "cls")]


def _is_config(path: ConfigPath) -> bool:
    return not path or path[-1].endswith("config")

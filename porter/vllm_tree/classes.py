"""Classes of a tree read as ast: bases, methods, signature defaults, constants, registered processors."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from porter.source.codebase import Definition, External, Meaning, ModuleFile
from porter.vllm_tree.registry import module_values
from porter.vllm_tree.tree import Tree


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `default` counts when `has_default`; it is None too when the default is not a literal."""

    name: str
    annotation: str | None
    keyword_only: bool
    has_default: bool
    default: object = None
    default_source: str | None = None


@dataclass(frozen=True, slots=True)
class ClassReading:
    """One class. `file` is relative to the package, `bases` are as written, `attributes` are its assignments."""

    name: str
    file: str
    line: int
    bases: tuple[str, ...]
    methods: Mapping[str, ast.FunctionDef]
    attributes: Mapping[str, ast.expr]
    node: ast.ClassDef

    @property
    def module(self) -> str:
        """The dotted module that defines the class."""
        return dotted_module(self.file)

    def signature(self, method: str = "__init__") -> Mapping[str, Parameter]:
        """Parameters by name without `self`; empty when this class itself does not define the method."""
        function = self.methods.get(method)
        return parameters(function) if function else {}


@dataclass(frozen=True, slots=True)
class ProcessorTrio:
    """What `register_processor` was given: class (or function) names as written in `file`."""

    file: str
    processor: str
    info: str | None
    dummy_inputs: str | None


def dotted_module(file: str) -> str:
    """The module that a file, relative to the package, is imported as."""
    return "vllm." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def find_class(tree: Tree, file: str, name: str) -> ClassReading | None:
    """The class that `name` means in `file` (relative to the package), imports followed; None without one."""
    found = meaning(tree, file, name)
    if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
        return read_class(tree.relpath(found.file), found.node)
    return None


def classes_of(tree: Tree, file: str) -> tuple[ClassReading, ...]:
    """Every class that a file defines at module level, in its order; none when the tree has no such file."""
    source = tree.code.file(tree.code_path(file))
    nodes = source.definitions.values() if source is not None else ()
    return tuple(read_class(file, node) for node in nodes if isinstance(node, ast.ClassDef))


def meaning(tree: Tree, file: str, name: str) -> Meaning | None:
    """What a plain or dotted name (`nn.Module`, `module.Class`) means in `file`; None when nothing binds it."""
    head, *rest = name.split(".")
    found = tree.code.meaning(tree.code_path(file), head)
    for part in rest:
        if isinstance(found, ModuleFile):
            found = tree.code.meaning(found.path, part)
        elif isinstance(found, External):
            found = External(f"{found.dotted}.{part}")
        else:
            return None
    return found


def read_class(file: str, node: ast.ClassDef) -> ClassReading:
    methods = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
    bases = tuple(name for base in node.bases if (name := base_name(base)))
    return ClassReading(node.name, file, node.lineno, bases, methods, dict(class_attributes(node)), node)


def base_name(node: ast.expr) -> str | None:
    """`Base`, `module.Base` or `Base[T]` as a dotted name; None for anything computed."""
    if isinstance(node, ast.Subscript):
        node = node.value
    return ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else None


def base_classes(tree: Tree, cls: ClassReading) -> tuple[ClassReading, ...]:
    """The direct bases that the tree itself defines."""
    found = (find_class(tree, cls.file, base) for base in cls.bases)
    return tuple(base for base in found if base is not None)


def lineage(tree: Tree, cls: ClassReading) -> tuple[ClassReading, ...]:
    """The class and its bases inside the tree, nearest first, each once (depth first: close to Python's order)."""
    seen: dict[tuple[str, str], ClassReading] = {}

    def visit(current: ClassReading) -> None:
        if (current.file, current.name) not in seen:
            seen[current.file, current.name] = current
            for base in base_classes(tree, current):
                visit(base)

    visit(cls)
    return tuple(seen.values())


def find_method(tree: Tree, cls: ClassReading, name: str) -> tuple[ClassReading, ast.FunctionDef] | None:
    """Where a method comes from: the class that defines it, and its definition."""
    for owner in lineage(tree, cls):
        if name in owner.methods:
            return owner, owner.methods[name]
    return None


def find_attribute(tree: Tree, cls: ClassReading, name: str) -> tuple[ClassReading, ast.expr] | None:
    """Where a class attribute comes from: the class that assigns it, and its value."""
    for owner in lineage(tree, cls):
        if name in owner.attributes:
            return owner, owner.attributes[name]
    return None


def external_bases(tree: Tree, cls: ClassReading) -> tuple[str, ...]:
    """Dotted names of the bases that the tree does not define, such as `transformers.ProcessorMixin`."""
    found = (meaning(tree, owner.file, base) for owner in lineage(tree, cls) for base in owner.bases)
    return tuple(dict.fromkeys(item.dotted for item in found if isinstance(item, External)))


def parameters(function: ast.FunctionDef) -> dict[str, Parameter]:
    """Parameters by name in order, without `self`/`cls`, `*args` and `**kwargs`."""
    positional = [*function.args.posonlyargs, *function.args.args]
    missing = len(positional) - len(function.args.defaults)
    defaults: list[ast.expr | None] = [None] * missing + list(function.args.defaults)
    pairs = [(arg, default, False) for arg, default in zip(positional, defaults, strict=True)]
    pairs += [
        (arg, default, True) for arg, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    ]
    if pairs and pairs[0][0].arg in ("self", "cls"):
        pairs = pairs[1:]
    return {arg.arg: _parameter(arg, default, keyword_only) for arg, default, keyword_only in pairs}


def module_constants(tree: Tree, file: str) -> Mapping[str, object]:
    """Module-level names with literal values, such as the mean and std of a processor."""
    values = ((name, _literal(value)) for name, value in module_values(tree, file))
    return {name: literal.value for name, literal in values if literal is not None}


def registered_processor(cls: ClassReading) -> ProcessorTrio | None:
    """What `@MULTIMODAL_REGISTRY.register_processor(...)` was given; None without the decorator."""
    for decorator in cls.node.decorator_list:
        if not isinstance(decorator, ast.Call) or not decorator.args:
            continue
        if isinstance(decorator.func, ast.Attribute) and decorator.func.attr == "register_processor":
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in decorator.keywords}
            first = ast.unparse(decorator.args[0])
            return ProcessorTrio(cls.file, first, keywords.get("info"), keywords.get("dummy_inputs"))
    return None


def imported_from(tree: Tree, file: str, name: str) -> str | None:
    """The module that `file` imports `name` from, relative imports made absolute; None when it does not."""
    source = tree.code.file(tree.code_path(file))
    if source is None or name not in source.imports:
        return None
    module = source.imports[name][0]
    level = len(module) - len(module.lstrip("."))
    if not level:
        return module
    parts = ["vllm", *file.split("/")][:-level]
    return ".".join([*parts, *filter(None, [module[level:]])])


def exports(tree: Tree, dotted: str, name: str) -> bool:
    """Whether a module of the tree defines or imports `name` at module level."""
    file = tree.dotted_path(dotted)
    source = tree.code.file(tree.code_path(file)) if file else None
    return source is not None and (name in source.definitions or name in source.imports)


def class_attributes(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) of every assignment in a class body."""
    for item in node.body:
        if isinstance(item, ast.Assign):
            yield from ((target.id, item.value) for target in item.targets if isinstance(target, ast.Name))
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.value is not None:
            yield item.target.id, item.value


def _parameter(arg: ast.arg, default: ast.expr | None, keyword_only: bool) -> Parameter:
    annotation = ast.unparse(arg.annotation) if arg.annotation else None
    literal = _literal(default) if default is not None else None
    source = ast.unparse(default) if default is not None else None
    return Parameter(arg.arg, annotation, keyword_only, default is not None, literal.value if literal else None, source)


@dataclass(frozen=True, slots=True)
class _Literal:
    value: object


def _literal(node: ast.expr) -> _Literal | None:
    try:
        return _Literal(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None

"""Python files read as ast: what a name means in a file, across the files of one repo. Nothing is executed."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar, Union

from porter.source.parsing import parse

T = TypeVar("T")
MAX_HOPS = 64
Node = Union[ast.ClassDef, ast.FunctionDef, ast.expr]


@dataclass(frozen=True, slots=True)
class Definition:
    """What a module-level name stands for: a class, a function, or an assigned expression of `file`."""

    file: str
    name: str
    node: Node


@dataclass(frozen=True, slots=True)
class External:
    """A dotted name that no file of the code base defines, such as `torch.nn.Linear`."""

    dotted: str

    @property
    def name(self) -> str:
        return self.dotted.rsplit(".", 1)[-1]


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """A file of the code base, used as a name (`from . import x`)."""

    path: str


Meaning = Union[Definition, External, ModuleFile]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One parsed file: its module-level definitions and imports. `error` says why a file could not be parsed."""

    path: str
    tree: ast.Module
    definitions: Mapping[str, Node]
    imports: Mapping[str, tuple[str, str | None]]
    stars: tuple[str, ...] = ()
    error: str = ""


def parse_file(path: str, text: str) -> SourceFile:
    """Parse one file; a syntax error gives an empty file that carries the error."""
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = f"{path}:{getattr(error, 'lineno', None) or 1}"
        reason = getattr(error, "msg", None) or str(error)
        return SourceFile(path, ast.Module([], []), {}, {}, error=f"{place}: {type(error).__name__}: {reason}")
    definitions: dict[str, Node] = {}
    imports: dict[str, tuple[str, str | None]] = {}
    stars: list[str] = []
    for statement in _module_statements(tree.body):
        defined: dict[str, Node] = {}
        imported: dict[str, tuple[str, str | None]] = {}
        _collect(statement, defined, imported, stars)
        _rebind(definitions, defined, imports)
        _rebind(imports, imported, definitions)
    return SourceFile(path, tree, definitions, imports, tuple(stars))


def _rebind(names: dict[str, T], bound: Mapping[str, T], others: dict[str, Any]) -> None:
    """The last binding of a name is what it means, whether a definition or an import."""
    names.update(bound)
    for name in bound:
        others.pop(name, None)


def _module_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements at module level, those under `if` and `try` included (a fallback comes after what it replaces)."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _module_statements(statement.orelse)
            yield from _module_statements(statement.body)
        elif isinstance(statement, ast.Try):
            for handler in statement.handlers:
                yield from _module_statements(handler.body)
            yield from _module_statements(statement.body)
            yield from _module_statements(statement.orelse)
        else:
            yield statement


def _collect(
    statement: ast.stmt,
    definitions: dict[str, Node],
    imports: dict[str, tuple[str, str | None]],
    stars: list[str],
) -> None:
    if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
        definitions[statement.name] = statement
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            definitions.update(bound_names(target, statement.value))
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        definitions.update(bound_names(statement.target, statement.value))
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            top = alias.name.split(".")[0]
            imports[alias.asname or top] = (alias.name if alias.asname else top, None)
    elif isinstance(statement, ast.ImportFrom):
        _import_from(statement, imports, stars)


def bound_names(target: ast.expr, value: ast.expr) -> dict[str, Node]:
    """The names that an assignment binds."""
    if isinstance(target, ast.Name):
        return {target.id: value}
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = zip(target.elts, value.elts, strict=False)
        return {name.id: item for name, item in pairs if isinstance(name, ast.Name)}
    return {}


def _import_from(node: ast.ImportFrom, imports: dict[str, tuple[str, str | None]], stars: list[str]) -> None:
    module = "." * node.level + (node.module or "")
    for alias in node.names:
        if alias.name == "*":
            stars.append(module)
        else:
            imports[alias.asname or alias.name] = (module, alias.name)


def _absolute(path: str, module: str) -> str:
    """A module's dotted name without leading dots, from the folder of the file that imports it."""
    level = len(module) - len(module.lstrip("."))
    folders = path.rpartition("--")[2].split("/")[:-1] if level else []
    return ".".join([*folders[: len(folders) - level + 1], *filter(None, [module[level:]])])


@dataclass(slots=True)
class CodeBase:
    """The Python files of one repo by path (`modeling_x.py`, `ORG/NAME--modeling_y.py`), parsed on first use."""

    texts: Mapping[str, str]
    library: Mapping[str, str] = field(default_factory=dict)
    """Files of a library that classes of the repo inherit from: read like its own, listed by nothing."""
    _files: dict[str, SourceFile] = field(default_factory=dict)

    def file(self, path: str) -> SourceFile | None:
        texts = self.texts if path in self.texts else self.library
        if path not in texts:
            return None
        if path not in self._files:
            self._files[path] = parse_file(path, texts[path])
        return self._files[path]

    def inherited(self, name: str) -> tuple[str, ast.ClassDef] | None:
        """A class of the library's files by its name."""
        for path in self.library:
            file = self.file(path)
            node = file.definitions.get(name) if file is not None else None
            if isinstance(node, ast.ClassDef):
                return path, node
        return None

    def files(self) -> Iterator[SourceFile]:
        for path in sorted(self.texts):
            file = self.file(path)
            if file is not None:
                yield file

    def every(self) -> Iterator[SourceFile]:
        """The repo's files, then those of the library that it inherits from."""
        yield from self.files()
        yield from (file for path in sorted(self.library) if (file := self.file(path)) is not None)

    def meaning(self, path: str, name: str) -> Meaning | None:
        """What `name` means at module level of `path`; None when nothing there binds it."""
        return self._meaning(path, name, set())

    def _meaning(self, path: str, name: str, seen: set[tuple[str, str]]) -> Meaning | None:
        """`seen` ends cycles, and keeps files that star-import each other from being asked over and over."""
        file = self.file(path)
        if file is None or (path, name) in seen or len(seen) > MAX_HOPS:
            return None
        seen.add((path, name))
        if name in file.definitions:
            return Definition(path, name, file.definitions[name])
        if name in file.imports:
            module, attribute = file.imports[name]
            return self._imported(path, module, attribute, seen)
        for module in file.stars:
            target = self.resolve_module(path, module)
            found = self._meaning(target, name, seen) if target else None
            if found is not None:
                return found
        return None

    def _imported(self, path: str, module: str, attribute: str | None, seen: set[tuple[str, str]]) -> Meaning | None:
        target = self.resolve_module(path, module)
        if target is not None and attribute is not None:
            found = self._meaning(target, attribute, seen)
            if found is not None:
                return found
        if attribute is not None:
            submodule = self.resolve_module(
                path, f"{module}{attribute}" if module.endswith(".") else f"{module}.{attribute}"
            )
            if submodule is not None:
                return ModuleFile(submodule)
        elif target is not None:
            return ModuleFile(target)
        dotted = _absolute(path, module)
        return External(f"{dotted}.{attribute}" if attribute and dotted else attribute or dotted)

    def resolve_module(self, path: str, module: str) -> str | None:
        """The file that a (relative or plain) module name means when written in `path`, None when it is not in
        the repo."""
        repo, separator, inner = path.partition("--")
        prefix, here = (repo + separator, inner) if separator else ("", path)
        level = len(module) - len(module.lstrip("."))
        folder = posixpath.dirname(here)
        for _ in range(max(level - 1, 0)):
            folder = posixpath.dirname(folder)
        rest = module[level:].replace(".", "/")
        base = posixpath.join(folder, rest) if level else rest
        for candidate in (f"{base}.py", f"{base}/__init__.py" if base else "__init__.py"):
            if prefix + candidate in self.texts:
                return prefix + candidate
        return None

    def find_class(self, path: str, name: str) -> tuple[str, ast.ClassDef] | None:
        """The class that `name` means in `path`, with the file that defines it."""
        found = self.meaning(path, name)
        if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
            return found.file, found.node
        return None


def where(node: ast.AST) -> str:
    """A node's place, as evidence spells it."""
    return f"line {getattr(node, 'lineno', 1)}"


@lru_cache(maxsize=16_384)
def snippet(node: ast.AST, limit: int = 120) -> str:
    """The node's source on one line, cut at `limit` characters."""
    try:
        text = " ".join(ast.unparse(node).split())
    except (ValueError, RecursionError, AttributeError):
        return type(node).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"

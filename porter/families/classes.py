"""Thin ast reading of a tree's model files: classes, what they read off a config, call defaults, literal connectors."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from porter.vllm_tree.tree import Tree


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One module of the tree: its top-level classes, functions and imported names (local name -> (module, name))."""

    relpath: str
    node: ast.Module
    classes: Mapping[str, ast.ClassDef]
    functions: Mapping[str, ast.FunctionDef]
    imports: Mapping[str, tuple[str, str]]


def read_file(tree: Tree, relpath: str) -> SourceFile:
    node = tree.module(relpath)
    classes = {item.name: item for item in node.body if isinstance(item, ast.ClassDef)}
    functions = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
    return SourceFile(relpath, node, classes, functions, dict(_imports(node, relpath)))


def _imports(node: ast.Module, relpath: str) -> Iterator[tuple[str, tuple[str, str]]]:
    package = ["vllm", *relpath.removesuffix(".py").split("/")[:-1]]
    for item in ast.walk(node):
        if isinstance(item, ast.ImportFrom):
            base = package[: len(package) - item.level + 1] if item.level else []
            module = ".".join([*base, *([item.module] if item.module else [])])
            for alias in item.names:
                yield alias.asname or alias.name, (module, alias.name)


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute chain, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def base_names(cls: ast.ClassDef) -> tuple[str, ...]:
    """Base classes by name, subscripts taken off."""
    plain = [base.value if isinstance(base, ast.Subscript) else base for base in cls.bases]
    return tuple(name for name in (dotted(base) for base in plain) if name)


def method(cls: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((item for item in cls.body if isinstance(item, ast.FunctionDef) and item.name == name), None)


def method_of(file: SourceFile, cls: str, name: str) -> ast.FunctionDef | None:
    """A method of a class or of its bases in the same file."""
    node = file.classes.get(cls)
    if node is None:
        return None
    own = method(node, name)
    if own is not None:
        return own
    found = (method_of(file, base, name) for base in base_names(node) if base != cls)
    return next((item for item in found if item is not None), None)


def config_reads(node: ast.AST, roots: tuple[str, ...] = ("config", "self.config")) -> dict[str, int]:
    """Dotted attributes read off a config object (`vision_config.image_size`) with their first line."""
    found: dict[str, int] = {}
    aliases = dict(_aliases(node, roots))
    for item in ast.walk(node):
        if isinstance(item, ast.Attribute) and isinstance(item.ctx, ast.Load):
            name = _after_root(dotted(item), roots, aliases)
            if name:
                found.setdefault(name, item.lineno)
    longest = [name for name in found if not any(other.startswith(f"{name}.") for other in found)]
    return {name: found[name] for name in longest}


def _aliases(node: ast.AST, roots: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Local names that stand for a part of the config: `vision_config = config.vision_config`."""
    for item in ast.walk(node):
        if isinstance(item, ast.Assign) and len(item.targets) == 1 and isinstance(item.targets[0], ast.Name):
            name = _after_root(dotted(item.value), roots, {})
            if name.endswith("_config"):
                yield item.targets[0].id, name


def _after_root(name: str, roots: tuple[str, ...], aliases: Mapping[str, str]) -> str:
    head, _, rest = name.partition(".")
    if head in aliases and rest:
        return f"{aliases[head]}.{rest}"
    for root in roots:
        if name.startswith(f"{root}."):
            return name[len(root) + 1 :]
    return ""


def call_defaults(node: ast.FunctionDef) -> dict[str, object]:
    """Keyword defaults of a signature that are literals; a parameter without a default is left out."""
    found: dict[str, object] = {}
    plain = [*node.args.posonlyargs, *node.args.args]
    pairs = [*zip(plain[len(plain) - len(node.args.defaults) :], node.args.defaults, strict=True)]
    pairs += [
        (arg, default)
        for arg, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        if default is not None
    ]
    for argument, default in pairs:
        try:
            found[argument.arg] = ast.literal_eval(default)
        except ValueError:
            continue
    return found


def parameter_names(node: ast.FunctionDef) -> tuple[str, ...]:
    return tuple(arg.arg for arg in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs])


def assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """(target, value) of every assignment at or below a node."""
    for item in ast.walk(node):
        if isinstance(item, ast.Assign):
            yield from ((target, item.value) for target in item.targets)
        elif isinstance(item, ast.AnnAssign) and item.value is not None:
            yield item.target, item.value


def constants(file: SourceFile) -> dict[str, object]:
    """Literals assigned in the file, by name."""
    found: dict[str, object] = {}
    for target, value in assignments(file.node):
        if isinstance(target, ast.Name):
            try:
                found[target.id] = ast.literal_eval(value)
            except ValueError:
                continue
    return found


def calls(node: ast.AST, name: str) -> list[ast.Call]:
    """Every call of something whose last name part is `name`."""
    return [
        item for item in ast.walk(node) if isinstance(item, ast.Call) and dotted(item.func).rpartition(".")[2] == name
    ]


def called_classes(node: ast.AST) -> list[str]:
    """Names called that look like classes, in source order."""
    found = [item for item in ast.walk(node) if isinstance(item, ast.Call) and isinstance(item.func, ast.Name)]
    ordered = sorted(found, key=lambda item: (item.lineno, item.col_offset))
    return [item.func.id for item in ordered if isinstance(item.func, ast.Name) and item.func.id[:1].isupper()]


def returned_name(node: ast.FunctionDef) -> str | None:
    """The class that a return annotation names."""
    return dotted(node.returns) or None if node.returns is not None else None

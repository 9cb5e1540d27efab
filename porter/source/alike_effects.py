"""Code that acts where a comparison looks at what is declared: at import, in class bodies, decorators and checks."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterable, Iterator

from porter.source.codebase import CodeBase, Definition, External, SourceFile, snippet

ACTING = frozenset(["setattr", "delattr", "exec", "eval", "globals", "vars", "locals", "__import__", "property"])
CALLED_LATER = frozenset(["setattr", "delattr", "exec", "eval", "__import__"])
WRITING = frozenset(["out", "inplace"])
"""Arguments by which an operator writes into what it is given."""
CHANGING = frozenset(
    [
        *("update", "append", "extend", "insert", "pop", "setdefault", "clear", "remove", "apply", "add_module"),
        *("set_submodule", "load_state_dict", "__setattr__", "__setitem__", "__init__", "import_module"),
    ]
)
SETTING = ("set_", "apply_", "patch", "monkey", "enable_", "disable_", "replace_", "inject", "install", "override")
KINDS = frozenset(["property", "staticmethod", "classmethod"])
QUIET_DECORATORS = (
    *("transformers.", "huggingface_hub.", "typing.", "abc.", "dataclasses.", "functools.wraps", "functools.lru_cache"),
    *("functools.cache", "torch.no_grad", "torch.inference_mode", "torch.jit.", "torch.compile", "torch.compiler."),
)
AUTO_MODEL, AUTO_CONFIG = "AutoModel", "AutoConfig"
FIELD_MAKERS = ("transformers.utils.type_validators.", "huggingface_hub.dataclasses.")
SAID = ("logger.", "warnings.", "logging.")
CHECKS = frozenset(["torch_compilable_check", "torch._check"])
ASIDE = frozenset(["use_cache", "generation_config"])
"""What a model is told about how it generates: no number of a forward pass depends on it."""
_DECLARED = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Pass, ast.Raise)


def acts(node: ast.AST, own: Container[str] = (), makers: Container[str] = ()) -> bool:
    """Whether an expression may do more than compute a value; `own` are names whose calls could do anything, `makers`
    those that give functions which do nothing else."""
    return any(_acts(item, own, makers) for item in ast.walk(node))


def _acts(node: ast.AST, own: Container[str], makers: Container[str]) -> bool:
    if isinstance(node, (ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await)):
        return True
    if not isinstance(node, ast.Call):
        return False
    func = node.func
    handed = any(isinstance(item, ast.Name) and item.id in CALLED_LATER for item in node.args)
    if handed or any(item.arg in WRITING for item in node.keywords):
        return True
    if isinstance(func, ast.Name):
        return func.id in ACTING or func.id in own
    if isinstance(func, ast.Call) and isinstance(func.func, ast.Name):
        return func.func.id not in makers
    if not isinstance(func, ast.Attribute):
        return True
    in_place = func.attr.endswith("_") and not func.attr.endswith("__")
    on_self = isinstance(func.value, ast.Name) and func.value.id == "self" and func.attr in own
    return in_place or on_self or func.attr in CHANGING or func.attr.startswith("register_")


def is_silent(item: ast.stmt, own: Container[str] = ()) -> bool:
    """Whether a statement reaches no number: a check that only raises, a log line, an import."""
    if isinstance(item, (ast.Pass, ast.Import, ast.ImportFrom)):
        return True
    if isinstance(item, (ast.Raise, ast.Assert)):
        return not acts(item, own)
    if isinstance(item, ast.If):
        return not item.orelse and not acts(item.test, own) and all(is_silent(inner, own) for inner in item.body)
    if isinstance(item, ast.Assign):
        return all(map(_aside, item.targets)) and not acts(item.value, own)
    if isinstance(item, ast.AugAssign):
        return _spares_the_empty(item) and "torch" not in own
    if not isinstance(item, ast.Expr):
        return False
    if isinstance(item.value, ast.Constant):
        return True
    called = snippet(item.value.func) if isinstance(item.value, ast.Call) else ""
    return (called.startswith(SAID) or (called in CHECKS and called not in own)) and not acts(item, own)


def _aside(target: ast.expr) -> bool:
    if isinstance(target, ast.Name):
        return target.id in ASIDE
    return isinstance(target, ast.Attribute) and target.attr in ASIDE


def _spares_the_empty(item: ast.AugAssign) -> bool:
    """`found[0] |= ~torch.any(found)`: acts only where nothing is found, and then there is no image."""
    if not isinstance(item.op, ast.BitOr) or not isinstance(item.target, ast.Subscript):
        return False
    return isinstance(item.target.slice, ast.Constant) and (
        snippet(item.value) == f"~torch.any({snippet(item.target.value)})"
    )


def shadowed(code: CodeBase, path: str, function: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Imports inside a function that give a name another meaning than it has in the module."""
    for node in ast.walk(function):
        if isinstance(node, ast.ImportFrom):
            dotted = {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            dotted = {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
        else:
            continue
        for name, meant in dotted.items():
            known = code.meaning(path, name)
            if not isinstance(known, External) or known.dotted != meant:
                yield node


def acting_decorators(
    code: CodeBase, path: str, node: ast.FunctionDef | ast.ClassDef, native: Iterable[ast.expr]
) -> Iterator[ast.expr]:
    """Decorators that may change what they stand above; those that the original has too are `native`."""
    known = {_head(item) for item in native}
    for item in node.decorator_list:
        dotted = _dotted(code, path, item)
        quiet = dotted is not None and (dotted in KINDS or dotted.startswith(QUIET_DECORATORS))
        setter = isinstance(item, ast.Attribute) and item.attr in ("setter", "getter")
        if acts(item) or not (quiet or setter or (dotted is not None and _head(item) in known)):
            yield item


def _head(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]


def _dotted(code: CodeBase, path: str, node: ast.expr) -> str | None:
    """The dotted name of a decorator from outside of the code base."""
    text = ast.unparse(node.func if isinstance(node, ast.Call) else node)
    root, dot, rest = text.partition(".")
    found = code.meaning(path, root)
    if found is None:
        return text if text in KINDS else None
    return f"{found.dotted}{dot}{rest}" if isinstance(found, External) else None


def outward(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """What a function that is not compared does to something that it was not given and did not make."""
    bound = {item.arg for item in ast.walk(function.args) if isinstance(item, ast.arg)}
    bound |= {item.id for item in ast.walk(function) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}
    for node in ast.walk(function):
        root = _acted_on(node)
        if root is not None and not (isinstance(root, ast.Name) and root.id in bound):
            yield node


def outward_of(code: CodeBase, path: str, function: ast.FunctionDef) -> Iterator[ast.AST]:
    """What a function does outward, or a function of the same code that it calls."""
    waiting, seen = [(path, function)], set[str]()
    while waiting:
        file, item = waiting.pop()
        yield from outward(item)
        for node in ast.walk(item):
            meant = code.meaning(file, node.id) if isinstance(node, ast.Name) else None
            if isinstance(meant, Definition) and isinstance(meant.node, ast.FunctionDef) and meant.name not in seen:
                seen.add(meant.name)
                waiting.append((meant.file, meant.node))


def _acted_on(node: ast.AST) -> ast.AST | None:
    if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return _root(node)
    if isinstance(node, ast.Call) and snippet(node.func) in ("setattr", "delattr", "exec", "eval"):
        return _root(node.args[0]) if node.args else node
    hook = isinstance(node, ast.Attribute) and node.attr.startswith("register_") and node.attr.endswith("_hook")
    return node if hook or isinstance(node, (ast.Global, ast.Nonlocal)) else None


def _root(node: ast.AST) -> ast.AST:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node


def acting_at_import(code: CodeBase, roots: Iterable[str]) -> Iterator[tuple[str, ast.stmt]]:
    """(file, statement) of what runs when the files are imported, and those that they import, and declares nothing."""
    for file in _reached(code, roots):
        own, makers = frozenset(file.definitions), frozenset(_makers(code, file))
        for statement in _flat(file.tree.body):
            if not _declares(statement, own, makers) or _unseen_star(code, file.path, statement):
                yield file.path, statement


def registrations(code: CodeBase, roots: Iterable[str]) -> Iterator[tuple[str, ast.Call]]:
    """(file, call) of each class that the files make known to an auto class of models, on import."""
    for file in _reached(code, roots):
        for statement in _flat(file.tree.body):
            call = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(call, ast.Call) and _registers(call) and snippet(call.func).startswith(AUTO_MODEL):
                yield file.path, call


def _registers(call: ast.Call) -> bool:
    called = snippet(call.func)
    auto = called.startswith((AUTO_MODEL, AUTO_CONFIG)) and called.endswith(".register")
    return auto and len(call.args) == 2 and {item.arg for item in call.keywords} <= {"exist_ok"}


def _makers(code: CodeBase, file: SourceFile) -> Iterator[str]:
    """Names of transformers' functions that make the fields of config classes (`interval(min=0)(default=1)`)."""
    for name in file.imports:
        found = code.meaning(file.path, name)
        if isinstance(found, External) and found.dotted.startswith(FIELD_MAKERS):
            yield name


def _unseen_star(code: CodeBase, path: str, statement: ast.stmt) -> bool:
    """All names of a module that cannot be read: any name of the file may be one of them."""
    if not isinstance(statement, ast.ImportFrom) or all(alias.name != "*" for alias in statement.names):
        return False
    return code.resolve_module(path, "." * statement.level + (statement.module or "")) is None


def _reached(code: CodeBase, roots: Iterable[str]) -> Iterator[SourceFile]:
    waiting, seen = list(roots), set[str]()
    while waiting:
        path = waiting.pop()
        file = code.file(path) if path not in seen else None
        seen.add(path)
        if file is None:
            continue
        yield file
        waiting.extend(
            item for module in _modules(file.tree) if (item := code.resolve_module(path, module)) is not None
        )


def _modules(tree: ast.Module) -> Iterator[str]:
    """The modules that a file imports anywhere, as it spells them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}{'' if module.endswith('.') else '.'}{alias.name}" for alias in node.names)


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those of its branches and class bodies included."""
    for item in body:
        if isinstance(item, ast.If):
            if snippet(item.test) != "__name__ == '__main__'":
                yield from _flat([*item.body, *item.orelse])
        elif isinstance(item, ast.Try):
            yield from _flat([*item.body, *item.orelse, *item.finalbody])
            yield from (inner for handler in item.handlers for inner in _flat(handler.body))
        else:
            yield item
            yield from _flat(item.body) if isinstance(item, ast.ClassDef) else ()


def _declares(item: ast.stmt, own: frozenset[str], makers: frozenset[str]) -> bool:
    if isinstance(item, _DECLARED):
        return True
    if isinstance(item, ast.Assert):
        return not acts(item, own)
    if isinstance(item, ast.Assign):
        return all(_binds(target, item.value) for target in item.targets) and not _acts_outside(item.value, own)
    if isinstance(item, ast.AnnAssign):
        return isinstance(item.target, ast.Name) and (item.value is None or not acts(item.value, own, makers))
    if isinstance(item, ast.AugAssign):
        return snippet(item.target) == "__all__"
    return isinstance(item, ast.Expr) and _said(item.value)


def _binds(target: ast.expr, value: ast.expr) -> bool:
    """Whether it gives names, each to a value that stands there."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return all(_binds(*pair) for pair in zip(target.elts, value.elts, strict=True))
    return isinstance(target, ast.Name)


def _acts_outside(value: ast.expr, own: frozenset[str]) -> bool:
    """Whether a value is made by a call that acts, or that is named as one that changes something elsewhere."""
    called = (snippet(node.func).rpartition(".")[2] for node in ast.walk(value) if isinstance(node, ast.Call))
    return acts(value, own) or any(name.lstrip("_").startswith(SETTING) for name in called)


def _said(value: ast.expr) -> bool:
    """A docstring, a log line, or a class made known to transformers under a new name."""
    if not isinstance(value, ast.Call):
        return isinstance(value, ast.Constant)
    called = snippet(value.func)
    known = _registers(value)
    own_files = called.endswith(".register_for_auto_class")
    return (called.startswith(SAID) and not acts(value)) or known or own_files

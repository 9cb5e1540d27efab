"""Module-level statements that fill a dict or list after its assignment: `TABLE["x"] = f`, `TABLE.update(...)`,
and decorators that remember what they decorate."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.source.calls import apply
from porter.source.codebase import CodeBase, Definition, SourceFile, snippet, where
from porter.source.interpreter import Frame, Interpreter
from porter.source.values import Function, Src
from porter.source.walking import nodes

MAX_STATEMENTS = 200


def fill(run: Interpreter, table: Definition) -> None:
    """Follow what module-level statements put into a dict or list after its assignment."""
    for file, statement in entries_of(run.code, table):
        frame = Frame(file, {}, None, None, 1)
        if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            run.run([statement], frame)
            continue
        for decorator in reversed(statement.decorator_list):
            wrapper = run.evaluate(decorator, frame)
            if isinstance(wrapper.value, Function):
                place = Src(file, where(decorator), snippet(decorator))
                apply(run, wrapper, [run.module_name(file, statement.name)], {}, place, frame)


def entries_of(code: CodeBase, table: Definition) -> Iterator[tuple[str, ast.stmt]]:
    """(file, statement) of everything that adds to the table, its own file first."""
    count = 0
    for file in sorted(code.files(), key=lambda item: item.path != table.file):
        names = {name for name in _mentions(file, table) if _means(code, file, name, table)}
        for statement in file.tree.body if names else ():
            if count < MAX_STATEMENTS and _adds(code, file, statement, names, table):
                count += 1
                yield file.path, statement


def _mentions(file: SourceFile, table: Definition) -> set[str]:
    """Names by which a file may know the table, or a function that fills it."""
    imported = {name for name, (_, attribute) in file.imports.items() if attribute == table.name}
    return imported | ({table.name} if table.name in file.definitions else set()) | _remembering(file)


def _remembering(file: SourceFile) -> set[str]:
    """Names that decorate something at module level."""
    found: set[str] = set()
    for statement in file.tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            for decorator in statement.decorator_list:
                target = decorator.func if isinstance(decorator, ast.Call) else decorator
                found |= {target.id} if isinstance(target, ast.Name) else set()
    return found


def _means(code: CodeBase, file: SourceFile, name: str, table: Definition) -> bool:
    """Whether a name is the table, or a function beside the table whose body names it."""
    meaning = code.meaning(file.path, name)
    if not isinstance(meaning, Definition):
        return False
    if meaning.file == table.file and meaning.name == table.name:
        return True
    same_file = meaning.file == table.file and isinstance(meaning.node, ast.FunctionDef)
    return same_file and any(isinstance(n, ast.Name) and n.id == table.name for n in nodes(meaning.node))


def _adds(code: CodeBase, file: SourceFile, statement: ast.stmt, names: set[str], table: Definition) -> bool:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        targets = [d.func if isinstance(d, ast.Call) else d for d in statement.decorator_list]
        return any(isinstance(target, ast.Name) and target.id in names for target in targets)
    if isinstance(statement, ast.Assign):
        holders = [t.value for t in statement.targets if isinstance(t, ast.Subscript)]
        return any(isinstance(holder, ast.Name) and holder.id in names for holder in holders)
    call = statement.value if isinstance(statement, ast.Expr) else None
    holder = call.func.value if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else None
    return isinstance(holder, ast.Name) and holder.id in names

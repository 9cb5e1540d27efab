"""Source of transformers with other names: one consistent renaming by libcst."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import libcst as cst

from tests.twins.shapes import Edit, Insert

DOTTED = re.compile(r"[A-Za-z_]\w*(\.[\w*]+)*")
COPY_NOTE = re.compile(r"#\s*(Copied from|Ignore copy|Adapted from)")


@dataclass(frozen=True, slots=True)
class Names:
    """`everywhere` is by name, `within` by (class, name), `read_from` by (what it is read from, name)."""

    everywhere: Mapping[str, str]
    within: Mapping[tuple[str, str], str] = field(default_factory=dict)
    read_from: Mapping[tuple[str, str], str] = field(default_factory=dict)
    strings: Mapping[str, str] = field(default_factory=dict)
    """Whole string literals, as tokens and model types are."""


def parse_names(table: Mapping[str, str], config_classes: Mapping[str, Iterable[str]]) -> Names:
    """Reads `name`, `Class.name` and `vision_config.name`; `config_classes` says for `vision_config` which classes
    read it as their `config`."""
    everywhere, within, read_from = {}, {}, {}
    for path, new in table.items():
        owner, _, name = path.rpartition(".")
        if not owner:
            everywhere[name] = new
        elif owner[0].isupper():
            within[owner, name] = new
        else:
            read_from[owner, name] = new
            within.update({(cls, f"config.{name}"): new for cls in config_classes.get(owner, ())})
    return Names(everywhere, within, read_from)


def class_names(text: str) -> list[str]:
    return [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]


def renamed_classes(names: Iterable[str], stems: Sequence[str], title: str) -> dict[str, str]:
    """Every class under the title: its stem replaced, or the title in front; no two of them the same."""
    out: dict[str, str] = {}
    for name in names:
        stem = next((s for s in stems if s in name), None)
        new = name.replace(stem, title, 1) if stem else title + name
        out[name] = new.replace(title, f"{title}Text", 1) if new in out.values() else new
    return out


def edited(text: str, edits: Sequence[Edit]) -> str:
    """`text` with each edit of a class that it has made, where the old code stands exactly once."""
    here = class_names(text)
    for edit in (edit for edit in edits if edit.owner in here):
        node = next(n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == edit.owner)
        lines = text.splitlines(keepends=True)
        start, end = node.lineno - 1, node.end_lineno or node.lineno
        body = "".join(lines[start:end])
        if body.count(edit.old) != 1:
            raise ValueError(f"{edit.owner}: {body.count(edit.old)} times {edit.old!r}")
        text = "".join([*lines[:start], body.replace(edit.old, edit.new), *lines[end:]])
    return text


def last_name(node: cst.BaseExpression) -> str:
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""


class Renamer(cst.CSTTransformer):
    """Names, strings and imports of one file; docstrings and the library's own decorators for them go."""

    def __init__(self, names: Names, folder: str, stem: str, config_classes: Iterable[str]) -> None:
        super().__init__()
        self.names, self.folder, self.stem = names, folder, stem
        self.config_classes = frozenset(config_classes)
        self.classes: list[str] = []

    def new(self, name: str) -> str:
        owner = self.classes[0] if self.classes else ""
        found = self.names.within.get((owner, name)) or self.names.everywhere.get(name)
        if found is None and owner in self.config_classes:
            found = self.names.within.get((owner, f"config.{name}"))
        return found or name

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.classes.append(node.name.value)

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        self.classes.pop()
        return updated_node.with_changes(
            name=cst.Name(self.new(original_node.name.value)),
            body=bare(updated_node.body),
            decorators=kept(updated_node.decorators),
            leading_lines=without_notes(updated_node.leading_lines),
        )

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        return updated_node.with_changes(
            body=bare(updated_node.body),
            decorators=kept(updated_node.decorators),
            leading_lines=without_notes(updated_node.leading_lines),
        )

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        new = self.new(original_node.value)
        return updated_node if new == original_node.value else updated_node.with_changes(value=new)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        name, source = original_node.attr.value, last_name(original_node.value)
        owner = self.classes[0] if self.classes else ""
        new = self.names.read_from.get((source, name))
        if source == "config":
            new = new or self.names.within.get((owner, f"config.{name}"))
        return updated_node.with_changes(attr=cst.Name(new)) if new else updated_node

    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.SimpleString:
        text = original_node.evaluated_value
        if not isinstance(text, str):
            return updated_node
        new = self.names.strings.get(text, text)
        if new == text and DOTTED.fullmatch(text):
            new = ".".join(self.new(part) for part in text.split("."))
        return updated_node if new == text else updated_node.with_changes(value=f'"{new}"')

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return len(node.relative) == 1

    def leave_ImportFrom(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> cst.ImportFrom:
        depth = len(original_node.relative)
        if not depth:
            return updated_node
        tail = cst.Module([]).code_for_node(original_node.module) if original_node.module else ""
        if depth == 1 and tail in local_files(self.folder):
            return updated_node.with_changes(module=cst.Name(tail.replace(self.folder, self.stem)))
        package = ["transformers", "models", self.folder][: 4 - depth]
        module = cst.parse_expression(".".join([*package, tail] if tail else package))
        return original_node.with_changes(relative=[], module=module)


def local_files(folder: str) -> tuple[str, ...]:
    return (f"configuration_{folder}", f"modeling_{folder}", f"processing_{folder}")


def kept(decorators: Sequence[cst.Decorator]) -> list[cst.Decorator]:
    def name(node: cst.Decorator) -> str:
        return last_name(node.decorator.func if isinstance(node.decorator, cst.Call) else node.decorator)

    return [without_note_lines(node) for node in decorators if name(node) != "auto_docstring"]


def without_note_lines(node: cst.Decorator) -> cst.Decorator:
    return node.with_changes(leading_lines=without_notes(node.leading_lines))


def without_notes(lines: Sequence[cst.EmptyLine]) -> list[cst.EmptyLine]:
    return [line for line in lines if not (line.comment and COPY_NOTE.match(line.comment.value))]


def bare(body: cst.BaseSuite) -> cst.BaseSuite:
    """A body without its docstring."""
    if not isinstance(body, cst.IndentedBlock):
        return body
    first = body.body[0]
    is_text = (
        isinstance(first, cst.SimpleStatementLine)
        and isinstance(first.body[0], cst.Expr)
        and isinstance(first.body[0].value, (cst.SimpleString, cst.ConcatenatedString))
    )
    rest = list(body.body[1:]) or [cst.parse_statement("pass")]
    return body.with_changes(body=rest) if is_text else body


def place(tree: ast.Module, insert: Insert) -> tuple[int, int]:
    """After which line a statement goes, and how deep: before `post_init`, else at the end."""
    owner = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == insert.owner)
    methods = {n.name: n for n in owner.body if isinstance(n, ast.FunctionDef)}
    body = methods[insert.method].body if insert.method else owner.body
    last = body[-1]
    if ast.unparse(last) == "self.post_init()":
        last = body[-2]
    return last.end_lineno or last.lineno, last.col_offset


def inserted(text: str, inserts: Sequence[Insert]) -> str:
    """`text` with each statement where it belongs; classes go by the names they have in `text`."""
    for insert in inserts:
        line, depth = place(ast.parse(text), insert)
        code = textwrap.indent(insert.code.rstrip() + "\n", " " * depth)
        lines = text.splitlines(keepends=True)
        blank = [] if insert.method else ["\n"]
        text = "".join([*lines[:line], *blank, code, *lines[line:]])
    return text


def imported(text: str) -> set[str]:
    """Names that a file has from elsewhere."""
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom) and n.level != 1]
    return {alias.asname or alias.name for node in nodes for alias in node.names}


def foreign_keywords(text: str) -> set[str]:
    """Keywords that a file calls functions from elsewhere with."""
    others = imported(text)
    calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in others]
    return {word.arg for call in made for word in call.keywords if word.arg}


def rename(text: str, names: Names, folder: str, stem: str, config_classes: Iterable[str]) -> str:
    """The file with other names and absolute imports."""
    taken = (imported(text) | foreign_keywords(text)) & (set(names.everywhere) | {name for _, name in names.within})
    if taken:
        raise ValueError(f"names from elsewhere cannot be changed: {sorted(taken)}")
    module = cst.parse_module(text)
    module = module.visit(Renamer(names, folder, stem, config_classes))
    return module.with_changes(body=bare_module(module.body)).code


def bare_module(body: Sequence[cst.BaseStatement]) -> list[cst.BaseStatement]:
    return list(bare(cst.IndentedBlock(body)).body)  # type: ignore[arg-type]

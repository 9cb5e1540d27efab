"""One libcst transform: an entry goes into a dict, a list or a call's keywords, its neighbours stay byte for byte."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, Union

import libcst as cst

from porter.errors import TreeError
from porter.planning.sites.order import insertion_index

Container = Union[cst.Dict, cst.List, cst.Call]
Entry = Union[cst.BaseDictElement, cst.BaseElement, cst.Arg]
Gap = cst.ParenthesizedWhitespace
_NONE = cst.SimpleWhitespace("")
AssignT = TypeVar("AssignT", cst.Assign, cst.AnnAssign)


@dataclass(frozen=True, slots=True)
class Insertion:
    """Put `source` (one entry with its comma, as it stands in the file) into what module variable `variable` holds.

    `key` names the entry; `section` is the comment that opens the part of the list it belongs to, when the list has it.
    """

    variable: str
    key: str
    source: str
    section: str | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """The list has the key already. `same` says whether its value is the wanted one."""

    same: bool
    source: str


def insert(text: str, insertion: Insertion, *, file: str) -> tuple[str, Present | None]:
    """The text with the entry; or the text as it is and what it has under that key.

    Raises TreeError when the file has no such variable, or lays it out in a way that lines cannot be added to.
    """
    module = cst.parse_module(text)
    transform = InsertEntry(insertion, file)
    changed = module.visit(transform)
    if not transform.found:
        raise TreeError(f"{file} has no module-level {insertion.variable} that porter can add to", where=file)
    return (text, transform.present) if transform.present else (changed.code, None)


class InsertEntry(cst.CSTTransformer):
    """Adds one entry to the value of a module-level variable; does nothing when the key is there."""

    def __init__(self, insertion: Insertion, file: str) -> None:
        super().__init__()
        self.insertion = insertion
        self.file = file
        self.found = False
        self.present: Present | None = None

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        return False

    def visit_ClassDef(self, node: cst.ClassDef) -> bool:
        return False

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign:
        names = [target.target.value for target in original_node.targets if isinstance(target.target, cst.Name)]
        return self.rewritten(updated_node) if self.insertion.variable in names else updated_node

    def leave_AnnAssign(self, original_node: cst.AnnAssign, updated_node: cst.AnnAssign) -> cst.AnnAssign:
        name = original_node.target.value if isinstance(original_node.target, cst.Name) else None
        return self.rewritten(updated_node) if name == self.insertion.variable else updated_node

    def rewritten(self, node: AssignT) -> AssignT:
        value = node.value
        if not isinstance(value, (cst.Dict, cst.List, cst.Call)):
            return node
        self.found = True
        entries = entries_of(value)
        index = next((i for i, entry in enumerate(entries) if key_of(entry) == self.insertion.key), None)
        if index is not None:
            self.present = compare(entries[index], self.insertion, value)
            return node
        return node.with_changes(value=self.extended(value, entries))

    def extended(self, value: Container, entries: Sequence[Entry]) -> Container:
        gaps = gaps_of(value, entries)
        if not entries or not all(isinstance(gap, Gap) for gap in gaps):
            raise TreeError(
                f"{self.file}: {self.insertion.variable} is not laid out one entry per line", where=self.file
            )
        lines = [gap for gap in gaps if isinstance(gap, Gap)]
        low, high = section_range(lines, self.insertion.section)
        keys = [key_of(entry) or "" for entry in entries[low:high]]
        index = low + insertion_index(keys, self.insertion.key)
        new = parse_entry(self.insertion.source, value)
        left, right = split(lines, index, self.insertion.section)
        return rebuild(
            value,
            [*entries[:index], new, *entries[index:]],
            [*lines[:index], left, right, *lines[index + 1 :]],
        )


def entries_of(value: Container) -> Sequence[Entry]:
    return value.args if isinstance(value, cst.Call) else value.elements


def key_of(entry: Entry) -> str | None:
    """A dict key, a list item or a keyword as a string; a splatted literal dict goes by its first key."""
    if isinstance(entry, cst.DictElement):
        return _string(entry.key)
    if isinstance(entry, cst.Element):
        return _string(entry.value)
    if isinstance(entry, cst.Arg) and entry.keyword is not None:
        return entry.keyword.value
    if isinstance(entry, cst.Arg) and isinstance(entry.value, cst.Dict) and entry.value.elements:
        return key_of(entry.value.elements[0])
    return None


def compare(entry: Entry, insertion: Insertion, value: Container) -> Present:
    """By meaning: layout and comments do not count."""
    wanted = parse_entry(insertion.source, value)
    same = _meaning(entry) == _meaning(wanted)
    return Present(same, " ".join(cst.Module([]).code_for_node(_bare(entry)).split()))


def parse_entry(source: str, like: Container) -> Entry:
    """One entry, parsed inside the kind of container that it goes into."""
    opening, closing = {cst.Dict: "{}", cst.List: "[]", cst.Call: ("f(", ")")}[type(like)]
    parsed = cst.parse_expression(f"{opening}\n{source}\n{closing}")
    assert isinstance(parsed, (cst.Dict, cst.List, cst.Call))
    return entries_of(parsed)[0]


def gaps_of(value: Container, entries: Sequence[Entry]) -> list[cst.BaseParenthesizableWhitespace]:
    """The space before the first entry, after each comma, and before the closing bracket."""
    between = [_after(entry) for entry in entries]
    if isinstance(value, cst.Dict):
        return [value.lbrace.whitespace_after, *between[:-1], value.rbrace.whitespace_before]
    if isinstance(value, cst.List):
        return [value.lbracket.whitespace_after, *between[:-1], value.rbracket.whitespace_before]
    return [value.whitespace_before_args, *between]


def rebuild(value: Container, entries: Sequence[Entry], gaps: Sequence[Gap]) -> Container:
    spaced = [
        entry.with_changes(comma=cst.Comma(whitespace_after=gap)) for entry, gap in zip(entries, gaps[1:], strict=True)
    ]
    if isinstance(value, cst.Call):
        return value.with_changes(args=spaced, whitespace_before_args=gaps[0])
    # a dict or list keeps the space after its last comma with the closing bracket
    spaced[-1] = spaced[-1].with_changes(comma=cst.Comma())
    if isinstance(value, cst.Dict):
        return value.with_changes(
            elements=spaced,
            lbrace=value.lbrace.with_changes(whitespace_after=gaps[0]),
            rbrace=value.rbrace.with_changes(whitespace_before=gaps[-1]),
        )
    return value.with_changes(
        elements=spaced,
        lbracket=value.lbracket.with_changes(whitespace_after=gaps[0]),
        rbracket=value.rbracket.with_changes(whitespace_before=gaps[-1]),
    )


def split(gaps: Sequence[Gap], index: int, section: str | None) -> tuple[Gap, Gap]:
    """The space before and after a new entry at `index`.

    An end-of-line comment stays with the entry before, comment lines stay with what follows; only the comment that
    opens the section stays above the new entry.
    """
    gap = gaps[index]
    lines = list(gap.empty_lines)
    opening = next((n + 1 for n, line in enumerate(lines) if line.comment and line.comment.value == section), 0)
    left = gap.with_changes(empty_lines=lines[:opening], last_line=gaps[0].last_line)
    first = cst.TrailingWhitespace(newline=gap.first_line.newline)
    return left, gap.with_changes(first_line=first, empty_lines=lines[opening:])


def section_range(gaps: Sequence[Gap], section: str | None) -> tuple[int, int]:
    """The entries below the section's comment, up to the next one of that form; all of them without it."""
    headers = [(index, comment) for index, gap in enumerate(gaps) for comment in _headers(gap)]
    starts = [index for index, comment in headers if comment == section]
    if not starts:
        return 0, len(gaps) - 1
    following = [index for index, comment in headers if index > starts[0] and comment != section]
    return starts[0], following[0] if following else len(gaps) - 1


def _headers(gap: Gap) -> list[str]:
    return [line.comment.value for line in gap.empty_lines if line.comment and _is_header(line.comment.value)]


def _is_header(comment: str) -> bool:
    return comment.startswith("# [") and comment.endswith("]")


def _after(entry: Entry) -> cst.BaseParenthesizableWhitespace:
    comma = entry.comma
    if isinstance(comma, cst.Comma):
        return comma.whitespace_after
    return entry.whitespace_after_arg if isinstance(entry, cst.Arg) else _NONE


def _bare(entry: Entry) -> Entry:
    bare = entry.with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return bare.with_changes(whitespace_after_arg=_NONE) if isinstance(bare, cst.Arg) else bare


def _meaning(entry: Entry) -> str:
    code = cst.Module([]).code_for_node(_bare(entry))
    brackets = "f({})" if isinstance(entry, cst.Arg) else "[{}]" if isinstance(entry, cst.BaseElement) else "{{{}}}"
    return ast.dump(ast.parse(brackets.format(code)))


def _string(node: cst.BaseExpression) -> str | None:
    value = node.evaluated_value if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)) else None
    return value if isinstance(value, str) else None

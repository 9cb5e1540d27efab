"""Which attention back ends the code insists on."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from porter.facts.code import CodeReading
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.needs_imports import Import
from porter.facts.needs_packages import completeness, no_code
from porter.facts.needs_walk import Seen
from porter.hub.snapshot import Snapshot
from porter.jsontypes import JSONObject
from porter.source.codebase import snippet, where

SETTINGS = ("_attn_implementation", "attn_implementation", "_attn_implementation_internal")
ANYWHERE = frozenset({"eager", "sdpa"})
SAME: Mapping[str, str] = {
    "flash_attention_2": "flash_attn",
    "flash_attention_3": "flash_attn_3",
    "flash_attn_interface": "flash_attn_3",
}
PACKAGES = frozenset(
    {"flash_attn", "flash_attn_interface", "xformers", "magi_attention", "sageattention", "flashinfer"}
)
MAX_DEPTH = 8


def attention_fact(snapshot: Snapshot, code: CodeReading, seen: Iterable[Seen], imports: Iterable[Import]) -> Fact:
    """Names that loading the code needs or sets; a back end that the code only may use is none."""
    name = "attention_backends"
    found: dict[str, list[Evidence]] = {}
    signs = [*_stated("", snapshot.config()), *_imported(imports), *_forced(seen)]
    for backend, evidence in signs:
        found.setdefault(SAME.get(backend, backend), []).append(evidence)
    notes = [f"{item.file} {item.where}: {item.text}" for item in _without_sdpa(code)][:2]
    if not found and not snapshot.python:
        return no_code(name, snapshot, [])
    sure, gap = completeness(snapshot)
    shown = tuple(items[0] for _, items in sorted(found.items()))
    none = tuple(Evidence(path, "line 1", "insists on none") for path in sorted(snapshot.python)[:4])
    sure = Confidence.LIKELY if shown else sure
    note = "; ".join(part for part in (*notes, gap) if part)
    return Fact(name, [*sorted(found)], sure, shown or none, note=note)


def _stated(path: str, value: JSONObject, depth: int = 0) -> Iterator[tuple[str, Evidence]]:
    """A back end that a config asks for by name, other than those that every model has."""
    for key, item in value.items():
        place = f"{path}.{key}" if path else key
        if key in SETTINGS and isinstance(item, str) and item and item not in ANYWHERE:
            yield item, Evidence("config.json", place, item)
        elif isinstance(item, dict) and depth < MAX_DEPTH:
            yield from _stated(place, item, depth + 1)


def _imported(imports: Iterable[Import]) -> Iterator[tuple[str, Evidence]]:
    for item in imports:
        if item.top in PACKAGES and item.place.on_loading:
            yield item.top, item.evidence()


def _forced(seen: Iterable[Seen]) -> Iterator[tuple[str, Evidence]]:
    """`config._attn_implementation = "x"`, a demand that it is "x", or a submodule built with "x", in no branch."""
    for item in seen:
        for value in () if item.place.guard else _settings(item.node):
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value not in ANYWHERE:
                yield value.value, Evidence(item.place.file, f"line {item.line}", snippet(item.node))


def _settings(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions that a statement makes, or demands to be, the back end."""
    if isinstance(node, ast.Assign) and any(_is_setting(target) for target in node.targets):
        yield node.value
    elif isinstance(node, ast.Assert):
        yield from _compared(node.test, ast.Eq)
    elif isinstance(node, ast.If) and any(isinstance(statement, ast.Raise) for statement in node.body):
        yield from _compared(node.test, ast.NotEq)
    elif isinstance(node, ast.Call):
        yield from (keyword.value for keyword in node.keywords if keyword.arg in SETTINGS)


def _compared(test: ast.expr, operator: type[ast.cmpop]) -> Iterator[ast.expr]:
    compares = isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], operator)
    if isinstance(test, ast.Compare) and compares and _is_setting(test.left):
        yield test.comparators[0]


def _is_setting(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in SETTINGS


def _without_sdpa(code: CodeReading) -> Iterator[Evidence]:
    for file in code.run.code.files():
        for cls in (node for node in file.definitions.values() if isinstance(node, ast.ClassDef)):
            for statement in cls.body:
                names = [t.id for t in getattr(statement, "targets", []) if isinstance(t, ast.Name)]
                off = isinstance(statement, ast.Assign) and getattr(statement.value, "value", None) is False
                if off and "_supports_sdpa" in names:
                    yield Evidence(file.path, where(statement), f"{cls.name} has no sdpa attention")

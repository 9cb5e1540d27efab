"""The grid of tiles: the repo's rule against those that the processors of the tree at hand have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from porter.facts.cutting import cutting
from porter.facts.model import Evidence
from porter.families.base import Blocker, ReadingLike
from porter.families.internvl.anchors import HELPERS, Anchors
from porter.families.internvl.judgement import Notes, differs
from porter.planning.spec import GridSpec
from porter.source.chooser import form_of
from porter.vllm_tree.classes import dotted_module
from porter.vllm_tree.syntax import calls, parameter_names
from porter.vllm_tree.tree import Tree

TARGETS = HELPERS[1]
"""The helper that answers how many tiles an image makes, and the size that it is cut from."""


@dataclass(frozen=True, slots=True)
class GridJudgement:
    """`grid` is the function of the tree that stands in for the base's own; None where the base's own fits."""

    notes: Notes
    grid: GridSpec | None = None
    tensors: str | None = None


def judge_grid(reading: ReadingLike, tree: Tree, anchors: Anchors) -> GridJudgement:
    """The repo's rule where it was read; else what the facts say about it."""
    scheme, found = reading.facts["resize_scheme"], cutting(reading.configs)
    if scheme.value is None and scheme.note and any(item.file.endswith(".py") for item in scheme.evidence):
        return GridJudgement(Notes(blockers=(Blocker("tiles", scheme.note, scheme.evidence),)))
    if found is None or scheme.given or scheme.value == "single":
        return GridJudgement(Notes())
    place = (Evidence(found.source.file, found.source.where, found.source.text),)
    base, *others = grids(tree, anchors) or (None,)
    if base is None or found.unclear:
        why = found.unclear or f"{TARGETS} of this vLLM has no rule that could be read"
        return GridJudgement(Notes(blockers=(Blocker("tiles", why, place),)))
    if base.rule == found.rule:
        return GridJudgement(Notes(), tensors=found.tensors or None)
    grid = next((item for item in others if item.rule == found.rule), None)
    if grid is None:
        why = "the grid of tiles is chosen by a rule that no processor of this vLLM has"
        return GridJudgement(Notes(blockers=(Blocker("tiles", why, place),)))
    note = differs("grid of tiles", base.function, f"{found.source.text} ({found.source.file})", grid.function)
    return GridJudgement(note, GridSpec(grid.module, grid.function), found.tensors or None)


@dataclass(frozen=True, slots=True)
class Grid:
    """A function of the tree that is the base's helper but for the rule by which it chooses."""

    module: str
    function: str
    rule: str


def grids(tree: Tree, anchors: Anchors) -> tuple[Grid, ...]:
    """The base's own grid first, then those of other processors beside it; () when the base's cannot be read."""
    base = anchors.processor.module.removeprefix("vllm.").replace(".", "/") + ".py"
    own = next((item for item in _helpers(tree, base) if item[0].name == TARGETS), None)
    if own is None:
        return ()
    folder = base.rpartition("/")[0]
    files = [file for file in _files(tree, folder) if file != base]
    like = [(file, item) for file in files for item in _helpers(tree, file) if item[2] == own[2]]
    return tuple(Grid(dotted_module(file), item[0].name, item[1]) for file, item in [(base, own), *like])


def _files(tree: Tree, folder: str) -> Iterator[str]:
    for path in tree.code.texts:
        file = tree.relpath(path)
        if file.rpartition("/")[0] == folder and "target_ratios" in tree.text(file):
            yield file


def _helpers(tree: Tree, file: str) -> Iterator[tuple[ast.FunctionDef, str, str]]:
    """(function, rule of the one chooser that it asks, the rest of it as text)."""
    defined = [node for node in tree.module(file).body if isinstance(node, ast.FunctionDef)]
    choosers = {node.name: form for node in defined if (form := form_of(node)) is not None}
    for node in defined:
        asked = [name for name in choosers if calls(node, name)]
        if len(asked) == 1:
            yield node, choosers[asked[0]], _rest(node, asked[0], _signature(defined, asked[0]))


def _signature(defined: list[ast.FunctionDef], name: str) -> tuple[str, ...]:
    return next(parameter_names(node) for node in defined if node.name == name)


def _rest(node: ast.FunctionDef, chooser: str, parameters: tuple[str, ...]) -> str:
    """Everything of a helper but its own name and the chooser's: what two of them have in common."""
    body = "\n".join(ast.unparse(statement) for statement in node.body)
    return f"{ast.unparse(node.args)}\n{body.replace(chooser, 'CHOOSER')}\n{parameters}"

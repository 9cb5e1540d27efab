"""How code cuts an image into tiles: the rule by which it chooses the grid, and what it resizes with."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from porter.facts.callers import arguments_of, functions, value_inside
from porter.facts.code import methods
from porter.facts.configs import Configs
from porter.facts.syntax import called
from porter.source.chooser import PARAMETERS, form_of
from porter.source.codebase import External, where
from porter.source.interpreter import Stop
from porter.source.values import Function, Src, plain
from porter.source.walking import nodes

TENSOR_PROCESSORS = ("transformers.image_processing_utils_fast.", "transformers.image_processing_backends.")
"""Modules whose image processors work on tensors."""
TORCHVISION = ("torchvision.transforms.functional", "torchvision.transforms.v2.functional")
"""They differ by a few steps of 255 in what they make of whole numbers."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """`rule` is the normal form of the choice among grids; `tensors` is the module of torchvision that resizes tensors,
    "" where PIL resizes images.

    `unclear` says what about the cutting could not be followed.
    """

    rule: str
    tensors: str
    source: Src
    unclear: str = ""


def cutting(configs: Configs) -> Cutting | None:
    """The rule of the image processor's own class, else the one that all functions share; None when none was read."""
    own = list(_choosers(_own(configs)))
    found = own or list(_choosers(functions(configs)))
    if len({rule for _, rule in found}) != 1:
        return None
    chooser, rule = found[0]
    place = Src(chooser.file, where(chooser.node), getattr(chooser.node, "name", ""))
    callers = _callers(_own(configs) if own else functions(configs), chooser)
    cutters = [(caller, call) for caller, call in callers if list(_resizes(caller.node))]
    if not cutters:
        return Cutting(rule, "", place, "the function that cuts the tiles was not found")
    unclear = next((why for caller, call in cutters if (why := _unclear(configs, chooser, caller, call))), "")
    modules = {_torchvision(configs, caller) for caller, _ in cutters} if _on_tensors(configs) else {""}
    unclear = unclear or ("the functions that cut tiles resize by several libraries" if len(modules) > 1 else "")
    return Cutting(rule, modules.pop(), place, unclear)


def _own(configs: Configs) -> Iterator[Function]:
    if configs.processor is not None:
        for owner, node in methods(configs.code.run, configs.processor):
            yield Function(owner.file, node, configs.processor, owner)


def _choosers(candidates: Iterator[Function]) -> Iterator[tuple[Function, str]]:
    for function in candidates:
        rule = form_of(function.node) if isinstance(function.node, ast.FunctionDef) else None
        if rule is not None:
            yield function, rule


def _callers(candidates: Iterator[Function], chooser: Function) -> Iterator[tuple[Function, ast.Call]]:
    """Functions that ask the chooser."""
    wanted = getattr(chooser.node, "name", "")
    for caller in candidates:
        for node in nodes(caller.node):
            if isinstance(node, ast.Call) and called(node) == wanted and caller.node is not chooser.node:
                yield caller, node


def _resizes(function: ast.AST) -> Iterator[ast.Call]:
    for node in nodes(function):
        if isinstance(node, ast.Call) and called(node) == "resize":
            yield node


def _unclear(configs: Configs, chooser: Function, caller: Function, call: ast.Call) -> str:
    """Why the cut is not the usual one: another aspect than width over height, padding, resizing by rough steps."""
    if not _asks_for_aspect(chooser, caller, call):
        return "the aspect that the grid is chosen by is not followed to width over height"
    if any(_pads(node) and _reached(configs, caller, node) for node in nodes(caller.node)):
        return "the resized image is padded before it is cut"
    options = [keyword for node in _resizes(caller.node) for keyword in node.keywords if keyword.arg == "antialias"]
    rough = any(not (isinstance(item.value, ast.Constant) and item.value.value is True) for item in options)
    return "the code resizes without antialiasing" if rough else ""


def _asks_for_aspect(chooser: Function, caller: Function, call: ast.Call) -> bool:
    """Whether the chooser is given `width / height` of what it is given as width and height."""
    given = {PARAMETERS[name]: node for name, node in arguments_of(chooser, call).items() if name in PARAMETERS}
    assigned = {
        target.id: node.value
        for node in nodes(caller.node)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    aspect = given.get("aspect")
    aspect = assigned.get(aspect.id) if isinstance(aspect, ast.Name) else aspect
    if not isinstance(aspect, ast.BinOp) or not isinstance(aspect.op, ast.Div):
        return False
    sides = (given.get("width"), given.get("height"))
    return all(
        side is None or ast.dump(side) == ast.dump(part)
        for side, part in zip(sides, (aspect.left, aspect.right), strict=True)
    )


def _pads(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and "pad" in called(node).lower()


def _reached(configs: Configs, function: Function, wanted: ast.AST) -> bool:
    """Whether a call can be reached: no branch around it is known not to be taken."""
    for node in nodes(function.node):
        if not isinstance(node, ast.If):
            continue
        for body, taken in ((node.body, True), (node.orelse, False)):
            inside = any(inner is wanted for statement in body for inner in nodes(statement))
            if inside and _truth(configs, function, node.test) is (not taken):
                return False
    return True


def _truth(configs: Configs, function: Function, test: ast.expr) -> bool | None:
    try:
        value = plain(value_inside(configs, function, test))
    except (Stop, RecursionError):
        return None
    if isinstance(value, bool):
        return value
    return _stated(configs, test.id) if isinstance(test, ast.Name) else None


def _stated(configs: Configs, name: str) -> bool | None:
    """A setting of the processor by the name of an argument: classes of the library hand their settings on so."""
    found = configs.processor.attrs.get(name) if configs.processor is not None else None
    value = plain(found) if found is not None else None
    return value if isinstance(value, bool) else None


def _torchvision(configs: Configs, function: Function) -> str:
    """The module of torchvision whose function makes every resize of a function; "" for anything else."""
    owners = [call.func.value for call in _resizes(function.node) if isinstance(call.func, ast.Attribute)]
    meanings = [
        configs.code.run.code.meaning(function.file, owner.id) if isinstance(owner, ast.Name) else None
        for owner in owners
    ]
    found = {item.dotted if isinstance(item, External) else "" for item in meanings}
    return found.pop() if len(found) == 1 and found <= set(TORCHVISION) else ""


def _on_tensors(configs: Configs) -> bool:
    """Whether the processor's class is one of those that make tensors of images first."""
    bases = configs.code.run.external_bases(configs.processor.cls) if configs.processor is not None else []
    return any(base.dotted.startswith(TENSOR_PROCESSORS) for base in bases)

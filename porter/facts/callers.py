"""What the callers of a function hand to it: `tile(image, config.low, config.high)` tells what `low` is inside."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.facts.configs import Configs
from porter.facts.syntax import called
from porter.source.interpreter import Frame, Stop
from porter.source.layers import children
from porter.source.values import ClassRef, Function, Instance, Val, is_unknown
from porter.source.walking import nodes

MAX_CALLERS = 4


def frame_inside(configs: Configs, function: Function, depth: int = 3) -> Frame:
    """The names of a function: argument defaults, what callers give for the others, and plain assignments."""
    run = configs.code.run
    frame = Frame(function.file, {}, function.owner, function.defining, 2)
    run.bind(function, [], {}, frame)
    if depth and any(is_unknown(value) for value in frame.names.values()):
        _fill(configs, function, frame, depth)
    body = [] if isinstance(function.node, ast.Lambda) else function.node.body
    for statement in body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            run.run([statement], frame)
    return frame


def _fill(configs: Configs, function: Function, frame: Frame, depth: int) -> None:
    """Set what is unknown in `frame` from the first callers that know it."""
    for caller, call in list(_calls(configs, function))[:MAX_CALLERS]:
        outer = frame_inside(configs, caller, depth - 1)
        for name, argument in arguments_of(function, call).items():
            if name in frame.names and is_unknown(frame.names[name]):
                frame.names[name] = configs.code.run.evaluate(argument, outer)


def arguments_of(function: Function, call: ast.Call) -> dict[str, ast.expr]:
    """Which expression of a call stands for which argument."""
    spec = function.node.args
    names = [argument.arg for argument in [*spec.posonlyargs, *spec.args]]
    names = names[1:] if function.owner is not None and names[:1] in (["self"], ["cls"]) else names
    plain = [] if any(isinstance(item, ast.Starred) for item in call.args) else call.args
    given = dict(zip(names, plain, strict=False))
    given.update({keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None})
    return given


def _calls(configs: Configs, function: Function) -> Iterator[tuple[Function, ast.Call]]:
    """Calls by the function's name anywhere in the code, with the function they stand in."""
    wanted = getattr(function.node, "name", "")
    for caller in functions(configs):
        for node in nodes(caller.node):
            if isinstance(node, ast.Call) and called(node) == wanted and caller.node is not function.node:
                yield caller, node


def functions(configs: Configs) -> Iterator[Function]:
    """Every function and method of the code; those of the model, its parts and the processor are bound to them."""
    known = [*_parts(configs), *(item for item in (configs.code.model, configs.processor) if item is not None)]
    owners = {
        (c.file, c.name): item for item in known for c in configs.code.run.mro(item.cls) if isinstance(c, ClassRef)
    }
    for file in configs.code.run.code.every():
        for defined in file.definitions.values():
            if isinstance(defined, ast.FunctionDef):
                yield Function(file.path, defined)
            elif isinstance(defined, ast.ClassDef):
                cls = ClassRef(file.path, defined)
                owner = owners.get((cls.file, cls.name)) or Instance(cls, [], {})
                for statement in (s for s in defined.body if isinstance(s, ast.FunctionDef)):
                    yield Function(file.path, statement, owner, cls)


def _parts(configs: Configs) -> list[Instance]:
    """The modules that the model itself holds, where they are built with a config."""
    model = configs.code.model
    try:
        found = children(configs.code.run, model) if model is not None else []
    except (Stop, RecursionError):
        return []
    return [child for _, child in found if isinstance(child, Instance) and "config" in child.attrs]


def value_inside(configs: Configs, function: Function, node: ast.expr) -> Val:
    """The value of an expression of a function."""
    return configs.code.run.evaluate(node, frame_inside(configs, function))

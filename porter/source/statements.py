"""Statements of the abstract interpreter, one function per kind."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from porter.source import outside
from porter.source.codebase import Definition, External, ModuleFile, snippet, where
from porter.source.interpreter import Flow
from porter.source.tensors import Features, TowerOutput
from porter.source.values import (
    ClassRef,
    ConstTensor,
    Function,
    Instance,
    Layer,
    LibraryConfig,
    Src,
    Val,
    child_path,
    is_unknown,
    unknown,
)

if TYPE_CHECKING:
    from porter.source.interpreter import Frame, Interpreter

MAX_LOOP = 512
MAX_PATH = 16


def execute(run: Interpreter, statement: ast.stmt, frame: Frame) -> Flow | None:
    """Follow one statement; kinds without an effect here (imports at module level, `pass`, `del`) are passed over."""
    handler = HANDLERS.get(type(statement))
    run.step()
    return handler(run, statement, frame) if handler is not None else None


def _expression(run: Interpreter, node: ast.Expr, frame: Frame) -> Flow | None:
    run.evaluate(node.value, frame)
    return None


def _return(run: Interpreter, node: ast.Return, frame: Frame) -> Flow:
    return Flow("return", run.evaluate(node.value, frame) if node.value is not None else Val(None))


def _raise(run: Interpreter, node: ast.Raise, frame: Frame) -> Flow:
    return Flow("raise")


def _assert(run: Interpreter, node: ast.Assert, frame: Frame) -> Flow | None:
    return None


def _assign(run: Interpreter, node: ast.Assign, frame: Frame) -> Flow | None:
    value = run.evaluate(node.value, frame)
    for target in node.targets:
        assign(run, target, value, frame)
    return None


def _ann_assign(run: Interpreter, node: ast.AnnAssign, frame: Frame) -> Flow | None:
    if node.value is not None:
        assign(run, node.target, run.evaluate(node.value, frame), frame)
    return None


def _aug_assign(run: Interpreter, node: ast.AugAssign, frame: Frame) -> Flow | None:
    as_read = ast.copy_location(ast.BinOp(_loaded(node.target), node.op, node.value), node)
    assign(run, node.target, run.evaluate(as_read, frame), frame)
    return None


def _loaded(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    if isinstance(target, ast.Attribute):
        return ast.copy_location(ast.Attribute(target.value, target.attr, ast.Load()), target)
    return target


def assign(run: Interpreter, target: ast.expr, value: Val, frame: Frame) -> None:
    """Bind a value to a name, an attribute, an item, or a tuple of them."""
    if isinstance(target, ast.Name):
        frame.names[target.id] = value
    elif isinstance(target, ast.Attribute):
        holder = run.evaluate(target.value, frame)
        if isinstance(holder.value, TowerOutput):
            _set_pooled(target, holder.value, value, frame)
        set_attribute(run, holder, target.attr, value)
    elif isinstance(target, (ast.Tuple, ast.List)):
        _unpack(run, target, value, frame)
    elif isinstance(target, ast.Subscript):
        holder = run.evaluate(target.value, frame).value
        key = run.evaluate(target.slice, frame)
        if isinstance(holder, dict) and isinstance(key.value, (str, int)):
            holder[key.value] = value
        if isinstance(value.value, Features):
            run.captured.append(value.value)


def _set_pooled(target: ast.Attribute, output: TowerOutput, value: Val, frame: Frame) -> None:
    """`outputs.pooler_output = features`: transformers' own classes hand their features on that way."""
    if target.attr == "pooler_output" and isinstance(target.value, ast.Name) and isinstance(value.value, Features):
        frame.names[target.value.id] = Val(replace(output, pooled=value.value), value.src)


def _unpack(run: Interpreter, target: ast.Tuple | ast.List, value: Val, frame: Frame) -> None:
    items = value.value if isinstance(value.value, (list, tuple)) else None
    for index, element in enumerate(target.elts):
        if isinstance(element, ast.Starred) or items is None or len(items) != len(target.elts):
            name = element.value if isinstance(element, ast.Starred) else element
            assign(run, name, unknown("cannot unpack", f"{frame.file} {where(target)}"), frame)
        else:
            item = items[index]
            assign(run, element, item if isinstance(item, Val) else Val(item, value.src), frame)


def set_attribute(run: Interpreter, holder: Val, name: str, value: Val) -> None:
    """Set an attribute; a module learns the path by which it is reached."""
    owner = holder.value
    inner = value.value
    if isinstance(owner, Instance):
        run.start(owner)  # or its own __init__, run later, would put back what is replaced here
    if isinstance(inner, (Instance, Layer)) and isinstance(owner, (Instance, Layer)) and not inner.path:
        name_child(inner, child_path(owner, name))
    if isinstance(inner, ConstTensor) and inner.parameter and not inner.name:
        value = Val(ConstTensor(inner.shape, inner.data, name, True), value.src)
    if isinstance(owner, (Instance, Layer)):
        owner.attrs[name] = value
    elif isinstance(owner, LibraryConfig):
        owner.values[name] = value


def name_child(module: Instance | Layer, path: str) -> None:
    """Give a module its path, and the items of a container theirs."""
    if path.count(".") > MAX_PATH:
        return
    module.path = path
    if isinstance(module, Layer):
        for index, item in enumerate(module.items):
            if isinstance(item.value, (Instance, Layer)):
                key = item.src[0].text if item.src and item.src[0].where == "key" else str(index)
                name_child(item.value, f"{path}.{key}")
    if isinstance(module, Layer) or module.started:
        for name, value in module.attrs.items():
            if isinstance(value.value, (Instance, Layer)):
                name_child(value.value, f"{path}.{name}")


def _if(run: Interpreter, node: ast.If, frame: Frame) -> Flow | None:
    test = truth(run.evaluate(node.test, frame))
    if test is not None:
        return run.run(node.body if test else node.orelse, frame)
    run.note(Src(frame.file, where(node), f"undecided: if {snippet(node.test)}"))
    ends = bool(node.body) and isinstance(node.body[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break))
    if ends and not node.orelse:
        return None
    if ends and isinstance(node.body[-1], ast.Raise):
        return run.run(node.orelse, frame)
    return run.run(node.body, frame)


def truth(value: Val) -> bool | None:
    """Whether a value is true; None when that is not known."""
    inner = value.value
    if is_unknown(value):
        return None
    if inner is None or isinstance(inner, (bool, int, float, str, list, tuple, dict)):
        return bool(inner)
    return None if isinstance(inner, External) else True


def _for(run: Interpreter, node: ast.For, frame: Frame) -> Flow | None:
    items = iterable(run.evaluate(node.iter, frame))
    if items is None:
        run.note(Src(frame.file, where(node), f"loop over {snippet(node.iter)}"))
        items = [unknown("loop", f"{frame.file} {where(node)}")]
    for item in items[:MAX_LOOP]:
        if not frame.turn():
            run.note(Src(frame.file, where(node), f"not to its end: loop over {snippet(node.iter)}"))
            return None
        assign(run, node.target, item, frame)
        flow = run.run(node.body, frame)
        if flow is not None and flow.kind == "break":
            return None
        if flow is not None and flow.kind in ("return", "raise"):
            return flow
    return run.run(node.orelse, frame)


def iterable(value: Val) -> list[Val] | None:
    """The items that a loop over the value sees, None when that is not known or they are too many to follow."""
    inner = value.value
    if isinstance(inner, (list, tuple)):
        return [item if isinstance(item, Val) else Val(item, value.src) for item in inner]
    if isinstance(inner, dict):
        return [Val(key, value.src) for key in inner]
    if isinstance(inner, Layer) and inner.items:
        return list(inner.items)
    if not isinstance(inner, (range, str)) or len(inner) > MAX_LOOP:
        return None
    return [Val(item, value.src if isinstance(inner, range) else ()) for item in inner]


def _while(run: Interpreter, node: ast.While, frame: Frame) -> Flow | None:
    for _ in range(MAX_LOOP):
        test = truth(run.evaluate(node.test, frame))
        if test is False:
            return None
        flow = run.run(node.body, frame)
        if flow is not None and flow.kind == "break":
            return None
        if flow is not None and flow.kind in ("return", "raise"):
            return flow
        if test is None:
            return None
    return None


def _with(run: Interpreter, node: ast.With, frame: Frame) -> Flow | None:
    return run.run(node.body, frame)


def _try(run: Interpreter, node: ast.Try, frame: Frame) -> Flow | None:
    flow = run.run(node.body, frame)
    if flow is not None and flow.kind == "raise" and node.handlers:
        flow = run.run(node.handlers[0].body, frame)
    if flow is None:
        flow = run.run(node.orelse, frame)
    return run.run(node.finalbody, frame) or flow


def _function(run: Interpreter, node: ast.FunctionDef, frame: Frame) -> Flow | None:
    frame.names[node.name] = Val(Function(frame.file, node, None, frame.defining, frame.names))
    return None


def _class(run: Interpreter, node: ast.ClassDef, frame: Frame) -> Flow | None:
    frame.names[node.name] = Val(ClassRef(frame.file, node))
    return None


def _import_from(run: Interpreter, node: ast.ImportFrom, frame: Frame) -> Flow | None:
    module = "." * node.level + (node.module or "")
    target = run.code.resolve_module(frame.file, module)
    for alias in node.names:
        name = alias.asname or alias.name
        meaning = run.code.meaning(target, alias.name) if target else None
        if isinstance(meaning, Definition):
            frame.names[name] = run.definition(meaning)
        else:
            named = meaning if isinstance(meaning, External) else External(f"{module}.{alias.name}")
            frame.names[name] = Val(meaning) if isinstance(meaning, ModuleFile) else outside.constant(named)
    return None


def _import(run: Interpreter, node: ast.Import, frame: Frame) -> Flow | None:
    for alias in node.names:
        name = alias.asname or alias.name.split(".")[0]
        frame.names[name] = Val(External(alias.name if alias.asname else name))
    return None


def _jump(kind: str) -> Callable[..., Flow]:
    return lambda run, node, frame: Flow(kind)


HANDLERS: dict[type[ast.stmt], Callable[..., Flow | None]] = {
    ast.Expr: _expression,
    ast.Return: _return,
    ast.Raise: _raise,
    ast.Assert: _assert,
    ast.Assign: _assign,
    ast.AnnAssign: _ann_assign,
    ast.AugAssign: _aug_assign,
    ast.If: _if,
    ast.For: _for,
    ast.While: _while,
    ast.With: _with,
    ast.Try: _try,
    ast.FunctionDef: _function,
    ast.ClassDef: _class,
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.Break: _jump("break"),
    ast.Continue: _jump("continue"),
}

"""An abstract interpreter for model code: it follows Python statements over known values, and never runs any of them.

It exists so that facts come from what code does (which branch a config takes, which layers a connector has,
how features are
rearranged), not from how it is spelt. Whatever it cannot follow becomes Unknown, with the line; a step budget
bounds its time.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from porter.source import outside
from porter.source.codebase import CodeBase, Definition, External, ModuleFile, bound_names, snippet, where
from porter.source.tensors import Features
from porter.source.values import (
    Buffer,
    ClassRef,
    ConstTensor,
    Function,
    Instance,
    Layer,
    Pieces,
    Src,
    Val,
    unknown,
)

if TYPE_CHECKING:
    from porter.source.inside import Inside

MAX_TURNS = 2_000
MAX_STEPS = 220_000
"""Of one reading in all, however many parts of it ask; the largest real repo seen needs 130,000."""
MODULE_BASES = ("Module", "PreTrainedModel", "ForCausalLM", "ForConditionalGeneration", "Model", "PretrainedModel")


@dataclass(frozen=True, slots=True)
class TowerShape:
    """What a tower gives: a square grid of tokens, `extra` tokens before them, their width, and the number of
    layers.

    `nominal`: no image size is known, so that the grid is only there to follow the rearrangement of its tokens.
    """

    grid: int
    extra: int
    hidden: int
    layers: int | None
    nominal: bool = False
    normalizes: bool = False
    """A library's tower that normalises pixels itself, and gives the tokens of patches apart as `features`."""


class Stop(Exception):
    """The step budget is spent."""


class Flow:
    """How a statement ended: `return`, `raise`, `break` or `continue`; None when it just ended."""

    __slots__ = ("kind", "value")

    def __init__(self, kind: str, value: Val | None = None) -> None:
        self.kind = kind
        self.value = value


class Frame:
    """Names of one call: locals over closure over the module of `file`."""

    __slots__ = ("defining", "depth", "file", "names", "owner", "turns")

    def __init__(
        self, file: str, names: dict[str, Val], owner: Instance | None, defining: ClassRef | None, depth: int
    ) -> None:
        self.file = file
        self.names = names
        self.owner = owner
        self.defining = defining
        self.depth = depth
        self.turns = 0

    def turn(self) -> bool:
        """Count one turn of a loop of this call; False when its loops together have turned often enough."""
        self.turns += 1
        return self.turns <= MAX_TURNS


class Interpreter:
    """Follows code of one code base. `notes` collects what could not be decided, with file and line."""

    def __init__(self, code: CodeBase, budget: int = 250_000, max_depth: int = 40) -> None:
        self.code = code
        self.budget = budget
        self.left = MAX_STEPS
        self.active = 0
        self.max_depth = max_depth
        self.notes: list[Src] = []
        self.tower: Callable[[Instance | Layer], TowerShape | None] | None = None
        self.pixel_ops: dict[int, tuple[tuple[str, str], ...]] = {}
        self.captured: list[Features] = []
        self.blind: list[str] = []
        """Paths of layers that were called on something unknown."""
        self.inside: Inside | None = None
        self.opaque: set[int] = set()
        self.reads: dict[tuple[int, str], Val] = {}
        self.pieces: list[tuple[Pieces, Src]] = []
        self.replacements: list[tuple[str, list[Val], Src]] = []
        self._constants: dict[tuple[str, str], Val] = {}
        self._orders: dict[int, list[ClassRef | External]] = {}

    # classes ------------------------------------------------------------------------------------------------------

    def bases(self, cls: ClassRef) -> list[ClassRef | External]:
        """Direct bases: classes of the code base, or external names."""
        named = [self.static_name(cls.file, base) for base in cls.node.bases]
        behind = {item.name: self.code.inherited(item.name) for item in named if isinstance(item, External)}
        read = {name: ClassRef(*found) for name, found in behind.items() if found is not None}
        return [read.get(item.name, item) if isinstance(item, External) else item for item in named if item is not None]

    def static_name(self, file: str, node: ast.expr) -> ClassRef | External | None:
        """The class that a name or dotted name means at module level."""
        if isinstance(node, ast.Subscript):
            return self.static_name(file, node.value)
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        meaning = self.code.meaning(file, node.id)
        if isinstance(meaning, ModuleFile) and parts:
            meaning = self.code.meaning(meaning.path, parts.pop(0))
        if isinstance(meaning, Definition):
            if isinstance(meaning.node, ast.ClassDef):
                return ClassRef(meaning.file, meaning.node)
            if isinstance(meaning.node, (ast.Name, ast.Attribute)) and meaning.node is not node:
                return self.static_name(meaning.file, meaning.node)
            return None
        if isinstance(meaning, External):
            return External(".".join([meaning.dotted, *parts]))
        return External(".".join([node.id, *parts])) if meaning is None else None

    def mro(self, cls: ClassRef) -> list[ClassRef | External]:
        """Depth-first, left to right, each once; good enough for model code."""
        known = self._orders.get(id(cls.node))
        if known is not None:
            return known
        order: list[ClassRef | External] = []
        seen: set[str] = set()

        def visit(item: ClassRef | External) -> None:
            key = f"{item.file}:{item.name}" if isinstance(item, ClassRef) else item.dotted
            if key in seen or len(order) > 64:
                return
            seen.add(key)
            order.append(item)
            if isinstance(item, ClassRef):
                for base in self.bases(item):
                    visit(base)

        visit(cls)
        self._orders[id(cls.node)] = order
        return order

    def external_bases(self, cls: ClassRef) -> list[External]:
        return [item for item in self.mro(cls) if isinstance(item, External)]

    def is_module(self, cls: ClassRef) -> bool:
        return any(base.name.endswith(MODULE_BASES) for base in self.external_bases(cls))

    def is_config(self, cls: ClassRef) -> bool:
        return any(base.name.endswith("Config") for base in self.external_bases(cls))

    def find_method(
        self, cls: ClassRef, name: str, after: ClassRef | None = None
    ) -> tuple[ClassRef, ast.FunctionDef] | None:
        """The first definition of a method along the bases, starting behind `after` (for `super()`)."""
        skipping = after is not None
        for item in self.mro(cls):
            if not isinstance(item, ClassRef):
                continue
            if skipping:
                skipping = item != after
                continue
            for statement in item.node.body:
                if isinstance(statement, ast.FunctionDef) and statement.name == name:
                    return item, statement
        return None

    def class_attribute(self, cls: ClassRef, name: str) -> Val | None:
        """A value assigned in a class body, along the bases."""
        for item in self.mro(cls):
            if not isinstance(item, ClassRef):
                continue
            for statement in reversed(item.node.body):
                value = _assigned(statement, name)
                if value is not None:
                    frame = Frame(item.file, {}, None, item, 1)
                    return self.evaluate(value, frame)
        return None

    # instances ----------------------------------------------------------------------------------------------------

    def start(self, instance: Instance) -> Instance:
        """Run the instance's `__init__` once."""
        if instance.started:
            return instance
        instance.started = True
        found = self.find_method(instance.cls, "__init__")
        if found is None:
            self.external_init(instance, instance.args, instance.kwargs)
        else:
            owner, node = found
            self.call_function(Function(owner.file, node, instance, owner), instance.args, instance.kwargs, 2)
        return instance

    def external_init(self, instance: Instance, args: list[Val], kwargs: dict[str, Val]) -> None:
        """What `__init__` of a base outside the code base does: a config keeps its keywords, a model keeps its
        config."""
        if self.is_config(instance.cls):
            for name, value in kwargs.items():
                instance.attrs[name] = value
        elif self.is_module(instance.cls):
            config = kwargs.get("config") or (args[0] if args else None)
            if (
                config is not None and not any(b.name == "Module" for b in self.external_bases(instance.cls)[:1])
            ) or config is not None:
                instance.attrs.setdefault("config", config)

    def register_buffer(self, instance: Instance | Layer, args: list[Val], kwargs: dict[str, Val], place: Src) -> None:
        names = ("name", "tensor", "persistent")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        name = given.get("name")
        if name is None or not isinstance(name.value, str):
            self.note(place)
            return
        persistent = given.get("persistent", Val(True)).value is not False
        tensor = given.get("tensor", unknown("no value"))
        if isinstance(tensor.value, ConstTensor):
            tensor = Val(ConstTensor(tensor.value.shape, tensor.value.data, name.value), tensor.src)
        instance.buffers[name.value] = Buffer(name.value, tensor, persistent, place)
        instance.attrs[name.value] = (
            tensor if isinstance(tensor.value, ConstTensor) else Val(ConstTensor(None, None, name.value))
        )

    # functions ----------------------------------------------------------------------------------------------------

    def call_function(self, function: Function, args: list[Val], kwargs: Mapping[str, Val], depth: int) -> Val:
        """Call a function of the code base with given values; missing arguments take their defaults or are unknown."""
        if depth > self.max_depth or self.active > self.max_depth:
            return unknown("too deep", function.file)
        self.active += 1
        try:
            return self._followed(function, args, kwargs, depth)
        except RecursionError:
            return unknown("too deep", f"{function.file} {where(function.node)}")
        finally:
            self.active -= 1

    def _followed(self, function: Function, args: list[Val], kwargs: Mapping[str, Val], depth: int) -> Val:
        frame = Frame(function.file, dict(function.closure), function.owner, function.defining, depth)
        self.bind(function, list(args), dict(kwargs), frame)
        if isinstance(function.node, ast.Lambda):
            return self.evaluate(function.node.body, frame)
        flow = self.run(function.node.body, frame)
        if flow is not None and flow.kind == "return":
            return flow.value or Val(None)
        if flow is not None and flow.kind == "raise":
            return unknown("raises", f"{function.file} {where(function.node)}")
        return Val(None)

    def bind(self, function: Function, args: list[Val], kwargs: dict[str, Val], frame: Frame) -> None:
        spec = function.node.args
        first = _first_argument(function)
        args = [first, *args] if first is not None else args
        names = [argument.arg for argument in [*spec.posonlyargs, *spec.args]]
        for name, value in zip(names, args, strict=False):
            frame.names[name] = value
        if spec.vararg is not None:
            frame.names[spec.vararg.arg] = Val(list(args[len(names) :]))
        for name in [*names[len(args) :], *(argument.arg for argument in spec.kwonlyargs)]:
            if name in kwargs:
                frame.names[name] = kwargs.pop(name)
        defaults = dict(zip(reversed(names), reversed(spec.defaults), strict=False))
        defaults.update({a.arg: d for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=False) if d is not None})
        for name, default in defaults.items():
            if name not in frame.names:
                value = self.evaluate(default, Frame(function.file, {}, None, function.defining, frame.depth))
                place = Src(function.file, where(default), f"{name}={snippet(default)}")
                frame.names[name] = Val(value.value, (place, *value.src[:2]))
        if function.owner is not None and is_decorated(function.node, "merge_with_config_defaults"):
            from porter.source.attributes import config_arguments

            config_arguments(self, function.owner, names, frame)
        for name in [*names, *(argument.arg for argument in spec.kwonlyargs)]:
            frame.names.setdefault(name, unknown(f"argument {name}", f"{function.file} {where(function.node)}"))
        if spec.kwarg is not None:
            rest = {key: value for key, value in kwargs.items() if key not in frame.names}
            frame.names[spec.kwarg.arg] = Val(rest)

    def run(self, body: list[ast.stmt], frame: Frame) -> Flow | None:
        from porter.source.statements import execute

        for statement in body:
            flow = execute(self, statement, frame)
            if flow is not None:
                return flow
        return None

    def evaluate(self, node: ast.expr, frame: Frame) -> Val:
        from porter.source.expressions import evaluate

        self.step()
        return evaluate(self, node, frame)

    def step(self) -> None:
        self.budget -= 1
        self.left -= 1
        if self.budget < 0 or self.left < 0:
            raise Stop

    def note(self, place: Src) -> None:
        if len(self.notes) < 200:
            self.notes.append(place)

    # names --------------------------------------------------------------------------------------------------------

    def lookup(self, name: str, frame: Frame) -> Val:
        if name in frame.names:
            return frame.names[name]
        return self.module_name(frame.file, name)

    def module_name(self, file: str, name: str) -> Val:
        """A module-level name: class, function, constant, or something external."""
        meaning = self.code.meaning(file, name)
        if isinstance(meaning, Definition):
            return self.definition(meaning)
        if isinstance(meaning, ModuleFile):
            return Val(meaning)
        return outside.constant(meaning if isinstance(meaning, External) else External(name))

    def definition(self, found: Definition) -> Val:
        if isinstance(found.node, ast.ClassDef):
            return Val(ClassRef(found.file, found.node))
        if isinstance(found.node, ast.FunctionDef):
            return Val(Function(found.file, found.node))
        from porter.source.registries import fill

        key = (found.file, found.name)
        if key not in self._constants:
            self._constants[key] = unknown("recursive constant", found.file)
            try:
                value = self.evaluate(found.node, Frame(found.file, {}, None, None, 1))
            except RecursionError:
                value = unknown("too deep", f"{found.file} {where(found.node)}")
            place = Src(found.file, where(found.node), f"{found.name} = {snippet(found.node)}")
            self._constants[key] = Val(value.value, (place,))
            if isinstance(value.value, (dict, list)):
                fill(self, found)
        return self._constants[key]


def _assigned(statement: ast.stmt, name: str) -> ast.expr | None:
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            bound = bound_names(target, statement.value).get(name)
            if isinstance(bound, ast.expr):
                return bound
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.target.id == name:
        return statement.value
    return None


def _first_argument(function: Function) -> Val | None:
    """`self` or `cls`, where the function is bound to one."""
    if is_decorated(function.node, "staticmethod"):
        return None
    if is_decorated(function.node, "classmethod"):
        cls = function.owner.cls if function.owner is not None else function.defining
        return Val(cls) if cls is not None else None
    return Val(function.owner) if function.owner is not None else None


def is_decorated(node: ast.FunctionDef | ast.Lambda, *names: str) -> bool:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return any(isinstance(item, ast.Name) and item.id in names for item in decorators)

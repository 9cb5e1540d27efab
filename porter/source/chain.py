"""A module class as a chain of layers: read only where its whole `__init__` and its whole `forward` are understood."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from porter.source.alike_parts import bound_in, set_on_self
from porter.source.codebase import CodeBase, Definition, External, snippet
from porter.source.symbols import Attribute, Same, Symbols, Unread, nothing

SEQUENTIAL, TABLE = "Sequential", "ACT2FN"
RMS = ("hidden_size", "eps")
SIGNATURES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "torch.nn.Linear": ("Linear", ("in_features", "out_features", "bias")),
    "torch.nn.LayerNorm": ("LayerNorm", ("normalized_shape", "eps", "elementwise_affine", "bias")),
    "torch.nn.RMSNorm": ("nn.RMSNorm", ("normalized_shape", "eps")),
    "torch.nn.GELU": ("GELU", ("approximate",)),
    "torch.nn.SiLU": ("SiLU", ("inplace",)),
    "torch.nn.ReLU": ("ReLU", ("inplace",)),
    "torch.nn.Tanh": ("Tanh", ()),
    "torch.nn.Sigmoid": ("Sigmoid", ()),
    "torch.nn.Identity": ("Identity", ()),
    "torch.nn.Dropout": ("Identity", ("p", "inplace")),
    "transformers.activations.GELUActivation": ("GELU", ()),
    "transformers.activations.SiLUActivation": ("SiLU", ()),
    "transformers.activations.QuickGELUActivation": ("QuickGELU", ()),
    "transformers.models.llama.modeling_llama.LlamaRMSNorm": ("RMSNorm", RMS),
    "transformers.models.qwen2.modeling_qwen2.Qwen2RMSNorm": ("RMSNorm", RMS),
    "transformers.models.mistral.modeling_mistral.MistralRMSNorm": ("RMSNorm", RMS),
}
"""Layers that treat each token for itself, as (op, parameters that may be given)."""
WEIGHTY = frozenset(["Linear", "LayerNorm", "RMSNorm", "nn.RMSNorm"])
REGROUPS = ("view", "reshape")
FUNCTIONS: Mapping[str, str] = {
    "torch.nn.functional.gelu": "GELU",
    "torch.nn.functional.silu": "SiLU",
    "torch.nn.functional.relu": "ReLU",
    "torch.tanh": "Tanh",
    "torch.sigmoid": "Sigmoid",
}
"""Functions that do what a layer without weights does."""
ACT_TABLE = "transformers.activations.ACT2FN"


@dataclass(frozen=True, slots=True)
class ChainLayer:
    """One layer. `given` are its arguments by name, as expressions over the config; `items` those of a Sequential."""

    op: str
    given: tuple[tuple[str, ast.expr], ...] = ()
    items: tuple[ChainLayer, ...] = ()

    @property
    def weighty(self) -> bool:
        return self.op in WEIGHTY or any(item.weighty for item in self.items)


@dataclass(frozen=True, slots=True)
class Step:
    """What `forward` does next: the layer of an attribute, or tokens put together to rows of a `width`."""

    attribute: str = ""
    width: ast.expr | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """`steps` in the order in which `forward` applies them to its one argument."""

    layers: tuple[tuple[str, ChainLayer], ...]
    steps: tuple[Step, ...]

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(step.attribute for step in self.steps if step.attribute)

    @property
    def widths(self) -> tuple[ast.expr, ...]:
        return tuple(step.width for step in self.steps if step.width is not None)


@dataclass(frozen=True, slots=True)
class Call:
    """How a class is made: the values of its arguments, by position and by name."""

    given: Sequence[ast.expr]
    named: Mapping[str, ast.expr] = field(default_factory=dict)


def read_chain(code: CodeBase, cls: Definition, call: Call, attribute: Attribute, same: Same = nothing) -> Chain:
    """The class, made by this call. Raises Unread with what is not understood."""
    init, forward = _methods(code, cls)
    symbols = Symbols(code, cls.file, attribute, _bound(init, call.given, call.named), same=same)
    asked = {node.attr for node in ast.walk(forward) if isinstance(node, ast.Attribute)}
    layers = {name: layer for name, layer in _built(symbols, init).items() if layer.weighty or name in asked}
    steps = _Forward(replace(symbols, names={}), {*bound_in(forward)}, layers).applied(forward)
    order = [step.attribute for step in steps]
    unused = [name for name, layer in layers.items() if layer.weighty and name not in order]
    if unused:
        raise Unread(f"forward does not use {unused[0]}")
    return Chain(tuple((name, layer) for name, layer in layers.items() if name in order), steps)


def _methods(code: CodeBase, cls: Definition) -> tuple[ast.FunctionDef, ast.FunctionDef]:
    node = cls.node
    assert isinstance(node, ast.ClassDef)
    bases = [dotted(code, cls.file, base) for base in node.bases]
    if bases != ["torch.nn.Module"] or node.decorator_list or node.keywords:
        raise Unread(f"{cls.name} is more than a plain module")
    found: dict[str, ast.FunctionDef] = {}
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name in ("__init__", "forward") and not item.decorator_list:
            found[item.name] = item
        elif not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)):
            raise Unread(f"{cls.name} has {snippet(item, 60)}")
    if len(found) != 2:
        raise Unread(f"{cls.name} has no __init__ and forward of its own")
    return found["__init__"], found["forward"]


def _bound(init: ast.FunctionDef, given: Sequence[ast.expr], named: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
    """The parameters of `__init__` with their values."""
    spec = init.args
    if spec.vararg is not None or spec.kwarg is not None or spec.posonlyargs:
        raise Unread(f"parameters ({snippet(spec)})")
    plain = [item.arg for item in spec.args[1:]]
    found = dict(zip(plain[len(plain) - len(spec.defaults) :], spec.defaults, strict=True)) if spec.defaults else {}
    found |= {a.arg: value for a, value in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if value is not None}
    known = {*plain, *(item.arg for item in spec.kwonlyargs)}
    found |= {**dict(zip(plain, given, strict=False)), **named}
    if len(given) > len(plain) or set(found) != known:
        raise Unread(f"it is made with other arguments than ({snippet(spec)})")
    return found


def _built(symbols: Symbols, init: ast.FunctionDef) -> dict[str, ChainLayer]:
    """The layers that `__init__` sets, by attribute; its other statements only give names to values."""
    layers: dict[str, ChainLayer] = {}
    shadowing = {*bound_in(init)}
    for statement in init.body:
        if _starts(statement):
            continue
        own = set_on_self(statement)
        if own is not None:
            layer = read_layer(symbols, own[1], shadowing)
            if own[0] in layers or own[0] in symbols.on_self:
                raise Unread(f"{own[0]} is set twice")
            if layer is not None:
                layers[own[0]] = layer
            else:
                symbols.on_self[own[0]] = symbols.value(own[1])
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            symbols.assigned(statement.targets[0], symbols.value(statement.value))
        else:
            raise Unread(snippet(statement, 60))
    return layers


def _starts(statement: ast.stmt) -> bool:
    """A docstring, or the call of the base's `__init__`."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(value, ast.Call):
        called = snippet(value.func)
        return not value.args and called.startswith("super(") and called.endswith(").__init__")
    return isinstance(value, ast.Constant)


def read_layer(symbols: Symbols, node: ast.expr, shadowing: set[str]) -> ChainLayer | None:
    """The layer that an expression makes; None where it makes no object of torch or transformers. Raises Unread."""
    if isinstance(node, ast.Subscript):
        table = dotted(symbols.code, symbols.file, node.value, shadowing)
        return ChainLayer(TABLE, (("key", symbols.value(node.slice)),)) if table == ACT_TABLE else None
    name = _class_name(symbols, node.func, shadowing) if isinstance(node, ast.Call) else None
    if not isinstance(node, ast.Call) or name is None:
        return None
    if name == "torch.nn.Sequential" and not node.keywords:
        items = [read_layer(symbols, item, shadowing) for item in node.args]
        if any(item is None or item.items for item in items):
            raise Unread(snippet(node, 60))
        return ChainLayer(SEQUENTIAL, items=tuple(item for item in items if item is not None))
    if name not in SIGNATURES:
        raise Unread(f"a layer {snippet(node, 60)}")
    op, parameters = SIGNATURES[name]
    given = dict(zip(parameters, symbols.taken(node.args), strict=False))
    given |= {str(item.arg): symbols.value(item.value) for item in node.keywords}
    if len(node.args) > len(parameters) or not set(given) <= {*parameters}:
        raise Unread(f"arguments of {snippet(node, 60)}")
    return _checked(ChainLayer(op, tuple(given.items())), node)


def _class_name(symbols: Symbols, func: ast.expr, shadowing: set[str]) -> str | None:
    """The class of torch or transformers that is called, or that the code has a copy of."""
    own = symbols.code.meaning(symbols.file, func.id) if isinstance(func, ast.Name) else None
    if isinstance(own, Definition) and isinstance(own.node, ast.ClassDef) and own.name not in shadowing:
        return symbols.same(own)
    return dotted(symbols.code, symbols.file, func, shadowing)


def _checked(layer: ChainLayer, node: ast.expr) -> ChainLayer:
    """The layer without what does not matter to it. Raises Unread where an argument changes what it is."""
    given = dict(layer.given)
    affine = given.pop("elementwise_affine", None)
    shape = given.get("normalized_shape")
    if affine is not None and not (isinstance(affine, ast.Constant) and affine.value is True):
        raise Unread(snippet(node, 60))
    if isinstance(shape, (ast.Tuple, ast.List)):
        if len(shape.elts) != 1:
            raise Unread(snippet(node, 60))
        given["normalized_shape"] = shape.elts[0]
    if layer.op == "GELU" and not all(isinstance(value, ast.Constant) for value in given.values()):
        raise Unread(snippet(node, 60))
    inert = layer.op in ("Identity", "SiLU", "ReLU")
    return ChainLayer(layer.op, () if inert else tuple(given.items()))


@dataclass(slots=True)
class _Forward:
    """A `forward` that is read: `layers` are those of the class, and those that functions stand for."""

    symbols: Symbols
    bound: set[str]
    layers: dict[str, ChainLayer]
    seen: dict[str, tuple[Step, ...]] = field(default_factory=dict)

    def applied(self, forward: ast.FunctionDef) -> tuple[Step, ...]:
        """The steps that it takes one after the other from its argument. Raises Unread for anything else."""
        spec = forward.args
        if len(spec.args) != 2 or spec.vararg or spec.kwarg or spec.kwonlyargs or spec.posonlyargs or spec.defaults:
            raise Unread(f"parameters ({snippet(spec)})")
        self.seen[spec.args[1].arg] = ()
        for statement in forward.body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue
            if isinstance(statement, ast.Return) and statement.value is not None:
                return self._whole(self._passed(statement.value))
            target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
            if not isinstance(statement, ast.Assign) or not isinstance(target, ast.Name) or target.id == "self":
                raise Unread(snippet(statement, 60))
            self.seen[target.id] = self._passed(statement.value)
        raise Unread("forward returns nothing")

    def _whole(self, done: tuple[Step, ...]) -> tuple[Step, ...]:
        if any(done[: len(value)] != value for value in self.seen.values()):
            raise Unread("forward makes something that it does not hand on")
        return done

    def _passed(self, node: ast.expr) -> tuple[Step, ...]:
        if isinstance(node, ast.Name) and node.id in self.seen:
            return self.seen[node.id]
        if not isinstance(node, ast.Call):
            raise Unread(snippet(node, 60))
        function = FUNCTIONS.get(dotted(self.symbols.code, self.symbols.file, node.func, self.bound) or "")
        if function is not None and len(node.args) == 1:
            return (*self._passed(node.args[0]), Step(self._added(function, node)))
        func = node.func if isinstance(node.func, ast.Attribute) and not node.keywords else None
        own = func is not None and isinstance(func.value, ast.Name) and func.value.id == "self"
        if func is not None and own and func.attr in self.layers and len(node.args) == 1:
            return (*self._passed(node.args[0]), Step(func.attr))
        together = func is not None and not own and func.attr in REGROUPS and len(node.args) == 2
        if func is not None and together and ast.unparse(node.args[0]) == "-1":
            width = self.symbols.value(node.args[1])
            return (*self._passed(func.value), Step(width=width))
        raise Unread(snippet(node, 60))

    def _added(self, op: str, node: ast.Call) -> str:
        """The attribute of a layer that does what a function does."""
        given = {str(item.arg): item.value for item in node.keywords}
        plain = all(isinstance(value, ast.Constant) for value in given.values())
        if not plain or not set(given) <= ({"approximate"} if op == "GELU" else set()):
            raise Unread(snippet(node, 60))
        taken = {*self.layers, *self.symbols.on_self}
        name = next(name for name in ("act", *(f"act_{index}" for index in range(2, 99))) if name not in taken)
        self.layers[name] = ChainLayer(op, tuple(given.items()))
        return name


def dotted(code: CodeBase, file: str, node: ast.expr, shadowing: Sequence[str] | set[str] = ()) -> str | None:
    """The dotted name of something of torch or transformers; None for anything else."""
    root, dot, rest = snippet(node, 200).partition(".")
    meant = code.meaning(file, root) if root not in shadowing else None
    if not isinstance(meant, External):
        return None
    name = f"{meant.dotted}{dot}{rest}"
    return name if name.startswith(("torch.", "transformers.")) else None

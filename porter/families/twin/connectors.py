"""A connector of another make than the original's: read in full from the repo's code, and written as a module of the
port's own."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from porter.families.held import Held, children_of, held_by
from porter.families.twin.activations import BY_NAME, places
from porter.families.twin.naming import Naming, said
from porter.families.twin.original import Original
from porter.families.twin.weights import Modules, assigned
from porter.source.alike import Alike, Unlike
from porter.source.alike_classes import lineage, methods_of
from porter.source.alike_replaced import Made
from porter.source.chain import SEQUENTIAL, TABLE, Call, Chain, ChainLayer, read_chain, read_layer
from porter.source.codebase import Definition
from porter.source.symbols import CONFIG, Symbols, Unread, config_at, path_of
from porter.vllm_tree.classes import ClassReading
from porter.vllm_tree.classes import lineage as tree_lineage
from porter.vllm_tree.tree import Tree
from porter.weights.mapper import NameRules

PARALLEL = ("ParallelLinear", "ReplicatedLinear")
WRITTEN = {"SiLU": "nn.SiLU()", "ReLU": "nn.ReLU()", "Tanh": "nn.Tanh()", "Sigmoid": "nn.Sigmoid()"}
WRITTEN |= {"Identity": "nn.Identity()", "QuickGELU": "QuickGELU()"}
HEADS = {"Linear": "nn.Linear", "LayerNorm": "nn.LayerNorm", "RMSNorm": "RMSNorm", "nn.RMSNorm": "nn.RMSNorm"}
WHOLE = "vllm_config.model_config.hf_config"
REGROUP = ".view"
"""Stands in the order of a module's steps for what is no attribute."""
ANY_NORM = "transformers.models.llama.modeling_llama.LlamaRMSNorm"
POSITIONAL = ("in_features", "out_features", "normalized_shape", "hidden_size")


@dataclass(frozen=True, slots=True)
class LayerCode:
    """A layer as the port makes it; `items` are those of a Sequential."""

    head: str
    arguments: tuple[str, ...] = ()
    items: tuple[LayerCode, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.head}({', '.join((*self.arguments, *(item.text for item in self.items)))})"


@dataclass(frozen=True, slots=True)
class OwnModule:
    """A module of the port: `place` is its attribute, `role` what its class is called after the port's stem.

    `layers` are by attribute, `order` the attributes as `forward` applies them; REGROUP stands where it puts tokens
    together to rows of `width`. `parallel`: its Linears are vLLM's, as those of the tree's class are.
    """

    place: str
    role: str
    layers: tuple[tuple[str, LayerCode], ...]
    order: tuple[str, ...]
    base: str
    """The original's class that it stands for."""
    shown: str
    parallel: bool = False
    width: str = ""

    @property
    def text(self) -> str:
        """All of its layers' code, for a look at which names it uses."""
        return " ".join(layer.text for _, layer in self.layers)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tree's class keeps a class of the original: the attribute, and whether its layers are vLLM's."""

    path: str
    parallel: bool


def candidates(
    walk: Alike, left: list[Unlike], found: Original, target: tuple[Tree, ClassReading], rules: NameRules
) -> dict[str, Place]:
    """The original's classes that the differences are about, where a port can set another module in their place."""
    modules = Modules(walk)
    names = dict.fromkeys(name for item in left for name in _about(walk, item))
    seen: dict[str, Place] = {}
    for name in names:
        paths = list(places(modules, found.model, name))
        cls = walk.library.code.meaning(found.model.file, name)
        if len(paths) == 1 and isinstance(cls, Definition) and _takes_one(methods_of(cls).get("forward")):
            place = _place(*target, rules, paths[0])
            if place is not None:
                seen[name] = place
    return seen


def _about(walk: Alike, item: Unlike) -> Iterator[str]:
    yield item.cls
    yield from (name for name, part in walk.replaced.items() if item.part and part == item.part)
    native = item.layer[1] if item.layer is not None else None
    if isinstance(native, ast.Call) and isinstance(native.func, ast.Name):
        yield native.func.id


def _takes_one(forward: ast.FunctionDef | None) -> bool:
    if forward is None or forward.args.vararg or forward.args.kwarg or forward.args.kwonlyargs:
        return False
    return len(forward.args.args) == 2 and not any(isinstance(item.value, ast.Tuple) for item in _returns(forward))


def _returns(function: ast.FunctionDef) -> Iterator[ast.Return]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Return))


def _place(tree: Tree, model: ClassReading, rules: NameRules, path: str) -> Place | None:
    """Where the tree's class has what stands at a path of the original; None where it cannot be replaced alone."""
    place = (rules.apply(f"{path}.weight") or "").removesuffix(".weight")
    holder, steps = held_by(tree, model), place.split(".")
    if not _keeps_config(tree, model):
        return None
    for index, name in enumerate(steps):
        if name not in holder.sites or not all(site.always for site in holder.sites[name]):
            return None
        if index == len(steps) - 1 and _looked_into(tree, (model, holder.cls), name):
            return None
        inner = children_of(tree, holder, name)
        if not isinstance(inner, Held):
            return None
        holder = inner
    own = holder.cls.methods
    if not _takes_one(own.get("forward")):
        return None
    calls = [ast.unparse(node.func) for node in ast.walk(own["__init__"]) if isinstance(node, ast.Call)]
    return Place(place, any(call.endswith(PARALLEL) for call in calls))


def _keeps_config(tree: Tree, model: ClassReading) -> bool:
    """Whether `self.config` of the tree's class is the whole config."""
    for owner in tree_lineage(tree, model):
        pairs = [*_texts(owner.methods["__init__"])] if "__init__" in owner.methods else []
        kept = [value for target, value in pairs if target == "self.config"]
        if kept:
            return kept == [WHOLE] or (kept == [CONFIG] and (CONFIG, WHOLE) in pairs)
    return False


def _texts(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """What a function assigns to what, as code."""
    for node in ast.walk(function):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((ast.unparse(target), ast.unparse(node.value)) for target in targets)


def _looked_into(tree: Tree, owners: tuple[ClassReading, ...], name: str) -> bool:
    """Whether code of the tree reads attributes of the module that would be replaced."""
    classes = [item for owner in owners for item in tree_lineage(tree, owner)]
    inside = (node for cls in classes for method in cls.methods.values() for node in ast.walk(method))
    held = (node.value for node in inside if isinstance(node, ast.Attribute))
    return any(isinstance(item, ast.Attribute) and item.attr == name for item in held)


def own_modules(walk: Alike, naming: Naming, held: Mapping[str, Place]) -> tuple[OwnModule, ...]:
    """What the repo makes in place of the classes that the walk left apart. Raises Unread."""
    modules = Modules(walk)
    found: list[OwnModule] = []
    for cls, place in held.items():
        made = walk.made.get(cls, [])
        if len(made) != 1:
            raise Unread(f"{cls} is made {len(made)} times")
        found.append(replace(_own_module(walk, modules, naming, made[0], place), base=cls))
        if found[-1].width != _native_width(walk, modules, naming, cls):
            raise Unread(f"it puts tokens together otherwise than {cls}")
    return tuple(found)


def _native_width(walk: Alike, modules: Modules, naming: Naming, name: str) -> str:
    """The width of the rows to which the original's class puts tokens together, "" where it leaves each by itself.
    Raises Unread."""
    cls = walk.library.code.meaning(naming.found.model.file, name)
    assert isinstance(cls, Definition)
    given = dict(zip(_parameters(cls), _arguments(walk, modules, naming.found.model, name), strict=True))
    known = Call((), {key: value for key, value in given.items() if value is not None})
    same = partial(_any_norm, naming)
    chain = read_chain(walk.library.code, cls, known, lambda path, inner: config_at((*path, inner)), same)
    return " ".join(said(naming, width) for width in chain.widths)


def _any_norm(naming: Naming, cls: Definition) -> str | None:
    """A norm of the original's own, whichever: only what stands around it is asked for."""
    return ANY_NORM if cls.name.endswith("RMSNorm") else None


def _own_module(walk: Alike, modules: Modules, naming: Naming, made: Made, place: Place) -> OwnModule:
    symbols, call = _maker(walk, modules, naming, made), made.value
    func = call.func if isinstance(call, ast.Call) else None
    cls = walk.repo.code.meaning(made.file, func.id) if isinstance(func, ast.Name) else None
    if isinstance(call, ast.Call) and isinstance(cls, Definition) and isinstance(cls.node, ast.ClassDef):
        named = {str(item.arg): symbols.value(item.value) for item in call.keywords}
        made_so = Call(symbols.taken(call.args), named)
        chain = read_chain(walk.repo.code, cls, made_so, naming.attribute, naming.same)
        return _written(chain, place, naming)
    layer = read_layer(symbols, call, {*symbols.names, "self"})
    if layer is None or not layer.weighty:
        raise Unread(ast.unparse(call))
    return OwnModule(place.path, "", (("", _code(layer, naming)),), (), "", _shown([layer]))


def _written(chain: Chain, place: Place, naming: Naming) -> OwnModule:
    inert = {name for name, layer in chain.layers if layer.op == "Identity"}
    kept = [(name, layer) for name, layer in chain.layers if name not in inert]
    layers = tuple((name, _code(layer, naming)) for name, layer in kept)
    role = "".join(part.capitalize() for part in place.path.rpartition(".")[2].split("_"))
    order = tuple(step.attribute or REGROUP for step in chain.steps if step.attribute not in inert)
    if order.count(REGROUP) > 1:
        raise Unread("it puts tokens together more than once")
    table = dict(chain.layers)
    shown = _shown([table[name] for name in order if name != REGROUP])
    width = "".join(said(naming, width) for width in chain.widths)
    return OwnModule(place.path, role, layers, order, "", shown, place.parallel, width)


def _shown(layers: list[ChainLayer]) -> str:
    flat = [item for layer in layers for item in (layer.items or (layer,))]
    return " -> ".join("activation" if item.op == TABLE else item.op for item in flat)


def _maker(walk: Alike, modules: Modules, naming: Naming, made: Made) -> Symbols:
    """The names of the `__init__` that makes the part, up to that statement."""
    given = _arguments(walk, modules, naming.found.model, made.owner)
    function = _around(walk, made)
    own = [item.arg for item in function.args.args[1:]]
    names = {mine: given[index] for index, mine in enumerate(own) if index < len(given)}
    symbols = Symbols(walk.repo.code, made.file, naming.attribute, {k: v for k, v in names.items() if v is not None})
    for statement in function.body:
        if getattr(statement, "value", None) is made.value:
            return symbols
        _local(symbols, statement)
    raise Unread(f"where {made.owner} makes its part")


def _local(symbols: Symbols, statement: ast.stmt) -> None:
    """Binds local names; those whose value cannot be said are no longer known."""
    stored = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    before = dict(symbols.names)
    for name in stored:
        symbols.names.pop(name, None)
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        try:
            value = Symbols(symbols.code, symbols.file, symbols.attribute, before).value(statement.value)
            symbols.assigned(statement.targets[0], value)
        except Unread:
            return


def _around(walk: Alike, made: Made) -> ast.FunctionDef:
    file = walk.repo.code.file(made.file)
    for node in ast.walk(file.tree) if file is not None else ():
        if isinstance(node, ast.FunctionDef) and any(item is made.value for item in ast.walk(node)):
            return node
    raise Unread(f"what makes the part of {made.owner}")


def _arguments(walk: Alike, modules: Modules, root: Definition, owner: str) -> list[ast.expr | None]:
    """What the `__init__` of the original's class is given, in its order, as expressions over the root's config."""
    paths = [""] if owner == root.name else list(places(modules, root, owner))
    if len(paths) != 1:
        raise Unread(f"{owner} is made {len(paths)} times")
    cls, given = root, {CONFIG: config_at(())}
    for name in paths[0].split(".") if paths[0] else ():
        child = modules.children(cls).get(name)
        made = (value for item in lineage(walk.library.code, cls) for target, value in _set(item) if target == name)
        call = next(made, None)
        if not isinstance(child, Definition) or not isinstance(call, ast.Call):
            raise Unread(f"how {owner} is made")
        symbols = Symbols(walk.library.code, cls.file, lambda path, inner: config_at((*path, inner)), given)
        cls, given = child, _passed(symbols, call, child)
    return [given.get(item) for item in _parameters(cls)]


def _set(cls: Definition) -> Iterator[tuple[str, ast.expr]]:
    init = methods_of(cls).get("__init__")
    return assigned(init) if init is not None else iter(())


def _parameters(cls: Definition) -> list[str]:
    init = methods_of(cls).get("__init__")
    return [item.arg for item in init.args.args[1:]] if init is not None else [CONFIG]


def _passed(symbols: Symbols, call: ast.Call, child: Definition) -> dict[str, ast.expr]:
    """Parameters of a class by what a call gives them, as far as that can be said."""
    pairs = [
        *zip(_parameters(child), call.args, strict=False),
        *((str(item.arg), item.value) for item in call.keywords),
    ]
    found: dict[str, ast.expr] = {}
    for name, node in pairs:
        try:
            found[name] = symbols.value(node)
        except Unread:
            continue
    return found


def _code(layer: ChainLayer, naming: Naming) -> LayerCode:
    """A layer as the port makes it. Raises Unread."""
    if layer.op == SEQUENTIAL:
        return LayerCode("nn.Sequential", (), tuple(_code(item, naming) for item in layer.items))
    if layer.op == TABLE:
        return _call(_activation(layer.given[0][1], naming))
    if layer.op == "GELU":
        given = {name: value for name, value in layer.given if ast.unparse(value) != "'none'"}
        return LayerCode("nn.GELU", tuple(f"{name}={said(naming, value)}" for name, value in given.items()))
    if layer.op in WRITTEN:
        return _call(WRITTEN[layer.op])
    plain = [said(naming, value) for name, value in layer.given if name in POSITIONAL]
    named = [(name, said(naming, value)) for name, value in layer.given if name not in POSITIONAL]
    kept = [f"{name}={value}" for name, value in named if (name, value) not in (("bias", "True"), ("eps", "None"))]
    return LayerCode(HEADS[layer.op], (*plain, *kept))


def _call(code: str) -> LayerCode:
    head, _, rest = code.partition("(")
    return LayerCode(head, tuple(item for item in (rest.removesuffix(")"),) if item))


def _activation(key: ast.expr, naming: Naming) -> str:
    path = path_of(key)
    name = naming.value(path) if path else key.value if isinstance(key, ast.Constant) else None
    code = BY_NAME.get(name) if isinstance(name, str) else None
    if code is None:
        raise Unread(f"an activation {name!r}")
    return code

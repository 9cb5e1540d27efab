"""What a model class of the tree holds: the modules it sets on itself, its weight mapper, what its loader mentions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from porter.source.codebase import Definition
from porter.source.layers import ACTIVATIONS, INERT_LAYERS
from porter.vllm_tree.classes import ClassReading, find_attribute, find_class, find_method, lineage, meaning
from porter.vllm_tree.tree import Tree
from porter.weights.mapper import NameRules

MAPPER = "hf_to_vllm_mapper"
UNSEEN_FIELDS = ("renaming",)
"""Fields of a WeightsMapper that porter does not apply: a name under such a mapper is not judged."""
REGISTERING = frozenset({"add_module", "register_module", "register_parameter", "register_buffer"})
WEIGHTLESS = frozenset({*ACTIVATIONS, *INERT_LAYERS, "Softmax"})
FRAMEWORK = ("model_executor/models/interfaces", "model_executor/layers/", "multimodal/", "config/")
MAX_HOPS = 12


@dataclass(frozen=True, slots=True)
class Site:
    """Where a class sets one attribute on itself. `always` is False under a condition or outside `__init__`."""

    name: str
    file: str
    line: int
    value: ast.expr | None
    always: bool


@dataclass(frozen=True, slots=True)
class Held:
    """One class. `mentioned` are name parts in its own loading code; `open` says that names are set or renamed in a way
    that cannot be read, so that no name is a stranger to it."""

    cls: ClassReading
    sites: Mapping[str, tuple[Site, ...]] = field(default_factory=dict)
    rules: NameRules = field(default_factory=NameRules)
    mentioned: frozenset[str] = frozenset()
    open: bool = False


def held_by(tree: Tree, cls: ClassReading) -> Held:
    """What the class, its bases in the tree, and the classes that its `__new__` chooses from hold."""
    owners = [
        owner
        for chosen in (cls, *_chosen(tree, cls))
        for owner in lineage(tree, chosen)
        if not owner.file.startswith(FRAMEWORK)
    ]
    sites: dict[str, list[Site]] = {}
    dynamic = False
    for owner in dict.fromkeys(_key(owner) for owner in owners):
        reading = next(item for item in owners if _key(item) == owner)
        for site in _sites(reading):
            if site.name:
                sites.setdefault(site.name, []).append(site)
            else:
                dynamic = True
    rules, readable = _rules_of(tree, owners)
    mentioned = frozenset(part for owner in owners for part in _mentioned(tree, owner))
    frozen = {name: tuple(found) for name, found in sites.items()}
    return Held(cls, frozen, rules, mentioned, dynamic or not readable)


def _key(owner: ClassReading) -> tuple[str, str]:
    return owner.file, owner.name


def _chosen(tree: Tree, cls: ClassReading) -> Iterator[ClassReading]:
    """The classes of a table that `__new__` picks the real one from."""
    found = find_method(tree, cls, "__new__")
    if found is None or found[0].file.startswith(FRAMEWORK):
        return
    for node in ast.walk(found[1]):
        table = meaning(tree, found[0].file, node.id) if isinstance(node, ast.Name) else None
        if isinstance(table, Definition) and isinstance(table.node, ast.Dict):
            for value in table.node.values:
                chosen = find_class(tree, found[0].file, value.id) if isinstance(value, ast.Name) else None
                if chosen is not None:
                    yield chosen


def _sites(owner: ClassReading) -> Iterator[Site]:
    for name, method in owner.methods.items():
        if name not in ("forward", "load_weights"):
            yield from _in_body(owner, method.body, name == "__init__")


def _in_body(owner: ClassReading, body: Iterable[ast.stmt], always: bool) -> Iterator[Site]:
    for statement in body:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = [inner for target in statement.targets for inner in _flat(target)]
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
                yield Site(target.attr, owner.file, statement.lineno, value, always)
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            yield from _registered(owner, statement.value)
        for inner, sure in _blocks(statement):
            yield from _in_body(owner, inner, always and sure)


def _flat(target: ast.expr) -> list[ast.expr]:
    return list(target.elts) if isinstance(target, (ast.Tuple, ast.List)) else [target]


def _blocks(statement: ast.stmt) -> Iterator[tuple[list[ast.stmt], bool]]:
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        yield statement.body, True
    elif isinstance(statement, (ast.If, ast.For, ast.While)):
        yield statement.body, False
        yield statement.orelse, False
    elif isinstance(statement, ast.Try):
        for block in (statement.body, statement.orelse, statement.finalbody, *(h.body for h in statement.handlers)):
            yield block, False


def _registered(owner: ClassReading, call: ast.Call) -> Iterator[Site]:
    """`self.add_module("name", ...)`, `setattr(self, "name", ...)`; a computed name gives a site without one."""
    first: ast.expr | None = None
    if isinstance(call.func, ast.Attribute) and call.func.attr in REGISTERING and _is_self(call.func.value):
        first = call.args[0] if call.args else None
    elif isinstance(call.func, ast.Name) and call.func.id == "setattr" and call.args and _is_self(call.args[0]):
        first = call.args[1] if len(call.args) > 1 else None
    else:
        return
    name = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    yield Site(name, owner.file, call.lineno, None, False)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _mentioned(tree: Tree, owner: ClassReading) -> Iterator[str]:
    """Parts of the strings in a class's own `load_weights`, and in the functions of its file that it calls."""
    loader = owner.methods.get("load_weights")
    if loader is None:
        return
    bodies: list[ast.AST] = [loader]
    for node in ast.walk(loader):
        name = node.func if isinstance(node, ast.Call) else None
        found = meaning(tree, owner.file, name.id) if isinstance(name, ast.Name) else None
        if isinstance(found, Definition) and found.file == tree.code_path(owner.file):
            bodies.append(found.node)
    for body in bodies:
        for node in ast.walk(body):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
                yield from (part for part in node.value.split(".") if part)


def _rules_of(tree: Tree, owners: Iterable[ClassReading]) -> tuple[NameRules, bool]:
    """The mapper's renames, and whether all of it could be read."""
    total, readable = NameRules(), True
    seen: set[tuple[str, str]] = set()
    for owner in owners:
        value = owner.attributes.get(MAPPER)
        if value is None or _key(owner) in seen:
            continue
        seen.add(_key(owner))
        rules, whole = _evaluate(tree, owner.file, value, 0)
        total, readable = _joined(rules, total), readable and whole
    return total, readable and not any(_assigns_mapper(owner) for owner in owners)


def _assigns_mapper(owner: ClassReading) -> bool:
    """A mapper that is made when the model is built."""
    return (
        any(
            isinstance(node, ast.Attribute) and node.attr == MAPPER and isinstance(node.ctx, ast.Store)
            for method in owner.methods.values()
            for node in ast.walk(method)
        )
        or MAPPER in owner.methods
    )


def _joined(first: NameRules, second: NameRules) -> NameRules:
    """`first` wins over `second`, as a class's own mapper does over its base's."""
    return replace(first, **{name: {**getattr(second, name), **getattr(first, name)} for name in NameRules.KINDS})


def _evaluate(tree: Tree, file: str, node: ast.expr, depth: int) -> tuple[NameRules, bool]:
    """A mapper expression: a call, `a | b`, or another class's mapper."""
    if depth > MAX_HOPS:
        return NameRules(), False
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, whole_left = _evaluate(tree, file, node.left, depth + 1)
        right, whole_right = _evaluate(tree, file, node.right, depth + 1)
        return _joined(right, left), whole_left and whole_right
    if isinstance(node, ast.Attribute) and node.attr == MAPPER and isinstance(node.value, ast.Name):
        owner = find_class(tree, file, node.value.id)
        found = find_attribute(tree, owner, MAPPER) if owner is not None else None
        return _evaluate(tree, found[0].file, found[1], depth + 1) if found is not None else (NameRules(), False)
    if isinstance(node, ast.Call) and _last(node.func) == "WeightsMapper" and not node.args:
        return _called(node)
    return NameRules(), False


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _called(node: ast.Call) -> tuple[NameRules, bool]:
    tables: dict[str, dict[str, str | None]] = {}
    readable = True
    for keyword in node.keywords:
        name = (keyword.arg or "").removeprefix("orig_to_new_")
        if name in NameRules.KINDS and isinstance(keyword.value, ast.Dict):
            tables[name], whole = _table(keyword.value)
            readable = readable and whole
        elif name in NameRules.KINDS and (dropped := _from_keys(keyword.value)) is not None:
            tables[name] = dropped
        elif name in NameRules.KINDS or name in UNSEEN_FIELDS or keyword.arg is None:
            readable = False
    return NameRules(**tables), readable


def _table(node: ast.Dict) -> tuple[dict[str, str | None], bool]:
    found: dict[str, str | None] = {}
    whole = True
    for key, value in zip(node.keys, node.values, strict=True):
        old = _pattern(key)
        stacked = value.elts[0] if isinstance(value, ast.Tuple) and value.elts else value  # the shard does not matter
        if old is None or not isinstance(stacked, ast.Constant) or not isinstance(stacked.value, (str, type(None))):
            whole = False
        else:
            found[old] = stacked.value
    return found, whole


def _from_keys(node: ast.expr) -> dict[str, str | None] | None:
    """`dict.fromkeys([...])`: every key is dropped."""
    if not isinstance(node, ast.Call) or ast.unparse(node.func) != "dict.fromkeys" or len(node.args) != 1:
        return None
    listed = node.args[0].elts if isinstance(node.args[0], (ast.List, ast.Tuple, ast.Set)) else []
    names = [item.value for item in listed if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return dict.fromkeys(names) if len(names) == len(listed) else None


def _pattern(node: ast.expr | None) -> str | None:
    """A string key, or the pattern of `re.compile(...)`."""
    if isinstance(node, ast.Call) and _last(node.func) == "compile" and node.args:
        node = node.args[0]
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return None
    try:
        re.compile(node.value)
    except re.error:
        return re.escape(node.value)
    return node.value


def children_of(tree: Tree, held: Held, name: str) -> Held | Mapping[str, bool] | None:
    """What stands under one module: another class of the tree, a Sequential's items (position → whether it has
    weights), or None when that cannot be told."""
    found = [_built(tree, held.cls, site) for site in held.sites.get(name, ()) if not _is_none(site.value)]
    classes = {_key(item.cls) for item in found if isinstance(item, Held)}
    if len(found) == 1 or (len(classes) == 1 and all(isinstance(item, Held) for item in found)):
        return found[0]
    return None


def _is_none(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _built(tree: Tree, cls: ClassReading, site: Site) -> Held | Mapping[str, bool] | None:
    values = list(_values(tree, cls, site))
    if len(values) != 1:
        return None
    file, call = values[0]
    if not isinstance(call, ast.Call):
        return None
    if _last(call.func) == "Sequential":
        return _items(call)
    inner = find_class(tree, file, ast.unparse(call.func)) if isinstance(call.func, ast.Name) else None
    if inner is None or not inner.file.startswith(("model_executor/models/", "models/")):
        return None
    return held_by(tree, inner)


def _values(tree: Tree, cls: ClassReading, site: Site) -> Iterator[tuple[str, ast.expr | None]]:
    """The expression that is set, or what the method of the class returns that is called for it."""
    call = site.value
    hook = call.func if isinstance(call, ast.Call) else None
    if isinstance(hook, ast.Attribute) and _is_self(hook.value):
        found = find_method(tree, cls, hook.attr)
        if found is None:
            yield site.file, None
            return
        for node in ast.walk(found[1]):
            if isinstance(node, ast.Return):
                yield found[0].file, node.value
        return
    yield site.file, call


def _items(call: ast.Call) -> Mapping[str, bool] | None:
    if any(not isinstance(item, ast.Call) for item in call.args) or not call.args or call.keywords:
        return None
    calls = [item for item in call.args if isinstance(item, ast.Call)]
    return {str(index): _last(item.func) not in WEIGHTLESS for index, item in enumerate(calls)}


def own_class(tree: Tree, file: str, name: str) -> Held | None:
    """The class that a registry entry names; None when it cannot be found."""
    cls = find_class(tree, file, name)
    return held_by(tree, cls) if cls is not None else None

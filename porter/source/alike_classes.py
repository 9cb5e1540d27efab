"""Classes side by side: a copy method by method, a subclass of the library's own class by what it overrides."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.source.alike import Alike, Scope, Side, Unlike
from porter.source.alike_effects import ACTING, acting_decorators, acts, outward_of
from porter.source.alike_names import Renames
from porter.source.alike_parts import is_original, same_external
from porter.source.alike_replaced import Made, set_apart
from porter.source.codebase import CodeBase, Definition, External, snippet

UNHEARD = frozenset(
    [
        *("_init_weights", "extra_repr", "__repr__", "tie_weights", "get_decoder", "set_decoder"),
        *("get_input_embeddings", "set_input_embeddings", "get_output_embeddings", "set_output_embeddings"),
        *("prepare_inputs_for_generation", "_expand_inputs_for_generation", "_reorder_cache", "get_encoder"),
        *("_prepare_position_ids_for_generation", "get_dtype", "get_device", "_update_model_kwargs_for_generation"),
        *("get_text_config", "to_dict", "to_diff_dict"),
    ]
)
"""Methods that no number of a forward pass depends on."""
ASKED = frozenset(["get_input_embeddings", "get_output_embeddings", "get_decoder", "get_encoder", "tie_weights"])
"""Those of them that models do call: unheard only where they hand on what they are asked for."""
STATED = frozenset(["config_class", "base_model_prefix", "main_input_name", "config", "model_type"])
"""Values of a class body that say what it is, and reach no number."""
CONFIGS = ("PreTrainedConfig", "PretrainedConfig")


def start(library: Side, repo: Side) -> Alike:
    return Alike(library, repo, compare_classes=compare_classes)


def compare_classes(walk: Alike, ours: Definition, theirs: Definition) -> None:
    """A pair of classes. Of config classes only methods are compared: their fields are values, not operations."""
    assert isinstance(ours.node, ast.ClassDef) and isinstance(theirs.node, ast.ClassDef)
    if ours.name in walk.apart:
        return
    declared(walk, ours, theirs)
    if is_config(walk.library, ours):
        _config_methods(walk, ours, theirs)
        return
    if _is_subclass(walk, ours, theirs):
        _overrides(walk, ours, theirs)
        return
    _bases(walk, ours, theirs)
    _methods(walk, ours, theirs)


def _is_subclass(walk: Alike, ours: Definition, theirs: Definition) -> bool:
    bases = [base for base in _bases_of(walk.repo, theirs) if isinstance(base, External)]
    return any(is_original(ours.file, ours.name, base.dotted) for base in bases)


def _config_methods(walk: Alike, ours: Definition, theirs: Definition) -> None:
    """What a config class computes; what `__init__` makes of its arguments is seen in the values."""
    mine = methods_of(ours)
    for name, method in methods_of(theirs).items():
        if name in mine and name != "__init__" and name not in UNHEARD:
            walk.functions(ours.name, (ours.file, mine[name]), (theirs.file, method))
        elif name != "__init__" and name not in UNHEARD:
            _unlike(walk, ours, theirs, name, f"added in {theirs.name}")
    for base in _own_bases(walk.repo, theirs):
        for name in (name for name in methods_of(base) if name not in ("__init__", *UNHEARD)):
            _unlike(walk, ours, base, name, f"added in {base.name}")
    copied = subclassed(walk.repo, theirs) in (None, *CONFIGS)
    for name in (name for name in mine if copied and name not in ("__init__", *UNHEARD, *methods_of(theirs))):
        _unlike(walk, ours, theirs, name, "not in the repo's class")


def _own_bases(side: Side, cls: Definition, depth: int = 6) -> Iterator[Definition]:
    """The classes of the repo that one inherits from."""
    for base in _bases_of(side, cls) if depth else ():
        if isinstance(base, Definition) and isinstance(base.node, ast.ClassDef):
            yield base
            yield from _own_bases(side, base, depth - 1)


def declared(walk: Alike, ours: Definition, theirs: Definition) -> None:
    """What a class says outside of its methods: decorators, keywords, values of its body that act."""
    assert isinstance(ours.node, ast.ClassDef) and isinstance(theirs.node, ast.ClassDef)
    native = {item.arg for item in ours.node.keywords}
    found: list[ast.AST] = [item for item in theirs.node.keywords if item.arg not in native]
    found += acting_decorators(walk.repo.code, theirs.file, theirs.node, ours.node.decorator_list)
    found += [item for owner in (theirs, *_own_bases(walk.repo, theirs)) for item in _unread_body(owner)]
    methods = {*methods_of(ours), *methods_of(theirs)}
    for name, value in values_of(theirs).items():
        if name in methods or (name.startswith("__") and name != "__slots__") or _callable(walk.repo, theirs, value):
            found.append(value)
    for owner in (theirs, *_own_bases(walk.repo, theirs)):
        for name, method in methods_of(owner).items():
            if name in UNHEARD or (name == "__init__" and is_config(walk.library, ours)):
                found += outward_of(walk.repo.code, owner.file, method)
    if not is_config(walk.library, ours):
        found += _otherwise(walk, ours, theirs)
    for item in found[:1]:
        why = f"{theirs.name} has {snippet(item)}"
        walk.unlike.append(Unlike(ours.name, "", theirs.file, getattr(theirs.node, "lineno", 0), why))


def _unread_body(cls: Definition) -> Iterator[ast.stmt]:
    """Statements of a class body that may give it methods under no name that is looked at: branches, imports, names
    bound several at once."""
    assert isinstance(cls.node, ast.ClassDef)
    for item in cls.node.body:
        targets = item.targets if isinstance(item, ast.Assign) else []
        said = isinstance(item, (ast.FunctionDef, ast.ClassDef, ast.AnnAssign, ast.Pass, ast.Expr, ast.Assign))
        if not said or not all(isinstance(target, ast.Name) for target in targets):
            yield item


def _otherwise(walk: Alike, ours: Definition, theirs: Definition) -> Iterator[ast.expr]:
    """Values of a class body that code of the original reads, and that are other ones in the repo's."""
    native = values_of(ours)
    for name, value in values_of(theirs).items():
        read = name in walk.library.read and name not in STATED
        if read and (name not in native or ast.unparse(native[name]) != ast.unparse(value)):
            yield value


def values_of(cls: Definition) -> dict[str, ast.expr]:
    """What a class body assigns."""
    assert isinstance(cls.node, ast.ClassDef)
    found: dict[str, ast.expr] = {}
    for item in cls.node.body:
        targets = (
            item.targets if isinstance(item, ast.Assign) else [item.target] if isinstance(item, ast.AnnAssign) else []
        )
        value = item.value if isinstance(item, (ast.Assign, ast.AnnAssign)) else None
        found.update({target.id: value for target in targets if isinstance(target, ast.Name) and value is not None})
    return found


def _callable(side: Side, cls: Definition, value: ast.expr) -> bool:
    """Whether a value of a class body may be a method of it."""
    for node in ast.walk(value):
        meant = side.code.meaning(cls.file, node.id) if isinstance(node, ast.Name) else None
        function = isinstance(meant, Definition) and not isinstance(meant.node, (ast.ClassDef, ast.Constant))
        outside = isinstance(meant, External) and meant.dotted.startswith("torch")
        if isinstance(node, ast.Lambda) or (isinstance(node, ast.Name) and (function or outside or node.id in ACTING)):
            return True
    return False


def is_config(side: Side, cls: Definition) -> bool:
    """Whether a class is one of configs."""
    seen: set[str] = set()
    waiting: list[Definition] = [cls]
    while waiting:
        item = waiting.pop()
        if item.name in seen or not isinstance(item.node, ast.ClassDef):
            continue
        seen.add(item.name)
        for base in item.node.bases:
            found = side.code.meaning(item.file, base.id) if isinstance(base, ast.Name) else None
            if isinstance(found, External) and found.name in CONFIGS:
                return True
            if isinstance(found, Definition):
                waiting.append(found)
    return False


def subclassed(side: Side, cls: Definition) -> str | None:
    """The class of transformers that a class of the repo inherits from, by its name; the first of several."""
    return next(transformers_bases(side.code, cls), None)


def lineage(code: CodeBase, cls: Definition, depth: int = 6) -> Iterator[Definition]:
    """A class and those of the same code that it inherits from."""
    yield cls
    assert isinstance(cls.node, ast.ClassDef)
    for base in cls.node.bases if depth else ():
        meant = code.meaning(cls.file, base.id) if isinstance(base, ast.Name) else None
        if isinstance(meant, Definition) and isinstance(meant.node, ast.ClassDef):
            yield from lineage(code, meant, depth - 1)


def transformers_bases(code: CodeBase, cls: Definition) -> Iterator[str]:
    """The classes of transformers that a class names as its bases."""
    assert isinstance(cls.node, ast.ClassDef)
    for base in cls.node.bases:
        found = code.meaning(cls.file, base.id) if isinstance(base, ast.Name) else None
        if isinstance(found, External) and found.dotted.startswith("transformers."):
            yield found.name


def _bases(walk: Alike, ours: Definition, theirs: Definition) -> None:
    mine, others = _bases_of(walk.library, ours), _bases_of(walk.repo, theirs)
    if len(mine) == len(others) and all(_same_base(walk, *pair) for pair in zip(mine, others, strict=True)):
        return
    shown = [", ".join(item.name for item in side) for side in (mine, others)]
    line = getattr(theirs.node, "lineno", 0)
    walk.unlike.append(Unlike(ours.name, "", theirs.file, line, f"bases {shown[0]} against {shown[1]}"))


MIXINS = frozenset(["GenerationMixin", "nn.Module", "torch.nn.Module", "GradientCheckpointingLayer"])
"""Bases that hold no operation of a forward pass."""


def _bases_of(side: Side, cls: Definition) -> list[Definition | External]:
    assert isinstance(cls.node, ast.ClassDef)
    found: list[Definition | External] = []
    for base in cls.node.bases:
        root, dot, rest = snippet(base).partition(".")
        meant = side.code.meaning(cls.file, root) if root.isidentifier() else None
        if isinstance(meant, External):
            meant = External(f"{meant.dotted}{dot}{rest}")
        elif not isinstance(meant, Definition) or dot:
            meant = External(snippet(base))
        if snippet(base) != "object" and not _mixin(meant, base):
            found.append(meant)
    return found


def _mixin(meant: Definition | External, base: ast.expr) -> bool:
    return isinstance(meant, External) and (meant.name in MIXINS or snippet(base) in MIXINS or meant.dotted in MIXINS)


def _same_base(walk: Alike, ours: Definition | External, theirs: Definition | External) -> bool:
    if isinstance(ours, Definition) and isinstance(theirs, Definition):
        return walk.pair(ours, theirs)
    if isinstance(theirs, External):
        dotted = ours.dotted if isinstance(ours, External) else f"transformers.{ours.name}"
        return same_external(dotted, theirs.dotted)
    return False


def _methods(walk: Alike, ours: Definition, theirs: Definition) -> None:
    """Methods by their names, the rest by their order."""
    mine, others = methods_of(ours), methods_of(theirs)
    for name in [name for name in mine if name in others]:
        if _heard(name, others[name]):
            walk.functions(ours.name, (ours.file, mine[name]), (theirs.file, others[name]))
    left = [name for name in mine if name not in others and name not in UNHEARD]
    right = [name for name in others if name not in mine and _heard(name, others[name])]
    names = walk.names.setdefault((ours.name, "self"), Renames())
    for one, other in zip(left, right, strict=False):
        if names.fits(one, other):
            walk.functions(ours.name, (ours.file, mine[one]), (theirs.file, others[other]))
    for name in left[len(right) :]:
        _unlike(walk, ours, theirs, name, "not in the repo's class")
    for name in right[len(left) :]:
        _unlike(walk, ours, theirs, name, f"added in {theirs.name}")


def _heard(name: str, method: ast.FunctionDef) -> bool:
    """Whether a method of the repo's may reach a number."""
    if name not in ASKED:
        return name not in UNHEARD
    last = method.body[-1]
    if not isinstance(last, (ast.Return, ast.Expr, ast.Pass)):
        return True
    said = all(isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) for item in method.body[:-1])
    value = None if isinstance(last, ast.Pass) else last.value
    return not said or not (value is None or isinstance(value, ast.Constant) or _handed_on(value, name))


def _handed_on(value: ast.expr, name: str) -> bool:
    """`self.model.x`, or what the same method of such a part answers."""
    if isinstance(value, ast.Call):
        asked = isinstance(value.func, ast.Attribute) and value.func.attr == name
        return asked and not value.args and not value.keywords and _handed_on(value.func, name)
    while isinstance(value, ast.Attribute):
        value = value.value
    return isinstance(value, ast.Name) or snippet(value) == "super()"


def _unlike(walk: Alike, ours: Definition, theirs: Definition, function: str, why: str) -> None:
    walk.unlike.append(Unlike(ours.name, function, theirs.file, getattr(theirs.node, "lineno", 0), why))


def methods_of(cls: Definition) -> dict[str, ast.FunctionDef]:
    assert isinstance(cls.node, ast.ClassDef)
    return {item.name: item for item in cls.node.body if isinstance(item, ast.FunctionDef)}


def _overrides(walk: Alike, ours: Definition, theirs: Definition) -> None:
    """What a subclass says anew: submodules that its __init__ replaces, methods that it overrides."""
    inherited = methods_of(ours)
    for base in _bases_of(walk.repo, theirs):
        if not (isinstance(base, External) and is_original(ours.file, ours.name, base.dotted)):
            _unlike(walk, ours, theirs, "", f"{theirs.name} inherits from {base.name} too")
    for name, method in methods_of(theirs).items():
        if name == "__init__":
            _added(walk, ours, theirs, method)
        elif name in inherited and _heard(name, method):
            walk.functions(ours.name, (ours.file, inherited[name]), (theirs.file, method))
        elif _heard(name, method):
            _unlike(walk, ours, theirs, name, f"added in {theirs.name}")


def _added(walk: Alike, ours: Definition, theirs: Definition, method: ast.FunctionDef) -> None:
    """The statements of a subclass's __init__: those that call the base's, make a buffer, or set a part anew."""
    given_names = frozenset(item.arg for item in method.args.args)
    for statement in method.body:
        if _of_base(statement) or _local(walk.repo, statement, given_names):
            continue
        if walk.unread(walk.repo, statement):
            continue
        target, value = _assigned(statement)
        given = _given(walk.library, ours, target) if target is not None else None
        if given is None or value is None:
            _unlike(walk, ours, theirs, "__init__", f"added: {snippet(statement)}")
            continue
        cls, native = given
        if set_apart(walk, Made(ours.name, theirs.file, value), cls, native):
            continue
        bound = (frozenset(["self", "config"]), given_names)
        scope = Scope(cls.name, "__init__", (cls.file, theirs.file), bound, part=target[-1] if target else "")
        walk.nodes(scope, native, value)
        if isinstance(native, ast.Call) and isinstance(native.func, ast.Name):
            walk.replaced[native.func.id] = scope.part


def _of_base(statement: ast.stmt) -> bool:
    """A docstring, a log line, or a call of the base's with what was given."""
    if not isinstance(statement, ast.Expr):
        return False
    if not isinstance(statement.value, ast.Call):
        return isinstance(statement.value, ast.Constant)
    call = statement.value
    called = snippet(call.func)
    values = [item.value if isinstance(item, ast.Starred) else item for item in call.args]
    values += [item.value for item in call.keywords]
    handed = all(isinstance(item, ast.Name) for item in values)
    return (called in ("super().__init__", "self.post_init") and handed) or (
        called.startswith("logger.") and not acts(call)
    )


def _local(side: Side, statement: ast.stmt, given: frozenset[str]) -> bool:
    """Nothing, or a new name for later statements, which are looked at themselves."""
    if isinstance(statement, ast.Pass):
        return True
    if not isinstance(statement, ast.Assign) or acts(statement.value, side.own):
        return False
    return all(isinstance(target, ast.Name) and target.id not in given for target in statement.targets)


def _assigned(statement: ast.stmt) -> tuple[list[str] | None, ast.expr | None]:
    """(path behind self, value) of `self.model.x = value`."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None, None
    parts = snippet(statement.targets[0]).split(".")
    return (parts[1:], statement.value) if parts[0] == "self" and len(parts) > 1 else (None, None)


def _given(side: Side, cls: Definition, path: list[str]) -> tuple[Definition, ast.expr] | None:
    """The class that makes the part at a path, and what it assigns there."""
    for index, name in enumerate(path):
        made = next((value for target, value in _assignments(cls) if target == [name]), None)
        if made is None:
            return None
        if index == len(path) - 1:
            return cls, made
        called = made.func if isinstance(made, ast.Call) else None
        found = side.code.meaning(cls.file, called.id) if isinstance(called, ast.Name) else None
        if not isinstance(found, Definition) or not isinstance(found.node, ast.ClassDef):
            return None
        cls = found
    return None


def _assignments(cls: Definition) -> Iterator[tuple[list[str] | None, ast.expr]]:
    init = methods_of(cls).get("__init__")
    for statement in init.body if init is not None else ():
        target, value = _assigned(statement)
        if value is not None:
            yield target, value

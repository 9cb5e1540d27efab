"""Classes side by side: a copy method by method, a subclass of the library's own class by what it overrides."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from porter.source.alike import Alike, Renames, Scope, Side, Unlike
from porter.source.alike_parts import same_external
from porter.source.codebase import Definition, External, snippet

UNHEARD = frozenset(
    [
        *("_init_weights", "extra_repr", "__repr__", "post_init", "tie_weights", "get_decoder", "set_decoder"),
        *("get_input_embeddings", "set_input_embeddings", "get_output_embeddings", "set_output_embeddings"),
        *("prepare_inputs_for_generation", "_expand_inputs_for_generation", "_reorder_cache", "get_encoder"),
        *("_prepare_position_ids_for_generation", "get_dtype", "get_device", "_update_model_kwargs_for_generation"),
        *("get_text_config", "to_dict", "to_diff_dict"),
    ]
)
"""Methods that no number of a forward pass depends on."""
CONFIGS = ("PreTrainedConfig", "PretrainedConfig")


def start(library: Side, repo: Side) -> Alike:
    return Alike(library, repo, compare_classes=compare_classes)


def compare_classes(walk: Alike, ours: Definition, theirs: Definition) -> None:
    """A pair of classes. Of config classes only methods are compared: their fields are values, not operations."""
    assert isinstance(ours.node, ast.ClassDef) and isinstance(theirs.node, ast.ClassDef)
    if is_config(walk.library, ours):
        _config_methods(walk, ours, theirs)
        return
    if subclassed(walk.repo, theirs) == ours.name:
        _overrides(walk, ours, theirs)
        return
    _bases(walk, ours, theirs)
    _methods(walk, ours, theirs)


def _config_methods(walk: Alike, ours: Definition, theirs: Definition) -> None:
    """What a config class computes; what `__init__` makes of its arguments is seen in the values."""
    mine = methods_of(ours)
    for name, method in methods_of(theirs).items():
        if name in mine and name != "__init__" and name not in UNHEARD:
            walk.functions(ours.name, (ours.file, mine[name]), (theirs.file, method))
        elif name != "__init__" and name not in UNHEARD:
            _unlike(walk, ours, theirs, name, f"added in {theirs.name}")
    copied = subclassed(walk.repo, theirs) in (None, *CONFIGS)
    for name in (name for name in mine if copied and name not in ("__init__", *UNHEARD, *methods_of(theirs))):
        _unlike(walk, ours, theirs, name, "not in the repo's class")


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
    """The class of transformers that a class of the repo inherits from, by its name."""
    assert isinstance(cls.node, ast.ClassDef)
    for base in cls.node.bases:
        found = side.code.meaning(cls.file, base.id) if isinstance(base, ast.Name) else None
        if isinstance(found, External) and found.dotted.startswith("transformers."):
            return found.name
    return None


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
        root = base
        while isinstance(root, ast.Attribute):
            root = root.value
        meant = side.code.meaning(cls.file, root.id) if isinstance(root, ast.Name) else None
        if isinstance(meant, (Definition, External)) and not _mixin(meant, base):
            found.append(meant)
    return found


def _mixin(meant: Definition | External, base: ast.expr) -> bool:
    return isinstance(meant, External) and (meant.name in MIXINS or snippet(base) in MIXINS)


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
        if name not in UNHEARD:
            walk.functions(ours.name, (ours.file, mine[name]), (theirs.file, others[name]))
    left = [name for name in mine if name not in others and name not in UNHEARD]
    right = [name for name in others if name not in mine and name not in UNHEARD]
    names = walk.names.setdefault((ours.name, "self"), Renames())
    for one, other in zip(left, right, strict=False):
        if names.fits(one, other):
            walk.functions(ours.name, (ours.file, mine[one]), (theirs.file, others[other]))
    for name in left[len(right) :]:
        _unlike(walk, ours, theirs, name, "not in the repo's class")
    for name in right[len(left) :]:
        _unlike(walk, ours, theirs, name, f"added in {theirs.name}")


def _unlike(walk: Alike, ours: Definition, theirs: Definition, function: str, why: str) -> None:
    walk.unlike.append(Unlike(ours.name, function, theirs.file, getattr(theirs.node, "lineno", 0), why))


def methods_of(cls: Definition) -> dict[str, ast.FunctionDef]:
    assert isinstance(cls.node, ast.ClassDef)
    return {item.name: item for item in cls.node.body if isinstance(item, ast.FunctionDef)}


def _overrides(walk: Alike, ours: Definition, theirs: Definition) -> None:
    """What a subclass says anew: submodules that its __init__ replaces, methods that it overrides."""
    inherited = methods_of(ours)
    for name, method in methods_of(theirs).items():
        if name == "__init__":
            _added(walk, ours, theirs, method)
        elif name in inherited and name not in UNHEARD:
            walk.functions(ours.name, (ours.file, inherited[name]), (theirs.file, method))
        elif name not in UNHEARD:
            _unlike(walk, ours, theirs, name, f"added in {theirs.name}")


def _added(walk: Alike, ours: Definition, theirs: Definition, method: ast.FunctionDef) -> None:
    """The statements of a subclass's __init__: those that call the base's, make a buffer, or set a part anew."""
    for statement in method.body:
        if _of_base(statement) or _local(statement) or walk.repo.unread_buffer(statement) is not None:
            continue
        target, value = _assigned(statement)
        given = _given(walk.library, ours, target) if target is not None else None
        if given is None or value is None:
            _unlike(walk, ours, theirs, "__init__", f"added: {snippet(statement)}")
            continue
        cls, native = given
        bound = (frozenset(["self", "config"]), frozenset(item.arg for item in method.args.args))
        scope = Scope(cls.name, "__init__", (cls.file, theirs.file), bound, part=target[-1] if target else "")
        walk.nodes(scope, native, value)
        if isinstance(native, ast.Call) and isinstance(native.func, ast.Name):
            walk.replaced[native.func.id] = scope.part


def _of_base(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr):
        return False
    if isinstance(statement.value, ast.Constant):
        return True
    called = snippet(statement.value.func) if isinstance(statement.value, ast.Call) else ""
    return called in ("super().__init__", "self.post_init") or called.startswith("logger.")


def _local(statement: ast.stmt) -> bool:
    """Nothing, or a name for later statements, which are looked at themselves."""
    if isinstance(statement, ast.Pass):
        return True
    return isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets)


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

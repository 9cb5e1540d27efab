"""Whether code is a copy of other code under other names: two code bases walked side by side. Nothing is executed.

What does not reach a number is left out: docstrings, annotations, logging, checks that only raise.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from porter.source.alike_effects import acting_at_import, acting_decorators, acts, is_silent, shadowed
from porter.source.alike_forms import is_device, makes_output, written_out
from porter.source.alike_names import ATTRIBUTE, KEYWORD, STRING, Given, Renames, Used, config_key
from porter.source.alike_parts import (
    OF_TENSORS,
    bound_in,
    is_original,
    is_self,
    same_external,
    set_on_self,
)
from porter.source.alike_replaced import Made, own_part
from porter.source.alike_sides import Side
from porter.source.codebase import Definition, External, Meaning, ModuleFile, snippet

__all__ = ["Alike", "Scope", "Side", "Unlike"]

MOST_PAIRS = 4000
SHOWN = 60


@dataclass(frozen=True, slots=True)
class Unlike:
    """`cls` and `function` in the library's code, `line` in the repo's file `file`."""

    cls: str
    function: str
    file: str
    line: int
    why: str
    part: str = ""
    """The submodule that a subclass puts in place of the original's."""
    layer: tuple[str, ast.expr, ast.expr] | None = None
    """(the library's attribute of self, what it sets there, what the repo does) where one such value differs."""

    def text(self) -> str:
        return f"{'.'.join(part for part in (self.cls, self.function) if part)}: {self.why}"


@dataclass(slots=True)
class Scope:
    """The pair of functions that is walked: where they stand and how their locals pair."""

    cls: str
    function: str
    files: tuple[str, str]
    bound: tuple[frozenset[str], frozenset[str]]
    locals: Renames = field(default_factory=Renames)
    part: str = ""


@dataclass(slots=True)
class Alike:
    """The walk. `classes`: library class to the repo's; `names`: by (library class, owner's text) the renames of
    attributes; `types`: by (library class, parameter) the library class of its annotation."""

    library: Side
    repo: Side
    classes: dict[str, tuple[str, str]] = field(default_factory=dict)
    names: dict[tuple[str, str], Renames] = field(default_factory=dict)
    types: dict[tuple[str, str], str] = field(default_factory=dict)
    unlike: list[Unlike] = field(default_factory=list)
    waiting: list[tuple[Definition, Definition]] = field(default_factory=list)
    done: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)
    """Library class to the part at which a subclass puts something in its place."""
    configs: dict[str, Renames] = field(default_factory=dict)
    """The renames of each config object's fields, whichever code reads them."""
    given: Given = field(default_factory=Given)
    apart: frozenset[str] = frozenset()
    """Library classes that are read by themselves, and taken here as whatever the repo has in their place."""
    made: dict[str, list[Made]] = field(default_factory=dict)
    """What the repo makes where the library makes an object of such a class."""
    compare_classes: Callable[[Alike, Definition, Definition], None] = lambda walk, ours, theirs: None
    looked_up: Callable[[ast.Call], Definition | None] = lambda call: None
    built: Callable[[ast.Call], Definition | None] = lambda call: None
    """The class of the library, or of the repo, that a call of an auto class ends in."""

    def pair(self, ours: Definition, theirs: Definition) -> bool:
        """Notes two definitions as one and the same; False when the library's is taken by another of the repo's."""
        key = (ours.file, ours.name)
        known = self.done.get(key)
        if known is not None:
            return known == (theirs.file, theirs.name)
        self.done[key] = (theirs.file, theirs.name)
        if len(self.done) < MOST_PAIRS:
            self.waiting.append((ours, theirs))
        return True

    def run(self) -> None:
        """Walks everything that was paired, and what is met on the way."""
        while self.waiting:
            ours, theirs = self.waiting.pop(0)
            if isinstance(ours.node, ast.ClassDef) and isinstance(theirs.node, ast.ClassDef):
                self.classes[ours.name] = (theirs.file, theirs.name)
                self.compare_classes(self, ours, theirs)
            elif isinstance(ours.node, ast.FunctionDef) and isinstance(theirs.node, ast.FunctionDef):
                self.functions("", (ours.file, ours.node), (theirs.file, theirs.node))
            elif type(ours.node) is type(theirs.node):
                bound = (frozenset(bound_in(ours.node)), frozenset(bound_in(theirs.node)))
                self.nodes(Scope("", ours.name, (ours.file, theirs.file), bound), ours.node, theirs.node)
            else:
                scope = Scope("", ours.name, (ours.file, theirs.file), (frozenset(), frozenset()))
                self.differs(scope, theirs.node, f"{ours.name} against {theirs.name}")
        self.settle()

    def settle(self) -> None:
        """What only the whole walk can tell: names used otherwise than they are given, and what acts at import."""
        for item in self.given.contradicted((self.library.own, self.repo.own)):
            cls, function, file = item.where
            why = f"{item.kind} {item.ours} against {item.theirs}"
            self.unlike.append(Unlike(cls, function, file, getattr(item.node, "lineno", 0), why))
        for path, statement in acting_at_import(self.repo.code, sorted({file for file, _ in self.done.values()})):
            why = f"acts at import: {snippet(statement, SHOWN)}"
            self.unlike.append(Unlike("", "", path, getattr(statement, "lineno", 0), why))

    def differs(self, scope: Scope, theirs: ast.AST | None, why: str) -> None:
        line = getattr(theirs, "lineno", 0)
        self.unlike.append(Unlike(scope.cls, scope.function, scope.files[1], line, why, scope.part))

    def functions(self, cls: str, ours: tuple[str, ast.FunctionDef], theirs: tuple[str, ast.FunctionDef]) -> None:
        """Two functions, statement by statement; the first difference ends it."""
        bound = (frozenset(bound_in(ours[1])), frozenset(bound_in(theirs[1])))
        scope = Scope(cls, ours[1].name, (ours[0], theirs[0]), bound)
        if self.undecorated(scope, ours[1], theirs[1]) and self.parameters(scope, ours[1].args, theirs[1].args):
            self.bodies(scope, ours[1].body, theirs[1].body, theirs[1])

    def undecorated(self, scope: Scope, ours: ast.FunctionDef, theirs: ast.FunctionDef) -> bool:
        """Whether nothing above or inside of a function changes what its statements say."""
        path, native = scope.files[1], ours.decorator_list
        found = [*acting_decorators(self.repo.code, path, theirs, native), *shadowed(self.repo.code, path, theirs)]
        for item in found[:1]:
            self.differs(scope, item, f"{theirs.name} has {snippet(item, SHOWN)}")
        return not found

    def parameters(self, scope: Scope, ours: ast.arguments, theirs: ast.arguments) -> bool:
        for kind in ("posonlyargs", "args", "kwonlyargs"):
            if not self.arguments(scope, getattr(ours, kind), getattr(theirs, kind)):
                self.differs(scope, theirs, f"parameters ({snippet(ours, SHOWN)}) against ({snippet(theirs, SHOWN)})")
                return False
        defaults = [*ours.defaults, *ours.kw_defaults], [*theirs.defaults, *theirs.kw_defaults]
        return self.sequences(scope, defaults[0], defaults[1], theirs)

    def arguments(self, scope: Scope, ours: list[ast.arg], theirs: list[ast.arg]) -> bool:
        if len(ours) != len(theirs):
            return False
        for mine, other in zip(ours, theirs, strict=True):
            self.annotated(scope, mine, other)
            if not scope.locals.fits(mine.arg, other.arg):
                return False
            self.given.parameters.add((mine.arg, other.arg))
        return True

    def annotated(self, scope: Scope, ours: ast.arg, theirs: ast.arg) -> None:
        """Classes that both sides name as the type of a parameter are a pair too: config classes are met so."""
        if isinstance(ours.annotation, ast.Name):
            mine = self.library.code.meaning(scope.files[0], ours.annotation.id)
            if isinstance(mine, Definition):
                self.types[(scope.cls, ours.arg)] = mine.name
                other = theirs.annotation
                found = self.repo.code.meaning(scope.files[1], other.id) if isinstance(other, ast.Name) else None
                if isinstance(found, Definition):
                    self.pair(mine, found)

    def bodies(self, scope: Scope, ours: list[ast.stmt], theirs: list[ast.stmt], where: ast.AST) -> bool:
        mine, others = self.telling(ours, self.library), self.telling(theirs, self.repo)
        for left, right in zip(mine, others, strict=False):
            if own_part(self, scope, left, right):
                continue
            if not self.nodes(scope, left, right) and not self.one_layer(left, right):
                return False
        if len(mine) != len(others):
            more = (mine if len(mine) > len(others) else others)[min(len(mine), len(others))]
            side = "left out" if len(mine) > len(others) else "added"
            self.differs(scope, where if side == "left out" else more, f"{side}: {snippet(more, SHOWN)}")
        return len(mine) == len(others)

    def one_layer(self, ours: ast.stmt, theirs: ast.stmt) -> bool:
        """Whether two statements that differ each set one attribute of self: what follows can be compared still."""
        left, right = set_on_self(ours), set_on_self(theirs)
        if left is None or right is None:
            return False
        self.unlike[-1] = replace(self.unlike[-1], layer=(left[0], left[1], right[1]))
        return True

    def telling(self, body: Sequence[ast.stmt], side: Side) -> list[ast.stmt]:
        """The statements that reach a number."""
        return [item for item in body if not is_silent(item, side.own) and not self.unread(side, item)]

    def unread(self, side: Side, item: ast.stmt) -> bool:
        """Whether it is a buffer that no code reads; what the repo registers, the library's code may read."""
        name = side.unread_buffer(item)
        return name is not None and (side is self.library or name not in self.library.read)

    def nodes(self, scope: Scope, ours: ast.AST, theirs: ast.AST) -> bool:
        """Two nodes; whoever finds a difference notes it and answers False."""
        known = _KINDS.get(type(ours))
        if type(ours) is not type(theirs):
            return self.no(scope, ours, theirs)
        return known(self, scope, ours, theirs) if known is not None else self.fields(scope, ours, theirs)

    def no(self, scope: Scope, ours: ast.AST, theirs: ast.AST) -> bool:
        self.differs(scope, theirs, f"{snippet(ours, SHOWN)} against {snippet(theirs, SHOWN)}")
        return False

    def fields(self, scope: Scope, ours: ast.AST, theirs: ast.AST) -> bool:
        for name in ours._fields:
            if name in ("ctx", "type_comment", "returns", "decorator_list", "annotation"):
                continue
            mine, other = getattr(ours, name, None), getattr(theirs, name, None)
            if isinstance(mine, list) and isinstance(other, list):
                inner = self.bodies if name in ("body", "orelse", "finalbody") else self.sequences
                same = inner(scope, mine, other, theirs)
            elif isinstance(mine, ast.AST) and isinstance(other, ast.AST):
                same = self.nodes(scope, mine, other)
            else:
                same = mine == other or self.no(scope, ours, theirs)
            if not same:
                return False
        return True

    def sequences(
        self, scope: Scope, ours: Sequence[ast.AST | None], theirs: Sequence[ast.AST | None], where: ast.AST
    ) -> bool:
        if len(ours) != len(theirs):
            self.differs(scope, where, f"{len(ours)} against {len(theirs)} in {snippet(where, SHOWN)}")
            return False
        for mine, other in zip(ours, theirs, strict=True):
            if isinstance(mine, ast.AST) and isinstance(other, ast.AST):
                if not self.nodes(scope, mine, other):
                    return False
            elif mine != other:
                return self.no(scope, where, where)
        return True

    def same_name(self, scope: Scope, ours: ast.Name, theirs: ast.Name) -> bool:
        if ours.id in scope.bound[0] or theirs.id in scope.bound[1]:
            both = ours.id in scope.bound[0] and theirs.id in scope.bound[1]
            return (both and scope.locals.fits(ours.id, theirs.id)) or self.no(scope, ours, theirs)
        mine = self.library.code.meaning(scope.files[0], ours.id)
        other = self.repo.code.meaning(scope.files[1], theirs.id)
        return self.same_meaning(mine, other, (ours.id, theirs.id)) or self.no(scope, ours, theirs)

    def same_meaning(self, ours: Meaning | None, theirs: Meaning | None, spelled: tuple[str, str]) -> bool:
        if ours is None or theirs is None or isinstance(ours, ModuleFile) or isinstance(theirs, ModuleFile):
            return ours is None and theirs is None and spelled[0] == spelled[1]
        if isinstance(theirs, External):
            if isinstance(ours, Definition):
                return is_original(ours.file, ours.name, theirs.dotted)
            return same_external(ours.dotted, theirs.dotted)
        return isinstance(ours, Definition) and self.pair(ours, theirs)

    def same_attribute(self, scope: Scope, ours: ast.Attribute, theirs: ast.Attribute) -> bool:
        if is_device(ours) and is_device(theirs):  # where a tensor is held reaches no number
            return True
        outside = [self.external(scope, node, side) for side, node in enumerate((ours, theirs))]
        if outside[0] is not None or outside[1] is not None:
            same = None not in outside and same_external(str(outside[0]), str(outside[1]))
            return same or self.no(scope, ours, theirs)
        if not self.nodes(scope, ours.value, theirs.value):
            return False
        renamed = ours.attr != theirs.attr
        if renamed and not (ours.attr in self.library.own and theirs.attr in self.repo.own):
            return self.no(scope, ours, theirs)
        if renamed and {ours.attr, theirs.attr} & OF_TENSORS and not is_self(ours.value):
            return self.no(scope, ours, theirs)
        names = self.names.setdefault((scope.cls, snippet(ours.value, SHOWN)), Renames())
        return (names.fits(ours.attr, theirs.attr) and self.met(scope, ours, theirs)) or self.no(scope, ours, theirs)

    def met(self, scope: Scope, ours: ast.Attribute, theirs: ast.Attribute) -> bool:
        """Whether a config's attribute is called what other code calls it; of the rest the end of the walk tells."""
        key = config_key(snippet(ours.value, SHOWN), scope.cls, self.types)
        if key is None and not is_self(ours.value):
            self.use(ATTRIBUTE, scope, (ours.attr, theirs.attr), theirs)
            return True
        self.given.attributes.add((ours.attr, theirs.attr))
        return key is None or self.configs.setdefault(key, Renames()).fits(ours.attr, theirs.attr)

    def use(self, kind: str, scope: Scope, names: tuple[str, str], theirs: ast.AST) -> None:
        self.given.used.append(Used(kind, *names, (scope.cls, scope.function, scope.files[1]), theirs))

    def external(self, scope: Scope, node: ast.AST, side: int) -> str | None:
        """The dotted name of something outside of both code bases, such as torch.nn.Linear."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in scope.bound[side]:
            return None
        found = (self.library, self.repo)[side].code.meaning(scope.files[side], node.id)
        return ".".join([found.dotted, *reversed(parts)]) if isinstance(found, External) else None

    def same_call(self, scope: Scope, ours: ast.Call, theirs: ast.Call) -> bool:
        named = self.spelled_out(scope, ours, theirs)
        if named is not None:
            given = [[*call.args, *(item.value for item in call.keywords)] for call in (ours, theirs)]
            return named and self.sequences(scope, given[0], given[1], theirs)
        if not self.nodes(scope, ours.func, theirs.func) or not self.sequences(scope, ours.args, theirs.args, theirs):
            return False
        mine, other = ours.keywords, theirs.keywords
        if {item.arg for item in mine} == {item.arg for item in other}:
            order = [item.arg for item in mine]
            other = sorted(other, key=lambda item: order.index(item.arg))
        if len(mine) != len(other):
            return self.no(scope, ours, theirs)
        outside = self.external(scope, ours.func, 0) is not None
        aside = self.library.aside & self.repo.aside if makes_output(self.library.code, scope.files[0], ours) else ()
        for left, right in zip(mine, other, strict=True):
            told = left.arg in aside and right.arg == left.arg and not acts(right.value, self.repo.own)
            if not told and not self.same_keyword(scope, left, right, outside):
                return False
        return True

    def spelled_out(self, scope: Scope, ours: ast.Call, theirs: ast.Call) -> bool | None:
        """Whether the class that the library looks up by a config is what the repo names; None for other calls."""
        if not (self.external(scope, ours.func, 0) or "").endswith(".AutoModel.from_config"):
            return None
        if (self.external(scope, theirs.func, 1) or "").endswith(".AutoModel.from_config"):
            meant = self.built(theirs)
        else:
            meant = self.named(scope, theirs.func)
        if meant is None:
            return None
        found = self.looked_up(ours)
        return (found is not None and self.pair(found, meant)) or self.no(scope, ours, theirs)

    def named(self, scope: Scope, func: ast.expr) -> Definition | None:
        """The class of the repo that a call makes, by itself or from a config."""
        inner = func.value if isinstance(func, ast.Attribute) and func.attr in ("_from_config", "from_config") else func
        meant = self.repo.code.meaning(scope.files[1], inner.id) if isinstance(inner, ast.Name) else None
        return meant if isinstance(meant, Definition) else None

    def same_keyword(self, scope: Scope, ours: ast.keyword, theirs: ast.keyword, outside: bool) -> bool:
        own = not outside and ours.arg in self.library.own and theirs.arg in self.repo.own
        if ours.arg != theirs.arg and not own:
            return self.no(scope, ours, theirs)
        if not outside and ours.arg is not None and theirs.arg is not None:
            self.use(KEYWORD, scope, (ours.arg, theirs.arg), theirs)
        if outside and ours.arg == "size":
            return self.nodes(scope, written_out(ours.value), written_out(theirs.value))
        return self.nodes(scope, ours.value, theirs.value)

    def same_constant(self, scope: Scope, ours: ast.Constant, theirs: ast.Constant) -> bool:
        mine, other = ours.value, theirs.value
        if type(mine) is type(other) and mine == other:
            return True
        if not (isinstance(mine, str) and isinstance(other, str)):
            return self.no(scope, ours, theirs)
        self.use(STRING, scope, (mine, other), theirs)
        return (mine in self.library.own and other in self.repo.own) or self.no(scope, ours, theirs)

    def same_subscript(self, scope: Scope, ours: ast.Subscript, theirs: ast.Subscript) -> bool:
        """Keys of a table of elsewhere, such as ACT2FN, are nobody's to choose."""
        keys = [item.slice.value if isinstance(item.slice, ast.Constant) else None for item in (ours, theirs)]
        if keys[0] != keys[1] and self.external(scope, ours.value, 0) is not None:
            return self.no(scope, ours, theirs)
        return self.fields(scope, ours, theirs)

    def same_annotated(self, scope: Scope, ours: ast.AnnAssign, theirs: ast.AnnAssign) -> bool:
        if ours.value is None or theirs.value is None:
            return ours.value is theirs.value or self.no(scope, ours, theirs)
        return self.nodes(scope, ours.target, theirs.target) and self.nodes(scope, ours.value, theirs.value)

    def same_nested(self, scope: Scope, ours: ast.FunctionDef, theirs: ast.FunctionDef) -> bool:
        return self.undecorated(scope, ours, theirs) and self.fields(scope, ours, theirs)

    def same_inner(self, scope: Scope, ours: ast.arg, theirs: ast.arg) -> bool:
        return scope.locals.fits(ours.arg, theirs.arg) or self.no(scope, ours, theirs)


_KINDS: Mapping[type, Callable[..., bool]] = {
    ast.Name: Alike.same_name,
    ast.Attribute: Alike.same_attribute,
    ast.Call: Alike.same_call,
    ast.Constant: Alike.same_constant,
    ast.Subscript: Alike.same_subscript,
    ast.AnnAssign: Alike.same_annotated,
    ast.arg: Alike.same_inner,
    ast.FunctionDef: Alike.same_nested,
}

"""Where a copy's tensors go: its names as the original's, by the classes that were met as pairs, then as the tree maps
those."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Union

from porter.source.alike import Alike
from porter.source.alike_classes import lineage, methods_of
from porter.source.codebase import Definition, External
from porter.weights.mapper import NameRules

LISTS = ("ModuleList",)
OUTSIDE: Literal["outside"] = "outside"
Part = Union[Definition, Literal["outside"], None]
"""What stands at an attribute: a class of the original's files, a model of elsewhere, or a layer or value of torch."""


@dataclass(slots=True)
class Modules:
    """The original's modules by class, read from what `__init__` sets on self."""

    walk: Alike
    known: dict[str, dict[str, Part]] = field(default_factory=dict)

    def children(self, cls: Definition) -> dict[str, Part]:
        """Attribute to the class of what stands there."""
        if cls.name not in self.known:
            self.known[cls.name] = {}
            for item in lineage(self.walk.library.code, cls):
                init = methods_of(item).get("__init__")
                for name, value in assigned(init) if init is not None else ():
                    self.known[cls.name].setdefault(name, self._class(item, value))
        return self.known[cls.name]

    def listed(self, cls: Definition) -> frozenset[str]:
        """The attributes at which lists of modules stand."""
        made = (
            assigned(init)
            for item in lineage(self.walk.library.code, cls)
            if (init := methods_of(item).get("__init__"))
        )
        return frozenset(name for pairs in made for name, value in pairs if _is_list(value))

    def _class(self, owner: Definition, value: ast.expr) -> Part:
        """The class that an expression makes an object, or a list of objects, of."""
        if not isinstance(value, ast.Call):
            return None
        if _is_list(value) and value.args:
            made = value.args[0]
            return self._class(owner, made.elt) if isinstance(made, ast.ListComp) else None
        func = value.func
        if isinstance(func, ast.Attribute) and func.attr in ("_from_config", "from_config"):
            func = func.value
        meant = self.walk.library.code.meaning(owner.file, func.id) if isinstance(func, ast.Name) else None
        if isinstance(meant, Definition):
            return meant if isinstance(meant.node, ast.ClassDef) else None
        found = self.walk.looked_up(value)
        elsewhere = isinstance(meant, External) and not meant.dotted.startswith("torch")
        return found if found is not None else OUTSIDE if elsewhere else None

    def name_of(self, root: Definition, name: str) -> str | None:
        """A tensor's name in the repo as the original calls it; None inside a model of elsewhere in transformers."""
        cls: Part = root
        found: list[str] = []
        for part in name.split("."):
            if cls == OUTSIDE:
                return None
            if not isinstance(cls, Definition) or part.isdigit() or cls.name in self.walk.apart:
                found.append(part)
                continue
            own = self.theirs(cls).get(part, part)
            found.append(own)
            cls = self.children(cls).get(own)
        return ".".join(found)

    def theirs(self, cls: Definition) -> dict[str, str]:
        """The repo's attribute names by class, as the original's."""
        found: dict[str, str] = {}
        for item in lineage(self.walk.library.code, cls):
            names = self.walk.names.get((item.name, "self"))
            for other, mine in (names.back if names is not None else {}).items():
                found.setdefault(other, mine)
        return found


def _is_list(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in LISTS


def assigned(init: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(init):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                    yield target.attr, node.value


def misplaced(places: Mapping[str, str], rules: NameRules) -> str | None:
    """What a mapper by these rules gets wrong of where tensors are known to go, in words; None when nothing."""
    for name, place in places.items():
        if rules.apply(name) != place:
            return f"no rename of text takes each tensor to its place: {name} is {place}"
    return None


def swapped(walk: Alike) -> str | None:
    """A module whose name in the repo is that of another of the original's class, in words; None when there is none."""
    for (cls, owner), names in walk.names.items():
        for mine, other in names.there.items() if owner == "self" else ():
            if mine != other and other in names.there:
                return f"{cls}.{mine} is called {other} here, and no stored names are seen that would tell them apart"
    return None

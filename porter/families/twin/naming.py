"""What the port's config calls a value that the repo's code reads of its own: the original's names, and keys that the
repo alone has."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from porter.families.twin.configs import PartMap, attributes, fields, literal, sub_configs
from porter.families.twin.original import Original
from porter.jsontypes import JSON, JSONObject
from porter.planning.names import is_name
from porter.source.alike import Alike
from porter.source.codebase import Definition
from porter.source.symbols import Same, Unread, config_at, nothing, path_of
from porter.source.values import Val, plain

SCALARS = (bool, int, float, str)


@dataclass(frozen=True, slots=True)
class Naming:
    """`held` is the repo's config object as its code was seen to make it."""

    walk: Alike
    found: Original
    parts: tuple[PartMap, ...]
    document: JSONObject
    held: object
    same: Same = nothing
    """Which class of the library a class of the repo is a copy of."""

    def attribute(self, path: tuple[str, ...], name: str) -> ast.expr | None:
        """What `name` of the config object at a path is; None where nothing gives it. Raises Unread when in doubt."""
        part = self._part(path)
        back = {repo: mine for mine, repo in part.renames.items()}
        if not path:
            back |= {item.key: item.name for item in self.parts[1:] if item.key != item.name}
        native = self._native(path)
        inside = self._inside(part)
        if name in back:
            if native is None or name in native:
                raise Unread(f"{name} may be two things of the config")
            return config_at((*path, back[name]))
        if native is None or name in native:
            if name in part.renames and name in inside:
                raise Unread(f"{name} may be two things of the config")
            return config_at((*path, name))
        return self._extra(path, part, name)

    def value(self, path: tuple[str, ...]) -> JSON:
        """The value of a config attribute in the port's names; None where it is not known."""
        part, name = self._part(path[:-1]), path[-1]
        inside, key = self._inside(part), part.renames.get(path[-1], path[-1])
        for stated, table in ((name, part.forced), (key, inside), (name, part.given)):
            if stated in table:
                return table[stated]
        return literal((self._native(path[:-1]) or {}).get(name))[1]

    def _part(self, path: tuple[str, ...]) -> PartMap:
        name = path[0] if path else ""
        found = next((item for item in self.parts if item.name == name), None)
        if len(path) > 1 or found is None:
            raise Unread(f"config.{'.'.join(path)} is no config object that is known")
        return found

    def _inside(self, part: PartMap) -> Mapping[str, JSON]:
        inside = self.document.get(part.key) if part.name else self.document
        return inside if isinstance(inside, dict) else {}

    def _native(self, path: tuple[str, ...]) -> Mapping[str, ast.expr | None] | None:
        """The fields of the original's config class at a path; None for one of elsewhere."""
        parts = sub_configs(self.walk.library, self.found.config)
        cls: Definition | None = parts.get(path[0]) if path else self.found.config
        known = fields(self.walk.library, cls) if cls is not None else None
        return {**dict.fromkeys(parts), **known} if known is not None and not path else known

    def _extra(self, path: tuple[str, ...], part: PartMap, name: str) -> ast.expr | None:
        """A value that only the repo's config has: read by its key where it stands in config.json, else put in."""
        stated = self._inside(part)
        seen = self._held(part).get(name)
        if seen is not None and not seen.known:
            raise Unread(f"{name} of the config could not be read")
        value = plain(seen) if seen is not None else None
        if name in stated and is_name(name) and (seen is None or value == stated[name]):
            return config_at((*path, name))
        return ast.Constant(value) if seen is not None and isinstance(value, SCALARS) else None

    def _held(self, part: PartMap) -> Mapping[str, Val]:
        if not part.name:
            return attributes(self.held)
        inner = attributes(self.held).get(part.key) or attributes(self.held).get(part.name)
        return attributes(inner.value) if inner is not None else {}


TYPES: Mapping[str, type] = {"int": int, "float": float, "list": list, "tuple": tuple, "str": str}


def said(naming: Naming, node: ast.expr) -> str:
    """An expression over the config as code, without what the repo's values decide."""
    short = _Decided(naming).visit(ast.parse(ast.unparse(ast.fix_missing_locations(node)), mode="eval").body)
    return ast.unparse(short).replace("'", '"').replace(" ** ", "**")


class _Decided(ast.NodeTransformer):
    """Choices by the type of a config value, and factors of one that are left of them, are taken out."""

    def __init__(self, naming: Naming) -> None:
        self.naming = naming

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        kind = self._kind(node.test)
        chosen = node if kind is None else node.body if kind else node.orelse
        return self.generic_visit(node) if chosen is node else self.visit(chosen)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        one = isinstance(node.right, ast.Constant) and node.right.value == 1 and type(node.right.value) is int
        return node.left if one and isinstance(node.op, ast.Mult) else node

    def _kind(self, test: ast.expr) -> bool | None:
        if not isinstance(test, ast.Call) or ast.unparse(test.func) != "isinstance" or len(test.args) != 2:
            return None
        path, stated = path_of(test.args[0]), test.args[1]
        value = self.naming.value(path) if path else None
        kind = TYPES.get(stated.id) if isinstance(stated, ast.Name) else None
        single = isinstance(value, SCALARS)  # a list of JSON may be another sequence in the config object
        return isinstance(value, kind) if single and kind is not None else None

"""Config objects of the original and of the repo: which key of the repo holds each field of the original."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from porter.families.library import Library
from porter.families.twin.original import Original
from porter.jsontypes import JSON, JSONObject
from porter.source.alike import Alike, Side
from porter.source.alike_classes import lineage, methods_of
from porter.source.codebase import Definition
from porter.source.values import Instance, LibraryConfig, Val, is_plain, plain

NO_FIELDS = frozenset({"model_type", "architectures", "auto_map", "torch_dtype", "dtype", "transformers_version"})


@dataclass(frozen=True, slots=True)
class PartMap:
    """One config object: `name` is the original's key of it ("" for the root), `key` the repo's.

    `renames` is field of the original to the repo's key, `given` what the repo's class says where its JSON is silent;
    `model_type` the original's where the part has a class of its own, None where it is looked up.
    """

    name: str
    key: str
    model_type: str | None
    renames: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, JSON] = field(default_factory=dict)
    forced: Mapping[str, JSON] = field(default_factory=dict)
    """Values that the repo's config class sets whatever the JSON says."""
    open: tuple[str, ...] = ()
    """Fields whose value its config class was not seen to set."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A config class of the original and the repo's, None where the repo uses the original's own."""

    ours: Definition
    theirs: Definition | None


def part_maps(
    walk: Alike, found: Original, config: Definition | None, document: JSONObject, held: object
) -> list[PartMap]:
    """The root first, then each part that the original's config lists; `held` is the config object as the repo's code
    was seen to make it."""
    root = _map("", "", None, Pair(found.config, config), walk, document)
    seen = followed(held, "")
    root = replace(root, renames={**root.renames, **{mine: other for mine, other in seen.items() if mine != other}})
    root = _checked(root, held, document, walk, found.config)
    maps = [root]
    for name, cls in sub_configs(walk.library, found.config).items():
        key = root.renames.get(name, name)
        inner = attributes(held).get(name)
        prefix = _prefix(inner)
        if prefix is not None and key not in document:
            key = prefix
        inside = document.get(key)
        part = inside if isinstance(inside, dict) else {}
        pair = Pair(cls, _paired(walk, cls, config, key)) if cls is not None else None
        if pair is None:
            maps.append(PartMap(name, key, None))
        else:
            made = _map(name, key, model_type_of(cls), pair, walk, part)
            more = followed(inner.value, f"{key}.") if inner is not None else {}
            changed = {mine: other for mine, other in more.items() if mine != other}
            made = replace(made, renames={**made.renames, **changed})
            assert cls is not None
            maps.append(_checked(made, inner.value if inner is not None else None, part, walk, cls))
    return maps


def _checked(part: PartMap, held: object, document: JSONObject, walk: Alike, cls: Definition) -> PartMap:
    """The part with the values that the config class was seen to set otherwise than its JSON says."""
    forced: dict[str, JSON] = {}
    unseen: list[str] = []
    for name in fields(walk.library, cls):
        value = attributes(held).get(name)
        key = part.renames.get(name, name)
        if value is None or name in NO_FIELDS or isinstance(value.value, (LibraryConfig, Instance, dict)):
            continue
        seen = plain(value)
        if not value.known or not is_plain(seen):
            unseen.append(name)
        elif (key in document and document[key] != seen) or (key not in document and _sets(value)):
            forced[name] = seen
    return replace(part, forced=forced, open=tuple(unseen))


def _sets(value: Val) -> bool:
    """Whether it is a value that some code states, and no default of the library."""
    return any(item.file.endswith(".py") and not item.file.startswith("transformers/") for item in value.src)


def attributes(held: object) -> Mapping[str, Val]:
    if isinstance(held, Instance):
        return held.attrs
    return held.values if isinstance(held, LibraryConfig) else {}


def followed(held: object, prefix: str) -> dict[str, str]:
    """Attribute to the key of config.json right behind `prefix` that its value was seen to come from."""
    found: dict[str, str] = {}
    for name, value in attributes(held).items():
        places = [item.where for item in value.src if item.file == "config.json" and item.where.startswith(prefix)]
        keys = [place.removeprefix(prefix) for place in places]
        if len(keys) == 1 and keys[0] and "." not in keys[0]:
            found[name] = keys[0]
    return found


def _prefix(part: Val | None) -> str | None:
    """The key of config.json under which the values of a part stand."""
    places = [item.where for value in attributes(part.value).values() for item in value.src] if part else []
    heads = {place.partition(".")[0] for place in places if "." in place}
    return heads.pop() if len(heads) == 1 else None


def sub_configs(side: Side, cls: Definition) -> dict[str, Definition | None]:
    """The parts that a config class lists; None for one that is looked up by its model_type."""
    table = class_values(cls).get("sub_configs")
    found: dict[str, Definition | None] = {}
    pairs = zip(table.keys, table.values, strict=True) if isinstance(table, ast.Dict) else ()
    for key, value in pairs:
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and isinstance(value, ast.Name):
            meant = side.code.meaning(cls.file, value.id)
            found[key.value] = meant if isinstance(meant, Definition) else None
    return found


def class_values(cls: Definition) -> dict[str, ast.expr | None]:
    """What a class body assigns, annotated names without a value included."""
    assert isinstance(cls.node, ast.ClassDef)
    found: dict[str, ast.expr | None] = {}
    for item in cls.node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            found[item.target.id] = item.value
        elif isinstance(item, ast.Assign):
            found.update({target.id: item.value for target in item.targets if isinstance(target, ast.Name)})
    return found


def fields(side: Side, cls: Definition) -> dict[str, ast.expr | None]:
    """Fields of a config class with their defaults: annotated names, parameters of `__init__`, those of its bases."""
    found: dict[str, ast.expr | None] = {}
    for item in reversed([*lineage(side.code, cls)]):
        found.update(_own_fields(item))
    return found


def _own_fields(cls: Definition) -> dict[str, ast.expr | None]:
    assert isinstance(cls.node, ast.ClassDef)
    annotated = [item for item in cls.node.body if isinstance(item, ast.AnnAssign)]
    found = {item.target.id: item.value for item in annotated if isinstance(item.target, ast.Name)}
    init = methods_of(cls).get("__init__")
    if init is not None:
        plain = init.args.args[1:]
        missing = [None] * max(0, len(plain) - len(init.args.defaults))
        found.update({arg.arg: value for arg, value in zip(plain, [*missing, *init.args.defaults], strict=False)})
    return found


def _paired(walk: Alike, cls: Definition, config: Definition | None, key: str) -> Definition | None:
    """The repo's class of a part: the one met beside the original's, or the one that its own config lists."""
    met = walk.classes.get(cls.name)
    found = walk.repo.code.meaning(*met) if met is not None else None
    if isinstance(found, Definition):
        return found
    return sub_configs(walk.repo, config).get(key) if config is not None else None


def model_type_of(cls: Definition | None) -> str | None:
    value = class_values(cls).get("model_type") if cls is not None else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _map(name: str, key: str, model_type: str | None, pair: Pair, walk: Alike, document: JSONObject) -> PartMap:
    ours = fields(walk.library, pair.ours)
    theirs = fields(walk.repo, pair.theirs) if pair.theirs is not None else {}
    renames = {**_used(walk, pair.ours, ours, {*theirs, *document}), **_said(walk, pair)}
    more = _elsewhere(walk, ours, theirs, document)
    renames = {**renames, **{mine: other for mine, other in more.items() if mine not in renames}}
    renames = {mine: other for mine, other in renames.items() if mine != other}
    given: dict[str, JSON] = {}
    for attribute, default in ours.items():
        stated = renames.get(attribute, attribute)
        said, value = literal(theirs.get(stated))
        usual, native = literal(default)
        if stated not in document and said and usual and value != native and attribute not in NO_FIELDS:
            given[attribute] = value
    return PartMap(name, key, model_type, renames, given)


def respelled_keys(library: Library, config: str, document: JSONObject) -> dict[str, str]:
    """Field of another config class of transformers to the key of config.json that is one of its other names."""
    for model_type, name in library.configs.items():
        path = library.file(model_type, "configuration") if name == config else None
        found = library.code.meaning(path, config) if path is not None else None
        if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
            return {field: other for other, field in _aliases(found).items() if other in document}
    return {}


def literal(node: ast.expr | None) -> tuple[bool, JSON]:
    """(whether it is a plain value, the value)."""
    try:
        return (True, ast.literal_eval(node)) if node is not None else (False, None)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False, None


def _used(walk: Alike, cls: Definition, ours: Mapping[str, object], known: set[str]) -> dict[str, str]:
    """Renames met where the two sides' model code reads this config; `known` are the repo's names of its fields."""
    found: dict[str, str] = {}
    for (owner, base), names in walk.names.items():
        if _about(walk, owner, base, cls, ours, names.there):
            found.update({mine: other for mine, other in names.there.items() if mine in ours and other in known})
    return found


def _elsewhere(
    walk: Alike, ours: Mapping[str, ast.expr | None], theirs: Mapping[str, ast.expr | None], document: JSONObject
) -> dict[str, str]:
    """Renames of fields that only config classes read, met where the model code reads another part: a key of the repo
    that the original has not, with the default of the field that the repo lacks."""
    found: dict[str, str] = {}
    for mine, default in ours.items():
        others = {names.there[mine] for names in walk.names.values() if mine in names.there} - {mine}
        known = {other for other in others if other in document and other in theirs and other not in ours}
        if len(known) == 1 and mine not in theirs and mine not in document:
            (other,) = known
            if default is not None and literal(default) == literal(theirs[other]):
                found[mine] = other
    return found


def _about(
    walk: Alike, owner: str, base: str, cls: Definition, ours: Mapping[str, object], there: Mapping[str, str]
) -> bool:
    """Whether an expression of the original's code stands for a config of this class."""
    head, _, last = base.rpartition(".")
    typed = walk.types.get((owner, "config"))
    if last == "config" and head in ("", "self"):
        stated = typed is not None and walk.library.code.meaning(cls.file, typed) is not None
        renamed = [mine for mine, other in there.items() if mine != other]
        return typed == cls.name if stated and _holds(walk, typed, renamed) else all(mine in ours for mine in renamed)
    return any(last == name and part is not None and part.name == cls.name for name, part in _parts(walk))


def _holds(walk: Alike, name: str | None, attributes: list[str]) -> bool:
    found = next((item for file in walk.library.code.files() if (item := file.definitions.get(str(name)))), None)
    if not isinstance(found, ast.ClassDef):
        return False
    held = fields(walk.library, Definition("", str(name), found))
    return all(attribute in held for attribute in attributes)


def _parts(walk: Alike) -> Iterator[tuple[str, Definition | None]]:
    for file in walk.library.code.files():
        for name, node in file.definitions.items():
            if isinstance(node, ast.ClassDef):
                yield from sub_configs(walk.library, Definition(file.path, name, node)).items()


def _said(walk: Alike, pair: Pair) -> dict[str, str]:
    """Renames that the repo's config class states as its `attribute_map`: of a field, or of another name for one."""
    if pair.theirs is None:
        return {}
    native, known = fields(walk.library, pair.ours), _aliases(pair.ours)
    stated = {known.get(mine, mine): other for mine, other in _aliases(pair.theirs).items()}
    return {mine: other for mine, other in stated.items() if mine in native}


def _aliases(cls: Definition) -> dict[str, str]:
    said, value = literal(class_values(cls).get("attribute_map"))
    return {str(mine): str(other) for mine, other in value.items()} if said and isinstance(value, dict) else {}

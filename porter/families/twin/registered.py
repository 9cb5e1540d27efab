"""Classes that a repo makes known to transformers' auto classes: what `AutoModel.from_config` builds from then on."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from porter.families.twin.configs import sub_configs
from porter.source.alike import Alike, Side, Unlike
from porter.source.alike_effects import registrations
from porter.source.codebase import Definition, snippet


def registered(side: Side, roots: Iterable[Definition]) -> Mapping[tuple[str, str], Definition]:
    """Config class (file, name) to the model class that the code registers for it."""
    found: dict[tuple[str, str], Definition] = {}
    for path, call in registrations(side.code, [root.file for root in roots]):
        config, model = (_defined(side, path, item) for item in call.args)
        if config is not None and model is not None and snippet(call.func) == "AutoModel.register":
            found[config.file, config.name] = model
    return found


def built(
    side: Side, config: Definition, known: Mapping[tuple[str, str], Definition], call: ast.Call
) -> Definition | None:
    """The class of the repo that a call of `AutoModel.from_config` builds; None where none is registered for it."""
    cls = sub_configs(side, config).get(part_of(call))
    return known.get((cls.file, cls.name)) if cls is not None else None


def part_of(call: ast.Call) -> str:
    """The part of the config that a call of an auto class is given, "" where it is given another value."""
    given = next((item for item in (*call.args, *(keyword.value for keyword in call.keywords))), None)
    return given.attr if isinstance(given, ast.Attribute) else ""


def unmet(walk: Alike) -> Iterator[Unlike]:
    """What the repo registers and the walk did not come to: nobody can tell what builds it."""
    for path, call in registrations(walk.repo.code, sorted({file for file, _ in walk.done.values()})):
        model = _defined(walk.repo, path, call.args[1])
        if model is None or (model.file, model.name) not in walk.done.values():
            yield Unlike("", "", path, call.lineno, f"registers {snippet(call)}")


def _defined(side: Side, path: str, node: ast.expr) -> Definition | None:
    meant = side.code.meaning(path, node.id) if isinstance(node, ast.Name) else None
    return meant if isinstance(meant, Definition) else None

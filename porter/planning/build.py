"""From a verdict to a plan: the spec of its match, rendered for one target. Nothing here touches a disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from porter.changes.manifest import build_manifest
from porter.errors import Refused
from porter.facts.reading import RepoReading, bounded
from porter.families.base import Verdict
from porter.hub.snapshot import TensorInfo
from porter.jsontypes import JSON
from porter.planning.plan import OpenItem, Plan
from porter.planning.plugin import plugin_files
from porter.planning.spec import PortSpec
from porter.source.layers import parameters
from porter.vllm_tree.tree import Tree
from porter.weights.mapper import NameRules


@dataclass(frozen=True, slots=True)
class PortOptions:
    """`own_config`: True or False forces the port's own config class or the repo's; None lets the target decide."""

    layout: Literal["plugin", "tree"]
    own_config: bool | None = None
    repo_id: str | None = None
    overrides: Mapping[str, JSON] = field(default_factory=dict)


def plan_port(
    reading: RepoReading,
    verdict: Verdict,
    tree: Tree,
    target: Path,
    options: PortOptions,
    rules: NameRules | None = None,
) -> Plan:
    """The plan of a port. Raises Refused when the verdict is no port."""
    spec = port_spec(reading, verdict, tree, rules)
    todo = open_items(reading, verdict)
    if options.layout == "plugin":
        own = options.own_config is not False
        changes = plugin_files(reading, verdict, spec, tree.version, todo, own_config=own)
    else:
        from porter.planning.tree_port import to_compile, tree_files

        changes = tree_files(reading, spec, tree, options.own_config, options.repo_id)
        todo += to_compile(tree, changes)
    return Plan(
        str(target), options.layout, spec.names.module, changes, todo, _manifest(reading, verdict, tree, spec, options)
    )


def port_spec(reading: RepoReading, verdict: Verdict, tree: Tree, rules: NameRules | None = None) -> PortSpec:
    """The spec of the verdict's match; without rules, those that the facts alone give."""
    from porter.families import FAMILIES

    match = verdict.match
    if match is None or verdict.level != "inherit":
        raise Refused(f"verdict {verdict.level}: {verdict.reasons[0] if verdict.reasons else 'nothing to write'}")
    family = FAMILIES.get(match.family)
    if family is None:
        raise Refused(f"{match.family} is no family that porter writes ports for")
    found = family.spec(match, reading, tree, rules=rules if rules is not None else draft_rules(reading))
    assert isinstance(found, PortSpec)
    return found


def draft_rules(reading: RepoReading) -> NameRules:
    """Prefix renames from the facts alone, for a port whose parameters nobody has built yet."""
    prefixes = reading.facts.value("weight_prefixes")
    named = prefixes if isinstance(prefixes, dict) else {}
    places = {"vision_tower": "vision_model", "connector": "mlp1", "language_model": "language_model"}
    rules: dict[str, str | None] = {}
    for part, place in places.items():
        prefix = named.get(part)
        if isinstance(prefix, str) and prefix and prefix != place:
            rules[f"{prefix}."] = f"{place}."
    return NameRules(prefix={**_connector_rules(reading), **rules, **_buffer_rules(reading)})


def inferable(tensors: Sequence[TensorInfo], reading: RepoReading) -> tuple[TensorInfo, ...]:
    """The tensors from which a mapper is inferred: without a pooling head, which the tree's towers take and drop.

    Left in, its attention would be taken for that of a layer.
    """
    towers = reading.facts.value("vision_tower")
    prefixes = [item.get("prefix") for item in (towers if isinstance(towers, list) else []) if isinstance(item, dict)]
    heads = tuple(f"{prefix}.{inner}head." for prefix in prefixes if prefix for inner in ("", "vision_model."))
    kept = [tensor for tensor in tensors if not (heads and tensor.name.startswith(heads))]
    order = {name: place for place, name in enumerate(built_in_order(reading))}
    return tuple(sorted(kept, key=lambda tensor: _place(tensor.name, order)))


def built_in_order(reading: RepoReading) -> tuple[str, ...]:
    """The parameters that the repo's own code builds, in its order; a safetensors header is sorted by name.

    Where two tensors of one shape could change places, the order in which a block is built tells them apart.
    """
    code = reading.configs.code
    if code.model is None:
        return ()
    model = code.model
    return tuple(bounded(code, lambda: list(parameters(code.run, model))) or ())


def _place(name: str, order: Mapping[str, int]) -> int:
    """Where the code builds it, under its own name or without the first word of it; behind all others if nowhere."""
    return order.get(name, order.get(name.partition(".")[2], len(order)))


def _buffer_rules(reading: RepoReading) -> dict[str, str | None]:
    """Stored buffers onto the port's own; one that nothing uses is dropped."""
    listed = reading.facts.value("buffers")
    found: dict[str, str | None] = {}
    for buffer in listed if isinstance(listed, list) else []:
        name, attr = (buffer.get("name"), buffer.get("attr")) if isinstance(buffer, dict) else (None, None)
        if not isinstance(buffer, dict) or not isinstance(name, str) or not buffer.get("persistent"):
            continue
        if not buffer.get("used"):
            found[name] = None
        elif isinstance(attr, str) and name != attr:
            found[name] = attr
    return found


def _connector_rules(reading: RepoReading) -> dict[str, str | None]:
    """Named connector layers onto the indices of the port's sequence."""
    fact = reading.facts.value("connector")
    layers = fact.get("layers") if isinstance(fact, dict) else None
    prefix = fact.get("prefix") if isinstance(fact, dict) else None
    found: dict[str, str | None] = {}
    for index, layer in enumerate(layers if isinstance(layers, list) else []):
        name = layer.get("name") if isinstance(layer, dict) else None
        path = ".".join(part for part in (prefix, name) if isinstance(part, str) and part)
        if isinstance(name, str) and path and name != str(index) and "weight" not in name:
            found[f"{path}."] = f"mlp1.{index}."
    return found


def open_items(reading: RepoReading, verdict: Verdict) -> tuple[OpenItem, ...]:
    """What a person still has to settle."""
    match = verdict.match
    names = match.uses if match is not None else ()
    guesses = [reading.facts[name] for name in names if not reading.facts[name].usable]
    return tuple(
        OpenItem(
            fact.name,
            fact.note or "the repo does not settle it; the base's own value is used",
            f"--set {fact.name}=...",
        )
        for fact in guesses
    )


def _manifest(
    reading: RepoReading, verdict: Verdict, tree: Tree, spec: PortSpec, options: PortOptions
) -> dict[str, JSON]:
    return build_manifest(
        repo=reading.snapshot.repo,
        tree={"version": tree.version, "commit": tree.commit, "layout": tree.layout},
        spec=spec.to_json(),
        facts=reading.facts.to_json(),
        overrides=dict(options.overrides),
        verdict=verdict.to_json(),
    )

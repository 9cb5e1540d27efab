"""From a verdict to a plan: the spec of its match, rendered for one target. Nothing here touches a disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from porter.changes.manifest import build_manifest
from porter.errors import Refused
from porter.facts.reading import RepoReading, bounded
from porter.families.base import ReadingLike, Verdict
from porter.hub.snapshot import TensorInfo
from porter.jsontypes import JSON, objects
from porter.planning.plan import OpenItem, Plan
from porter.planning.plugin import plugin_files
from porter.planning.spec import Spec
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
        own = not spec.native_config if options.own_config is None else options.own_config
        changes = plugin_files(reading, verdict, spec, tree.version, todo, own_config=own)
    else:
        from porter.planning.tree_port import to_compile, tree_files

        changes = tree_files(reading, spec, tree, options.own_config, options.repo_id)
        todo += to_compile(tree, changes)
    return Plan(
        str(target), options.layout, spec.names.module, changes, todo, _manifest(reading, verdict, tree, spec, options)
    )


def port_spec(reading: RepoReading, verdict: Verdict, tree: Tree, rules: NameRules | None = None) -> Spec:
    """The spec of the verdict's match; without rules, those that the facts alone give."""
    from porter.families import FAMILIES

    match = verdict.match
    if match is None or verdict.level != "inherit":
        raise Refused(f"verdict {verdict.level}: {verdict.reasons[0] if verdict.reasons else 'nothing to write'}")
    family = FAMILIES.get(match.family)
    if family is None:
        raise Refused(f"{match.family} is no family that porter writes ports for")
    drawn = rules if rules is not None else family.draft_rules(match, reading)
    return family.spec(match, reading, tree, rules=drawn)


def inferable(tensors: Sequence[TensorInfo], reading: RepoReading) -> tuple[TensorInfo, ...]:
    """The tensors from which a mapper is inferred: without a pooling head, which the tree's towers take and drop.

    Left in, its attention would be taken for that of a layer.
    """
    prefixes = [tower.get("prefix") for tower in objects(reading.facts.value("vision_tower"))]
    heads = tuple(f"{prefix}.{inner}head." for prefix in prefixes if prefix for inner in ("", "vision_model."))
    kept = [tensor for tensor in tensors if not (heads and tensor.name.startswith(heads))]
    order = {name: place for place, name in enumerate(built_in_order(reading))}
    return tuple(sorted(kept, key=lambda tensor: _place(tensor.name, order)))


def built_in_order(reading: ReadingLike) -> tuple[str, ...]:
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


def _manifest(reading: RepoReading, verdict: Verdict, tree: Tree, spec: Spec, options: PortOptions) -> dict[str, JSON]:
    return build_manifest(
        repo=reading.snapshot.repo,
        tree={"version": tree.version, "commit": tree.commit, "layout": tree.layout},
        spec=spec.to_json(),
        facts=reading.facts.to_json(),
        overrides=dict(options.overrides),
        verdict=verdict.to_json(),
    )

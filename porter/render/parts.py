"""The parts of a model as a tree: what each is, its weights, and where that was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from porter.console import Branch
from porter.facts.model import Confidence, Fact, ModelFacts
from porter.jsontypes import JSON, JSONObject, objects
from porter.render.words import counted, short, short_source

OTHER_ROLES = ("head", "extra", "side")
TOWER = ("kind", "class", "hidden_size", "layers", "heads", "patch_size")
LANGUAGE = ("architecture", "hidden_size", "layers", "vocab_size")
PROJECTIONS = ("Linear", "Conv1d", "Conv2d")
PATTERNS = 12
"""Patterns of one group that `--verbose` shows."""


def parts(facts: ModelFacts, *, verbose: bool = False) -> Branch:
    """Tower, image path, connector, language model, and every group of tensors that is none of these."""
    name, kind = facts.value("architecture"), facts.value("model_type")
    label = f"{short(name) if name else 'no architecture'}{f' (model_type {short(kind)})' if kind else ''}"
    groups = by_role(facts)
    towers = facts["vision_tower"]
    values = towers.value if isinstance(towers.value, list) and towers.value else [None]
    children: list[Branch] = [
        *(part("tower", towers, value, TOWER, of_tower(value, groups.get("tower", []))) for value in values),
        *image_path(facts["feature_path"]),
        part("connector", facts["connector"], facts.value("connector"), ("kind",), groups.get("connector", [])),
        part(
            "language model",
            facts["language_model"],
            facts.value("language_model"),
            LANGUAGE,
            groups.get("language_model", []),
        ),
        *((f"{role}: {group_label(group)}", ()) for role in OTHER_ROLES for group in groups.get(role, [])),
    ]
    layout = facts["weights_layout"].value
    if verbose and isinstance(layout, dict):
        children.append(("weights", list(patterns(layout))))
    return label, children


def by_role(facts: ModelFacts) -> Mapping[str, list[JSONObject]]:
    """The groups of the weights layout by what they belong to."""
    layout = facts.value("weights_layout")
    groups = layout.get("groups") if isinstance(layout, dict) else None
    found: dict[str, list[JSONObject]] = {}
    for group in groups if isinstance(groups, list) else []:
        if isinstance(group, dict):
            found.setdefault(str(group.get("role")), []).append(group)
    return found


def of_tower(value: JSON, groups: list[JSONObject]) -> list[JSONObject]:
    """The groups below a tower's prefix, or around it; all of them where that tells none apart."""
    prefix = value.get("prefix") if isinstance(value, dict) else None
    if not isinstance(prefix, str) or not prefix:
        return groups
    places = [(f"{prefix}.", f"{group.get('prefix')}.", group) for group in groups]
    return [group for own, place, group in places if place.startswith(own) or own.startswith(place)] or groups


def part(title: str, fact: Fact, value: JSON, keys: tuple[str, ...], groups: list[JSONObject]) -> Branch:
    """One part; where nothing else tells what it is, its tensors do."""
    weights = weights_label(value, groups)
    if not isinstance(value, dict):
        kinds = ", ".join(dict.fromkeys(short(group["kind"]) for group in groups if group.get("kind")))
        guessed = f"{kinds} by its tensors" if kinds else "unknown"
        why = f" ({fact.note})" if fact.note and not kinds else ""
        return f"{title}: {guessed}{why}{weights}", ()
    shown = [
        short(value[key]) if key == keys[0] else f"{key} {short(value[key])}" for key in keys if is_told(value, key)
    ]
    told = layers_line(value.get("layers")) or ", ".join(shown) or "kind unknown"
    return f"{title}: {told}{weights}{doubt(fact)}", ()


def is_told(value: JSONObject, key: str) -> bool:
    return value.get(key) is not None and not isinstance(value[key], (list, dict))


def weights_label(value: JSON, groups: Iterable[JSONObject]) -> str:
    """`  [vision_model.*, 344 tensors]`: the part's own prefix, else those of its groups."""
    prefix = value.get("prefix") if isinstance(value, dict) else None
    groups = list(groups)
    count = sum(total for group in groups if isinstance(total := group.get("tensors"), int))
    places = [prefix] if prefix else [group.get("prefix") for group in groups]
    named = ", ".join(f"{short(place).rstrip('.')}.*" for place in places if place)
    told = ", ".join(part for part in (named, counted(count, "tensor") if count else "") if part)
    return f"  [{told}]" if told else ""


def group_label(group: JSONObject) -> str:
    kind = f"{short(group['kind'])}, " if group.get("kind") else ""
    return f"{kind}{counted(group.get('tensors'), 'tensor')} under {short(group.get('prefix') or '(top level)')}"


def doubt(fact: Fact) -> str:
    """The source of a part, with its confidence where that is not certain."""
    sure = "" if fact.confidence is Confidence.CERTAIN else f"{fact.confidence.value}; "
    read = short_source(fact)
    return f"  ({sure}{read})" if read or sure else ""


def layers_line(layers: JSON) -> str:
    """`LayerNorm 256 · Linear 256 → 128 · GELU`."""
    if not isinstance(layers, list):
        return ""
    return " · ".join(layer_label(layer) for layer in layers)


def layer_label(layer: JSON) -> str:
    """The sizes of what has weights: one where it is a norm, both where it is a projection."""
    if not isinstance(layer, dict):
        return short(layer)
    name, before, after = short(layer.get("op") or "?"), layer.get("in"), layer.get("out")
    if not before or not after:
        return name
    if "norm" in name.lower():
        return f"{name} {short(before)}"
    return f"{name} {short(before)} → {short(after)}" if before != after or name in PROJECTIONS else name


def image_path(fact: Fact) -> Iterator[Branch]:
    """From pixels to the language model, as the code does it."""
    if isinstance(fact.value, list) and fact.value:
        steps = " → ".join(step_label(step) for step in fact.value)
        yield f"image path: {steps}{doubt(fact)}", ()


def step_label(step: JSON) -> str:
    if not isinstance(step, dict):
        return short(step)
    kept = {
        key: item for key, item in step.items() if key not in ("op", "attr") and isinstance(item, (str, int, float))
    }
    told = ", ".join(f"{key} {short(item)}" for key, item in kept.items() if item)
    return f"{short(step.get('op'))}{f' ({told})' if told else ''}"


def patterns(layout: JSONObject) -> Iterator[Branch]:
    """Every group with its patterns of names, and what the index and the headers do not agree on."""
    groups = layout.get("groups")
    for group in groups if isinstance(groups, list) else []:
        if isinstance(group, dict):
            yield f"{short(group.get('role'))}: {group_label(group)}", list(pattern_lines(group.get("patterns")))
    disagreements = layout.get("disagreements")
    for item in disagreements if isinstance(disagreements, list) else []:
        yield f"disagreement: {short(item, 200)}", ()


def pattern_lines(found: JSON) -> Iterator[Branch]:
    rows = objects(found)
    for row in rows[:PATTERNS]:
        told = " ".join(short(row[key]) for key in ("shape", "dtype") if row.get(key))
        yield f"{short(row.get('pattern'), 80)}  {told}".rstrip(), ()
    if len(rows) > PATTERNS:
        yield f"and {len(rows) - PATTERNS} more", ()

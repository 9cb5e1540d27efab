"""`porter inspect` and `porter new-model` on a terminal: one glance."""

from __future__ import annotations

import json
from collections.abc import Iterator

from porter.commands.reading import ModelResult, open_questions
from porter.console import Branch, Console
from porter.facts.model import Confidence, Fact, ModelFacts
from porter.jsontypes import JSON
from porter.overrides import KINDS

CELL = 72
IN_TREE = ("vision_tower", "connector", "language_model", "weight_prefixes", "feature_path", "config_map", "auto_map")


def show_inspect(console: Console, result: ModelResult) -> None:
    show_head(console, result)
    if result.reading is None:
        return
    console.tree(parts(result.facts))
    console.heading("Facts")
    console.table(fact_rows(result.facts), ("fact", "value", "confidence", "source"))
    served = result.verdict is not None and result.verdict.level in ("supported", "transformers-backend")
    if not served:
        show_list(console, "Differences from the family's base", list(differences(result)))
    show_list(console, "Conflicts and notes", list(fact_notes(result.facts)))
    show_list(console, "Could not be followed", list(result.reading.problems))
    if not served:
        show_questions(console, result)


def show_head(console: Console, result: ModelResult) -> None:
    """The repo, and the verdict with its reasons."""
    if result.reading is None:
        return
    repo = result.reading.snapshot.repo
    console.line(f"{repo.id}  {'local folder' if repo.local else f'commit {repo.commit}'}", "bold")
    if result.verdict is None:
        return
    verdict = result.verdict
    overruled = f", overruling {verdict.overruled}" if verdict.overruled else ""
    console.line(f"verdict: {verdict.level} ({verdict.confidence.value}{overruled})", "bold")
    for reason in verdict.reasons:
        console.line(f"  {reason}")
    if verdict.match is not None:
        match = verdict.match
        other = f"; next best: {verdict.runner_up}" if verdict.runner_up else ""
        console.line(f"family: {match.family} ({match.module}.{match.model_class}), score {match.score:.2f}{other}")
    if verdict.level == "supported":
        console.line(f"next: vllm serve {repo.folder or repo.id}")
    console.line()


def show_questions(console: Console, result: ModelResult) -> None:
    """What a port would need settled, each with the option that settles it."""
    questions = [question(fact) for fact in open_questions(result.verdict, result.facts)]
    show_list(console, "Open questions", questions)


def question(fact: Fact) -> str:
    found = "nothing in the repo tells" if fact.value is None else f"a guess: {short(fact.value)}"
    shown = "VALUE" if fact.value is None else set_value(fact)
    why = f" ({fact.note})" if fact.note else ""
    return f"{fact.name}: {found}{why}   --set {fact.name}={shown}"


def set_value(fact: Fact) -> str:
    text = fact.value if KINDS.get(fact.name) == (str,) else json.dumps(fact.value)
    return f"'{text}'" if isinstance(text, str) and not text.isalnum() else str(text)


def show_list(console: Console, heading: str, lines: list[str]) -> None:
    if lines:
        console.heading(heading)
        for line in lines:
            console.line(f"  {line}")


def differences(result: ModelResult) -> Iterator[str]:
    match = result.verdict.match if result.verdict else None
    if match is None:
        return
    for item in match.differences:
        yield f"{item.what}: {item.base} → {item.repo}  ({item.answer})"
    for blocker in match.blockers:
        yield f"blocked: {blocker.what}: {blocker.why}"


def parts(facts: ModelFacts) -> Branch:
    """The parts of the model as a tree of labels."""
    prefixes = facts.value("weight_prefixes")
    name, kind = facts.value("architecture"), facts.value("model_type")
    children = [
        *(part("tower", tower, ("kind", "hidden_size", "layers", "heads", "patch_size")) for tower in towers(facts)),
        part("connector", facts.value("connector"), ("kind",)),
        part("language model", facts.value("language_model"), ("architecture", "hidden_size", "layers", "vocab_size")),
    ]
    label = f"{name or 'no architecture'} (model_type {kind})" if kind else str(name or "no architecture")
    return label if isinstance(prefixes, dict) else f"{label}, weight prefixes unknown", children


def towers(facts: ModelFacts) -> list[JSON]:
    found = facts.value("vision_tower")
    return found if isinstance(found, list) and found else [None]


def part(title: str, value: JSON, keys: tuple[str, ...]) -> Branch:
    if not isinstance(value, dict):
        return f"{title}: unknown", ()
    shown = ", ".join(
        f"{key} {value[key]}" if key != keys[0] else str(value[key]) for key in keys if value.get(key) is not None
    )
    prefix = f"  [{value['prefix']}*]" if value.get("prefix") else ""
    layers = value.get("layers")
    below = [(layer_label(layer), ()) for layer in layers] if isinstance(layers, list) else []
    return f"{title}: {shown}{prefix}", below


def layer_label(layer: JSON) -> str:
    if not isinstance(layer, dict):
        return short(layer)
    sizes = f" {layer['in']} → {layer['out']}" if layer.get("in") and layer.get("out") else ""
    return f"{layer.get('op')}{sizes}"


def fact_notes(facts: ModelFacts) -> Iterator[str]:
    for fact in facts.values():
        if fact.note and (fact.about == "repo" or fact.value is not None):
            yield f"{fact.name}: {fact.note}"


def fact_rows(facts: ModelFacts) -> Iterator[tuple[str, str, str, str]]:
    for name, fact in facts.items():
        if name in IN_TREE and fact.value is not None:
            continue
        if name == "config_map" and fact.confidence is Confidence.UNKNOWN:
            continue
        source = f"{fact.evidence[0].file}: {fact.evidence[0].where}" if fact.evidence else ""
        value = "" if fact.value is None else short(fact.value)
        yield name, value, fact.confidence.value, source


def short(value: JSON) -> str:
    """A value on one line, cut to fit a table cell."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= CELL else f"{text[: CELL - 1]}…"

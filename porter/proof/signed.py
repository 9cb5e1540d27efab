"""The signed-off table of a comparison, as Markdown for PORT.md and for the text of a pull request. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from porter.jsontypes import JSON, JSONObject, items
from porter.planning.plan import FileChange, Plan
from porter.proof.compare import TOLERANCE

NOTES = "PORT.md"
HEADING = "## Proof\n"
DECIDED = ("passed", "failed")
PACKAGES = ("vllm", "torch", "transformers")


class Line(NamedTuple):
    """One quantity of the table."""

    name: str
    difference: str
    limit: str


def signed_off(parity: JSONObject, engine: JSONObject) -> str | None:
    """The section of a parity document and the versions in an engine's; None where nothing was compared."""
    from porter.planning.render import render

    if parity.get("status") not in DECIDED:
        return None
    reference = parity.get("reference")
    known = reference if isinstance(reference, dict) else {}
    return render(
        "proof.md.j2",
        proved=parity["status"] == "passed",
        detail=_plain(parity.get("detail")),
        limit=f"{TOLERANCE:.0e}",
        code=_plain(known.get("model_class") or ""),
        preprocessing=_plain(known.get("preprocessing") or ""),
        versions=[f"{name} {engine[name]}" for name in PACKAGES if engine.get(name)],
        prompts=[_prompt(item) for item in items(parity.get("prompts")) if isinstance(item, dict)],
        sets=[f"{name} (seed {seed})" for name, seed in _sets(parity)],
        rows=list(lines(parity)),
        not_proven=[_plain(item) for item in items(parity.get("not_proven"))],
    )


def lines(parity: JSONObject) -> Iterator[Line]:
    """What was compared, with its largest difference: the answers, then the stages on the way."""
    for name, key in (("prompt token ids", "ids_equal"), ("greedy tokens", "greedy_equal")):
        yield Line(name, "equal" if parity.get(key) is True else "not equal", "equal")
    yield Line("logprobs, whole vocabulary", at_most(parity.get("max_logprob_diff")), f"{TOLERANCE:.0e}")
    yield Line("image embeddings (relative)", at_most(parity.get("embed_diff")), f"{TOLERANCE:.0e}")
    for stage in items(parity.get("stages")):
        if isinstance(stage, dict) and stage.get("name") != "prompt ids":
            shown = "not seen" if stage.get("status") == "not seen" else at_most(stage.get("rel_diff"))
            yield Line(f"stage {stage.get('name')} (relative)", shown, f"{stage.get('tolerance'):.0e}")


def at_most(value: JSON) -> str:
    """A bound with one digit: the last digits are another machine's already."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return "not compared"
    if value <= 0.0:
        return "none"
    power = math.floor(math.log10(value))
    digit = math.ceil(round(value / 10.0**power, 6))
    return f"at most {digit * 10.0**power:.0e}"


def _plain(value: JSON) -> str:
    """Text that stays within its line and its cell."""
    return " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _sets(parity: JSONObject) -> Iterator[tuple[JSON, JSON]]:
    return zip(items(parity.get("weights")), items(parity.get("seeds")), strict=False)


def _prompt(prompt: Mapping[str, JSON]) -> str:
    sizes = [_size(item) for item in items(prompt.get("images"))]
    return f"{prompt.get('name')} ({', '.join(sizes)})" if sizes else str(prompt.get("name"))


def _size(image: JSON) -> str:
    known = isinstance(image, list) and len(image) == 2
    return f"{image[0]}x{image[1]}" if known and isinstance(image, list) else "a file"


def with_section(notes: str, section: str) -> str:
    """The notes with the section at their end, in place of an older one."""
    before, _, _ = notes.partition(f"\n{HEADING}")
    return f"{before.rstrip()}\n\n{section}"


def section_of(notes: str) -> str | None:
    """The section as it stands in the notes."""
    _, found, rest = notes.partition(f"\n{HEADING}")
    return HEADING + rest if found else None


def carried(plan: Plan) -> Plan:
    """A settled plan whose notes keep the proof that stands in them: it holds as long as no other file changes."""
    notes = next((change for change in plan.changes if change.path == NOTES), None)
    section = section_of(notes.old) if notes is not None and notes.old is not None else None
    others = [change for change in plan.changes if change.path != NOTES]
    if notes is None or section is None or any(change.action != "unchanged" for change in others):
        return plan
    return _changed(plan, replace(notes, new=with_section(notes.new, section)))


def signed(plan: Plan, section: str | None) -> tuple[Plan, Plan]:
    """A written plan with the section in its notes: as it was meant from the start, and as the edit that is left."""
    notes = next((change for change in plan.changes if change.path == NOTES), None)
    if notes is None or section is None:
        return plan, plan
    new = with_section(notes.new, section)
    return _changed(plan, replace(notes, new=new)), _changed(plan, replace(notes, old=notes.new, new=new))


def _changed(plan: Plan, notes: FileChange) -> Plan:
    return replace(plan, changes=tuple(notes if change.path == NOTES else change for change in plan.changes))

"""Facts about the repo as a whole: names, auto_map, modalities, licence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from porter.facts.code import CodeReading
from porter.facts.modalities import modality_fact
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.needs_security import entry_evidence
from porter.hub.licence import statements
from porter.hub.snapshot import AutoMapEntry, Snapshot
from porter.jsontypes import JSON, JSONObject

MAX_EVIDENCE = 16


def identity_facts(snapshot: Snapshot, code: CodeReading) -> Iterator[Fact]:
    config = snapshot.config()
    architectures = config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else None
    yield _stated("architecture", first if isinstance(first, str) else None, "architectures[0]")
    yield _stated("model_type", config.get("model_type"), "model_type")
    yield _auto_map(snapshot, code)
    yield modality_fact(snapshot, code)
    yield _license(snapshot)


def _stated(name: str, value: JSON, where: str) -> Fact:
    if not isinstance(value, str) or not value:
        return Fact(name, None, Confidence.UNKNOWN)
    return Fact(name, value, Confidence.CERTAIN, (Evidence("config.json", where, value),))


def _auto_map(snapshot: Snapshot, code: CodeReading) -> Fact:
    value: dict[str, JSON] = {}
    notes: list[str] = []
    for entry in (_checked(item, code) for item in snapshot.auto_map):
        value[_key(entry, value)] = _entry_json(entry)
        if not entry.found:
            other = f" ({entry.candidate} defines that class; it is not used)" if entry.candidate else ""
            notes.append(f"{entry.file or entry.class_name}: {entry.reason}{other}")
    if not value:
        return Fact("auto_map", None, Confidence.ABSENT, (Evidence("config.json", "auto_map", "absent"),))
    repos = sorted({entry.repo for entry in snapshot.auto_map if entry.repo})
    notes += [f"runs code of another repo: {', '.join(repos)}"] if repos else []
    copies = sorted(
        {entry.file for entry in snapshot.auto_map if entry.repo and entry.found and "--" not in entry.file}
    )
    notes += [f"read from this folder's own copy: {', '.join(copies)}"] if copies else []
    shown = tuple(entry_evidence(entry) for entry in snapshot.auto_map[:MAX_EVIDENCE])
    return Fact("auto_map", value, Confidence.CERTAIN, shown, note="; ".join(dict.fromkeys(notes)))


def _checked(entry: AutoMapEntry, code: CodeReading) -> AutoMapEntry:
    """An entry whose file is there without the class is not found either."""
    file = code.run.code.file(entry.file) if entry.found else None
    if file is None or file.error or file.stars or code.run.code.meaning(entry.file, entry.class_name) is not None:
        return entry
    others = (path for path in sorted(code.run.code.texts) if code.run.code.find_class(path, entry.class_name))
    return replace(entry, found=False, reason=f"the file has no {entry.class_name}", candidate=next(others, None))


def _key(entry: AutoMapEntry, taken: Mapping[str, JSON]) -> str:
    """`AutoModel`, or with the place of its map for any but config.json's own; numbered where a list has several."""
    key = entry.key if entry.owner == "config.json" else f"{entry.owner}:{entry.key}"
    numbered = (f"{key}#{count}" for count in range(2, len(taken) + 3))
    return key if key not in taken else next(name for name in numbered if name not in taken)


def _entry_json(entry: AutoMapEntry) -> JSONObject:
    """`reason` and `candidate` stand only in an entry that was not found."""
    shown: JSONObject = {"repo": entry.repo, "file": entry.file or None, "class": entry.class_name}
    absent: JSONObject = {"reason": entry.reason, "candidate": entry.candidate}
    return {**shown, "found": entry.found, **({} if entry.found else absent)}


def _license(snapshot: Snapshot) -> Fact:
    """What the model card says wins over the licence file, and that over config.json; what differs is a note."""
    found = list(statements(snapshot.text, snapshot.config()))
    if not found:
        return Fact("license", None, Confidence.UNKNOWN)
    first = found[0].name
    shown = tuple(Evidence(item.file, item.where, item.text) for item in found)
    others = [f"{item.file} says {item.text}" for item in found if item.name.lower() != first.lower()]
    sure = Confidence.LIKELY if others else Confidence.CERTAIN
    return Fact("license", first, sure, shown, note="; ".join(others))

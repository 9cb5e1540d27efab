"""The repo's side of a comparison: the code that it brings, or transformers' own where it brings none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from porter.facts.code import class_of, entry_for, model_entry
from porter.families.base import ReadingLike
from porter.families.library import library_beside
from porter.families.twin.original import Original, native
from porter.hub.snapshot import AutoMapEntry
from porter.source.codebase import CodeBase, Definition

GENERATING = ("ForConditionalGeneration", "ForCausalLM", "ForVision2Seq", "ForImageTextToText", "LMHeadModel")
"""How the names of models that write text end."""


@dataclass(frozen=True, slots=True)
class Theirs:
    """`native` is transformers' own model, where that serves the repo: it brings no model or config class."""

    code: CodeBase
    model: Definition | None
    config: Definition | None
    native: Original | None = None

    @property
    def modeling(self) -> Mapping[str, str]:
        """The texts of the files with model code."""
        if self.native is None:
            return self.code.texts
        return {self.native.model.file: self.code.texts[self.native.model.file]}


def theirs_of(reading: ReadingLike, package: Path) -> Theirs:
    """The repo's code, or what transformers beside the tree has for its model_type."""
    model, config = (definition(reading, entry) for entry in entries(reading))
    found = native(package, reading.facts.value("model_type")) if not _brings_code(reading) else None
    if found is not None and _named_so(package, found, str(reading.facts.value("architecture"))):
        return Theirs(found.side.code, found.model, found.config, found)
    return Theirs(reading.configs.code.run.code, model, config)


def _named_so(package: Path, found: Original, architecture: str) -> bool:
    """Whether an architecture may be another name for the model that transformers builds: no other class of its own,
    and none that by its name has another head, or none."""
    if architecture == found.model.name:
        return True
    of_it = f"class {architecture}(" in found.side.code.texts[found.model.file]
    known = of_it or library_beside(package).model_types(architecture)
    return architecture.endswith(GENERATING) and not known


def _brings_code(reading: ReadingLike) -> bool:
    return any(item.key == "AutoConfig" or item.key.startswith("AutoModel") for item in reading.snapshot.auto_map)


def entries(reading: ReadingLike) -> tuple[AutoMapEntry | None, AutoMapEntry | None]:
    """Where the repo's model and config classes stand."""
    return model_entry(reading.snapshot), entry_for(reading.snapshot, ("AutoConfig",))


def definition(reading: ReadingLike, entry: AutoMapEntry | None) -> Definition | None:
    cls = class_of(reading.configs.code.run, entry) if entry is not None else None
    return Definition(cls.file, cls.node.name, cls.node) if cls is not None else None

"""What the repo's code needs: packages, transformers, attention back ends; and what running it would mean."""

from __future__ import annotations

from collections.abc import Iterator

from porter.facts.code import CodeReading
from porter.facts.model import Confidence, Fact
from porter.facts.needs_attention import attention_fact
from porter.facts.needs_imports import imports_of
from porter.facts.needs_packages import dependency_fact
from porter.facts.needs_security import security_fact
from porter.hub.snapshot import Snapshot


def need_facts(snapshot: Snapshot, code: CodeReading) -> Iterator[Fact]:
    imports = imports_of(code.run.code)
    yield dependency_fact(snapshot, imports)
    yield attention_fact(snapshot, code, imports)
    yield Fact("transformers_range", None, Confidence.UNKNOWN)
    yield security_fact(snapshot, code)

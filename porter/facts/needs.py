"""What the repo's code needs: packages, transformers, attention back ends; and what running it would mean."""

from __future__ import annotations

from collections.abc import Iterator

from porter.facts.code import CodeReading
from porter.facts.model import Fact
from porter.facts.needs_attention import attention_fact
from porter.facts.needs_imports import imports_in
from porter.facts.needs_packages import dependency_fact
from porter.facts.needs_security import security_fact
from porter.facts.needs_transformers import range_fact
from porter.facts.needs_walk import walk_code
from porter.hub.snapshot import Snapshot


def need_facts(snapshot: Snapshot, code: CodeReading) -> Iterator[Fact]:
    seen = walk_code(code.run.code)
    imports = imports_in(seen)
    yield dependency_fact(snapshot, imports)
    yield attention_fact(snapshot, code, seen, imports)
    yield range_fact(snapshot, imports)
    yield security_fact(snapshot, code, seen)

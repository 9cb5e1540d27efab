"""The rungs: their order, what each needs, and which of them run unasked. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from porter.errors import UsageError
from porter.smoke.report import Rung

ENGINE_RUNGS: Mapping[str, tuple[str, ...]] = {
    "config": (),
    "registry": ("config",),
    "processor": ("registry",),
    "tokens": ("processor",),
    "load": ("registry",),
    "text": ("load",),
    "image": ("load",),
    "batch": ("text", "image"),
    "lora": ("text", "image"),
    "tp": ("text", "image"),
    "pp": ("text", "image"),
    "serve": ("text", "image"),
}
WEIGHTS_RUNGS: Mapping[str, tuple[str, ...]] = {"build": (), "weights": ("build",)}
OWN_RUNGS: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("own-registry", "own-schema", "own-init", "own-processing"), ()
)
"""vLLM's own tests, of a port that stands in a source tree."""
PARITY: Mapping[str, tuple[str, ...]] = {"parity": ("text", "image")}
ORDER = (
    *("config", "registry", "processor", "tokens", "build", "weights", "load", "text", "image", "batch"),
    *OWN_RUNGS,
    *("lora", "tp", "pp", "serve", "parity"),
)
_NEEDS = {**ENGINE_RUNGS, **WEIGHTS_RUNGS, **OWN_RUNGS, **PARITY}
RUNGS: Mapping[str, tuple[str, ...]] = {name: _NEEDS[name] for name in ORDER}
"""Every rung with its prerequisites, in order."""
ON_REQUEST = ("lora", "tp", "pp", "serve")
DEFAULT = tuple(name for name in RUNGS if name not in ON_REQUEST and name not in OWN_RUNGS)
ASKS_FOR_TRUST = ("setting `trust_remote_code=True`", "requires you to execute")


def with_prerequisites(names: Iterable[str]) -> tuple[str, ...]:
    """The rungs asked for and all they need, in the ladder's order. Raises UsageError for one that there is not."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in RUNGS:
            raise UsageError(f"there is no rung {name!r}", hint=f"rungs: {', '.join(RUNGS)}")
        if name not in found:
            found.add(name)
            waiting.extend(RUNGS[name])
    return tuple(name for name in RUNGS if name in found)


def dependents(name: str, among: Collection[str]) -> frozenset[str]:
    """Those of `among` that cannot run without `name`."""
    return frozenset(other for other in among if other != name and name in with_prerequisites([other]))


def in_order(rungs: Iterable[Rung]) -> tuple[Rung, ...]:
    places = list(RUNGS)
    return tuple(sorted(rungs, key=lambda rung: places.index(rung.name)))


def without_trust(rung: Rung) -> Rung:
    """A rung that failed only because vLLM would have to run the repo's code is one that was not run."""
    if rung.status != "failed" or not any(words in rung.detail for words in ASKS_FOR_TRUST):
        return rung
    return replace(rung, status="skipped", detail="vLLM runs the repo's own config class here (--trust-remote-code)")

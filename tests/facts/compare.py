"""Comparing facts with expected values: numbers within rounding, objects by the keys that are expected."""

from __future__ import annotations

from math import isclose
from pathlib import Path

from porter.facts import RepoReading, infer
from porter.hub import snapshot_of


def read(folder: Path) -> RepoReading:
    """The facts of a folder, without network."""
    return infer(snapshot_of(str(folder), revision=None, offline=True))


def agrees(expected: object, found: object) -> bool:
    """Whether `found` says all that `expected` says; keys beyond the expected ones do not matter."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and agrees(value, found[key]) for key, value in expected.items()
        )
    if isinstance(expected, (list, tuple)):
        same = isinstance(found, (list, tuple)) and len(expected) == len(found)
        return same and all(agrees(a, b) for a, b in zip(expected, found, strict=True))  # type: ignore[arg-type]
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, (int, float)) and isinstance(found, (int, float)):
        return isclose(expected, found, rel_tol=1e-9)
    return expected == found


def differences(expected: dict[str, object], reading: RepoReading) -> dict[str, tuple[object, object]]:
    """name → (expected, found) of every fact that does not say what is expected."""
    pairs = {name: (value, reading.facts.value(name)) for name, value in expected.items()}
    return {name: pair for name, pair in pairs.items() if not agrees(*pair)}

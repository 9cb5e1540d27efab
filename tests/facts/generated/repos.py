"""Every generated repo of every batch, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.facts.compare import read
from tests.facts.generated import files, measure, plan, second, second_files, truth
from tests.facts.generated.truths import Truth

FIRST, SECOND = 110, 48


@dataclass(frozen=True, slots=True)
class Generated:
    """One repo: `build` writes it into a folder."""

    name: str
    batch: str
    truth: Truth
    build: Callable[[Path], Path]


def first(index: int) -> Generated:
    drawn = plan.draw(index)
    return Generated(f"first-{index:03}", "first", truth.truth_of(drawn), lambda folder: files.write(drawn, folder))


def other(index: int) -> Generated:
    drawn = second.draw(index)
    name, truth = f"second-{index:03}", second_files.truth_of(drawn)
    return Generated(name, "second", truth, lambda folder: second_files.write(drawn, folder))


def repos() -> list[Generated]:
    return [*(first(index) for index in range(FIRST)), *(other(index) for index in range(SECOND))]


def measured(folder: Path) -> list[measure.Outcome]:
    """Builds and reads every repo under `folder`; one outcome per repo and fact."""
    made: list[measure.Outcome] = []
    for one in repos():
        reading = read(one.build(folder / one.name))
        made.extend(measure.outcomes(one.name, one.batch, one.truth, reading))
    return made

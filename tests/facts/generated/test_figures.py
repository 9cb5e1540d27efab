"""How right the facts of generated repos are: nothing wrong is certain, and little is wrong or unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.facts.generated.measure import Figures, Outcome, figures, judged
from tests.facts.generated.repos import measured, repos
from tests.facts.generated.truths import Maybe, OneOf, Open


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        return measured(tmp_path_factory.mktemp("generated"))


def lines(outcomes: list[Outcome], *kinds: str) -> list[str]:
    wrong = [one for one in outcomes if one.kind in kinds]
    return [f"{one.repo} {one.fact}: {one.expected!r}, not {one.found!r} ({one.confidence})" for one in wrong]


def test_there_are_enough_repos() -> None:
    names = [one.name for one in repos()]
    assert len(names) == len(set(names)) >= 150


def test_the_same_index_gives_the_same_files(tmp_path: Path) -> None:
    first, again = ({one.name: one for one in repos()} for _ in range(2))
    for name in ("first-007", "second-011"):
        one, other = first[name].build(tmp_path / "a" / name), again[name].build(tmp_path / "b" / name)
        files = {path.name: path.read_bytes() for path in one.iterdir()}
        assert files == {path.name: path.read_bytes() for path in other.iterdir()}
        assert first[name].truth == again[name].truth


def test_nothing_wrong_is_certain(outcomes: list[Outcome]) -> None:
    assert lines(outcomes, "certain") == []


@pytest.mark.parametrize("batch", ["first", "second"])
def test_facts_are_right_or_openly_unknown(batch: str, outcomes: list[Outcome]) -> None:
    mine = [one for one in outcomes if one.batch == batch]
    found = figures(mine)
    assert found.sound >= 0.97, lines(mine, "wrong", "certain")


def test_few_facts_are_unknown(outcomes: list[Outcome]) -> None:
    assert figures(outcomes).unknown <= 0.10, lines(outcomes, "open")


def test_figures_of_counts() -> None:
    one = Figures(right=90, open=7, wrong=2, certain=1)
    assert (one.total, one.sound, one.unknown) == (100, 0.97, 0.07)


@pytest.mark.parametrize(
    ("expected", "found", "confidence", "kind"),
    [
        (3, 3, "certain", "right"),
        (3, None, "unknown", "open"),
        (3, None, "absent", "wrong"),
        (3, 4, "guess", "wrong"),
        (3, 4, "certain", "certain"),
        (None, None, "absent", "right"),
        (None, 4, "certain", "certain"),
        (True, 1, "likely", "wrong"),
        (Open(), 4, "likely", "wrong"),
        (Open(), None, "unknown", "right"),
        (Maybe(3), None, "unknown", "right"),
        (Maybe(3), 4, "likely", "wrong"),
        (OneOf((3, None)), None, "unknown", "right"),
        ([0.5, 0.25], [0.5, 0.25], "certain", "right"),
    ],
)
def test_what_counts_as_wrong(expected: object, found: object, confidence: str, kind: str) -> None:
    assert judged(expected, found, confidence) == kind

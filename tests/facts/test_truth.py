"""Facts and verdicts of the real repos against what a person read in them (tests/truth)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from porter.facts import RepoReading
from porter.families.verdict import decide
from porter.vllm_tree.registry import architectures
from tests.facts.compare import read
from tests.facts.truth import Truth, states, truths, wrong
from tests.families.repos import needs_vllm, tree

ROOT = Path(__file__).resolve().parents[3] / "shared" / "hf_repos"
TRUTHS = truths()
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="needs ../shared/hf_repos")
FACTS = [pytest.param(truth, name, id=f"{truth.repo}-{name}") for truth in TRUTHS for name in truth.names]
VERDICTS = [pytest.param(truth, id=truth.repo) for truth in TRUTHS]


@pytest.fixture(scope="module", autouse=True)
def _empty_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Code of other repos is looked for in the Hub cache: an empty one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        yield


@lru_cache(maxsize=20)
def reading(repo: str) -> RepoReading:
    return read(ROOT / repo)


def test_every_repo_has_a_truth() -> None:
    assert {truth.repo for truth in TRUTHS} == {path.name for path in ROOT.iterdir() if path.is_dir()}


@pytest.mark.parametrize(("truth", "name"), FACTS)
def test_fact(truth: Truth, name: str) -> None:
    fault = wrong(truth, name, reading(truth.repo).facts)
    assert fault is None, fault


@pytest.mark.parametrize("truth", VERDICTS)
def test_nothing_is_stated_that_no_truth_knows(truth: Truth) -> None:
    stated = {name for name, fact in reading(truth.repo).facts.items() if states(fact)}
    assert stated - set(truth.names) == set(), "read the repo and add these to its truth"


@needs_vllm
@pytest.mark.parametrize("truth", VERDICTS)
def test_verdict(truth: Truth) -> None:
    found = decide(reading(truth.repo), tree())
    entry = architectures(tree()).get(str(truth.facts["architecture"]))
    served = entry is not None and not entry.removed
    levels = truth.verdict["levels" if served or "levels_without" not in truth.verdict else "levels_without"]
    assert isinstance(levels, list)
    assert found.level in levels, f"{truth.repo}: {found.level}, not one of {levels}: {found.reasons}"
    sure = truth.verdict.get("confidence")
    assert sure is None or found.confidence.value == sure, f"{truth.repo}: {found.confidence}: {found.reasons}"
    words = truth.verdict["reasons_contain"]
    assert isinstance(words, list)
    missing = [word for word in words if not any(word in reason for reason in found.reasons)]
    assert not missing, f"{truth.repo}: no reason names {missing}: {found.reasons}"
